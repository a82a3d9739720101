"""Images and labels as NumPy keeps them: one .npz file of arrays, by the names that are in use.

    x_train, y_train, x_val, y_val, x_test, y_test                                    as Keras names them
    train_images, train_labels, val_images, val_labels, test_images, test_labels      as MedMNIST does
    images, labels                                                                    unsplit

Images are bytes (n, height, width) or (n, height, width, 1 or 3), labels whole numbers (n,) or (n, 1). Only the
training arrays are needed. An array `class_names` of text gives the classes their names. No pickle is ever loaded.
"""

import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from netspace.errors import DataError
from netspace.machine import memory
from netspace.training.datasets import numbered, resized, within
from netspace.training.splits import ByteArray, SourceImages, Split

PAIRS = {
    "training": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels")),
    "validation": (("x_val", "y_val"), ("x_valid", "y_valid"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
"""The names of each split's images and labels."""

CLASS_NAMES = "class_names"
MEMORY_SHARE = 1 / 2
"""Arrays of more than this share of the memory are refused before any of it is taken: splitting them copies them."""
_MAGIC = b"\x93NUMPY"
# NumPy reads an array's header as Python source: a damaged one can fail in the tokenizer or the parser.
_DAMAGED = (OSError, EOFError, ValueError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, KeyError)


@dataclass(frozen=True, slots=True, kw_only=True)
class NpzFile:
    """The images of an .npz file."""

    path: Path
    validation_share: float = 1 / 6

    @property
    def _name(self) -> str:
        return f"npz:{self.path}"

    def files(self) -> tuple[Path, ...]:
        """Return the file. Raises: DataError where there is none."""
        if not self.path.is_file():
            raise DataError(f"{self._name}: {self.path.absolute()} is not a file")
        return (self.path,)

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images; the notes name the arrays that were not used."""
        (path,) = self.files()
        try:
            with open(path, "rb") as file:  # NumPy leaves one open that it opened, where it is damaged
                opened = np.load(file, allow_pickle=False)
                if not isinstance(opened, np.lib.npyio.NpzFile):
                    raise DataError(
                        f"{self._name}: holds one array without a name; save images and labels with np.savez"
                    )
                assert opened.zip is not None  # it has just been opened
                self._check_sizes(opened.zip)
                return self._read(opened, resolution)
        except DataError:
            raise
        except MemoryError:
            raise DataError(f"{self._name}: holds more than the memory does") from None
        except _DAMAGED as problem:
            raise DataError(f"{self._name}: cannot be read as an .npz file ({_one_line(problem)})") from None

    def _check_sizes(self, archive: zipfile.ZipFile) -> None:
        """Check what the arrays would take, which a few compressed bytes can make any number. Raises: DataError."""
        most = int(MEMORY_SHARE * memory())
        taken = sum(entry.file_size for entry in archive.infolist())
        if taken > most:
            raise DataError(
                f"{self._name}: its arrays take {taken / 2**30:,.1f} GiB, and at most {most / 2**30:.1f} GiB of this "
                "machine's memory are given to them"
            )
        for entry in archive.infolist():
            with archive.open(entry) as member:
                if member.read(len(_MAGIC)) != _MAGIC:
                    continue
                member.seek(0)
                shape, _, kind = _header(member)
                if math.prod(shape) * kind.itemsize > entry.file_size:
                    raise DataError(f"{self._name}: {entry.filename} claims the shape {shape}, and is cut short")

    def _read(self, arrays: "np.lib.npyio.NpzFile[Any]", resolution: int | None) -> SourceImages:
        pairs = self._pairs(set(arrays.files))
        labels = {split: self._labels(pair[1], arrays[pair[1]]) for split, pair in pairs.items()}
        named = self._class_names(arrays[CLASS_NAMES]) if CLASS_NAMES in arrays.files else None
        splits: dict[str, Split] = {}
        notes: tuple[str, ...] = ()
        if named is not None:
            class_names, numbers = named, within(self._name, labels, named)
        else:
            class_names, numbers = numbered(self._name, labels)
        for split, (name, labels_name) in pairs.items():
            images = self._images(name, arrays[name])
            if len(images) != len(numbers[split]):
                raise DataError(
                    f"{self._name}: {labels_name} holds {len(numbers[split])} labels, but {name} holds "
                    f"{len(images)} images"
                )
            first = next(iter(splits.values()), None)
            if resolution is None and images.shape[1] != images.shape[2]:
                raise DataError(
                    f"{self._name}: resolution (=None) must be given for {name}, whose images have "
                    f"{images.shape[2]} x {images.shape[1]} pixels; for example {min(images.shape[1:3])}"
                )
            images, notes = resized(images, resolution)
            if first is not None and images.shape[1:] != first.images.shape[1:]:
                raise DataError(
                    f"{self._name}: {name} holds images {images.shape[1:]} (height, width, channels), but the "
                    f"training images are {first.images.shape[1:]}"
                )
            splits[split] = Split(images=images, labels=numbers[split])
        used = {name for pair in pairs.values() for name in pair} | {CLASS_NAMES}
        unused = sorted(set(arrays.files) - used)
        if unused:
            notes = (f"arrays that were not used: {', '.join(unused)}", *notes)
        return SourceImages(class_names=class_names, **splits, notes=notes)

    def _pairs(self, names: set[str]) -> dict[str, tuple[str, str]]:
        """Return the names of each split's images and labels. Raises: DataError."""
        found: dict[str, tuple[str, str]] = {}
        for split, pairs in PAIRS.items():
            for images, labels in pairs:
                if (images in names) != (labels in names):
                    there, absent = (images, labels) if images in names else (labels, images)
                    raise DataError(f"{self._name}: holds {there} but no {absent}")
                if images not in names:
                    continue
                if split in found:
                    raise DataError(f"{self._name}: holds both {found[split][0]} and {images}; keep one")
                found[split] = (images, labels)
        if "training" not in found:
            known = " or ".join(f"{images} and {labels}" for images, labels in PAIRS["training"])
            held = ", ".join(sorted(names)) or "nothing"
            raise DataError(f"{self._name}: must hold {known}, but holds {held}")
        return found

    def _images(self, name: str, images: npt.NDArray[Any]) -> ByteArray:
        """Return images as (n, height, width, channels). Raises: DataError."""
        if images.dtype != np.uint8:
            scaled = "; multiply values from 0 to 1 by 255 and round them" if images.dtype.kind == "f" else ""
            raise DataError(f"{self._name}: {name} holds {images.dtype}, but images must be uint8{scaled}")
        if images.ndim == 3:
            images = images[..., np.newaxis]
        if images.ndim != 4 or 0 in images.shape:
            raise DataError(
                f"{self._name}: {name} has the shape {images.shape}, but images must be (n, height, width) or "
                "(n, height, width, channels), none of them 0"
            )
        if images.shape[3] not in (1, 3):
            first = "; channels stand first: move them last with np.moveaxis(images, 1, 3)"
            hint = first if images.shape[1] in (1, 3) else ""
            raise DataError(
                f"{self._name}: {name} has the shape {images.shape}, whose last number must be 1 or 3 channels{hint}"
            )
        return images

    def _labels(self, name: str, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return labels as (n,). Raises: DataError."""
        if labels.dtype.kind not in "iu":
            raise DataError(f"{self._name}: {name} holds {labels.dtype}, but labels must be whole numbers")
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1 or not len(labels):
            raise DataError(
                f"{self._name}: {name} has the shape {labels.shape}, but labels must be (n,) or (n, 1), one class for "
                "each image"
            )
        return labels

    def _class_names(self, names: npt.NDArray[Any]) -> tuple[str, ...]:
        """Return the names of the classes. Raises: DataError."""
        if names.dtype.kind != "U" or names.ndim != 1 or len(np.unique(names)) != len(names):
            raise DataError(
                f"{self._name}: {CLASS_NAMES} (={names.dtype} {names.shape}) must be one row of different texts"
            )
        return tuple(map(str, names))


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type of an array in NumPy's format. Raises: ValueError."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__
