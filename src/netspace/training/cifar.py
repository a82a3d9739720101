"""CIFAR-10 and CIFAR-100 in their binary distribution: files in a folder, or its archive read in memory.

Nothing of an archive is written anywhere: members are found by name, checked, and read.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from netspace.errors import DataError
from netspace.training.datasets import resized
from netspace.training.downloads import download, missing, named_folder
from netspace.training.splits import ByteArray, SourceImages, Split

ADDRESS = "https://www.cs.toronto.edu/~kriz/"
SIDE, CHANNELS = 32, 3
PIXELS = SIDE * SIDE * CHANNELS
# More than either archive [bytes], packed or not, so that neither a broken server nor a file fills the memory.
_LARGEST = 200 * 2**20
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What one of the two ships: names of its files, and how a record begins.

    A record is `label_bytes` [bytes], of which the last is the class, and 3,072 pixels: all red ones, row by row,
    then the green and the blue. `sha256` is that of the archive.
    """

    archive: str
    folder: str
    training: tuple[str, ...]
    test: str
    class_names: str
    classes: int
    label_bytes: int
    sha256: str

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all files that are read."""
        return (*self.training, self.test, self.class_names)


DISTRIBUTIONS: Mapping[str, Distribution] = MappingProxyType(
    {
        "cifar10": Distribution(
            archive="cifar-10-binary.tar.gz",
            folder="cifar-10-batches-bin",
            training=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            test="test_batch.bin",
            class_names="batches.meta.txt",
            classes=10,
            label_bytes=1,
            sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        "cifar100": Distribution(
            archive="cifar-100-binary.tar.gz",
            folder="cifar-100-binary",
            training=("train.bin",),
            test="test.bin",
            class_names="fine_label_names.txt",
            classes=100,
            label_bytes=2,
            sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
    }
)
"""Both distributions; these archives have the MD5 sums that https://www.cs.toronto.edu/~kriz/cifar.html gives.

They are c32a1d4ab5d03f1284b67883e8d87530 and 03b5dce01913d631647c71ecec9e9cb8.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cifar:
    """50,000 training and 10,000 test images of 32 x 32 pixels in colour; CIFAR-100 by its 100 fine classes.

    In `folder` stand the binary files, a folder of them as the archive has it, or the archive itself. With
    `allow_download` the archive is fetched from `address` where none of these is there; it must have `sha256`, which
    None takes from the distribution.
    Source: Krizhevsky 2009, *Learning Multiple Layers of Features from Tiny Images*.
    """

    name: str
    folder: Path | None
    allow_download: bool = False
    address: str = ADDRESS
    sha256: str | None = None
    validation_share: float = 1 / 10

    @property
    def _shipped(self) -> Distribution:
        return DISTRIBUTIONS[self.name]

    def files(self) -> tuple[Path, ...]:
        """Return the files, or the archive, fetched first where nothing is there and it may be.

        Raises: DataError where something is missing, or cannot be fetched, or is not what it should be.
        """
        shipped = self._shipped
        folder = named_folder(self.name, self.folder, shipped.archive)
        for place in (folder / shipped.folder, folder):
            if any((place / name).is_file() for name in (*shipped.training, shipped.test)):
                for name in shipped.files:
                    if not (place / name).is_file():
                        raise missing(self.name, name, place)
                return tuple(place / name for name in shipped.files)
        archive = folder / shipped.archive
        if not archive.is_file():
            if not self.allow_download:
                raise missing(self.name, f"{shipped.archive} (or its folder {shipped.folder})", folder)
            download(
                f"{self.address.rstrip('/')}/{shipped.archive}",
                archive,
                name=self.name,
                sha256=self.sha256 or shipped.sha256,
                largest=_LARGEST,
            )
        return (archive,)

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images; a note names an archive that is not the official one."""
        shipped, files = self._shipped, self.files()
        notes: tuple[str, ...] = ()
        if len(files) == 1:
            contents = _members(files[0], shipped.files)
            where = dict.fromkeys(shipped.files, f"{files[0]}: ")
            with open(files[0], "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shipped.sha256:
                    notes = (f"not the official {shipped.archive}, by its SHA-256",)
        else:
            contents = {path.name: _content(path) for path in files}
            where = {path.name: f"{path.parent}: " for path in files}
        names = contents[shipped.class_names].decode("utf-8", "replace").split()
        if len(set(names)) != len(names) or len(names) != shipped.classes:
            raise DataError(
                f"{where[shipped.class_names]}{shipped.class_names} must hold {shipped.classes} different names, but "
                f"holds {len(set(names))}"
            )
        splits = {}
        for split, members in (("training", shipped.training), ("test", (shipped.test,))):
            parts = [_records(where[name] + name, contents[name], shipped) for name in members]
            images, resize_notes = resized(np.concatenate([images for images, _ in parts]), resolution)
            splits[split] = Split(images=images, labels=np.concatenate([labels for _, labels in parts]))
        return SourceImages(class_names=tuple(names), **splits, notes=notes + resize_notes)


def _records(what: str, content: bytes, shipped: Distribution) -> tuple[ByteArray, npt.NDArray[np.int64]]:
    """Return the images (n, 32, 32, 3) and class numbers (n,) of a file's bytes. Raises: DataError."""
    length = shipped.label_bytes + PIXELS
    if not content or len(content) % length:
        raise DataError(f"{what} is {len(content)} bytes long, but must be one or more records of {length}")
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    labels = records[:, shipped.label_bytes - 1].astype(np.int64)
    if labels.max() >= shipped.classes:
        place = int(labels.argmax())
        raise DataError(f"{what}: label {place} is {labels[place]}, but labels are from 0 to {shipped.classes - 1}")
    planes = records[:, shipped.label_bytes :].reshape(-1, CHANNELS, SIDE, SIDE)
    return planes.transpose(0, 2, 3, 1), labels


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})") from None


class _TooLargeError(Exception):
    """An archive that unpacks to more than is read of one."""


class _Bounded(io.BufferedIOBase):
    """A stream of which at most `_LARGEST` bytes are read, whatever a header in it claims."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = _LARGEST

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes. Raises: _TooLargeError."""
        found = self._stream.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise _TooLargeError
        return found


def _members(archive: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the bytes of an archive's members by their last name, in memory. Raises: DataError."""
    found: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as unpacked, tarfile.open(fileobj=_Bounded(unpacked), mode="r|") as file:
            for member in file:
                name = member.name.rpartition("/")[2]
                if name not in names or not member.isfile():
                    continue
                if name in found:
                    raise DataError(f"{archive}: holds {name} twice; fetch the file again")
                opened = file.extractfile(member)
                assert opened is not None  # it is a file
                found[name] = opened.read()
    except _TooLargeError:
        raise DataError(f"{archive}: holds more than the {_LARGEST:,} bytes that are read of it") from None
    except _DAMAGED as problem:
        raise DataError(f"{archive}: the archive is damaged ({problem}); fetch the file again") from None
    for name in names:
        if name not in found:
            raise DataError(f"{archive}: holds no {name}; fetch the file again")
    return found
