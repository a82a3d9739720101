"""Fashion-MNIST: four IDX files in a folder, checked byte for byte, fetched where that is asked for."""

import gzip
import hashlib
import io
import math
import zlib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from netspace.errors import DataError
from netspace.training.datasets import resized
from netspace.training.downloads import download, missing, named_folder
from netspace.training.splits import ByteArray, SourceImages, Split

ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# SHA-256 of the decompressed bytes: a recompressed copy is as good as the official one.
SHA256: Mapping[str, str] = MappingProxyType(
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
)
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
# More than any of the four files decompressed [bytes], so that neither a broken server nor a file fills the memory.
_LARGEST = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class FashionMnist:
    """Fashion-MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels in four IDX files.

    The files, gzipped or not, lie in `folder`. With `allow_download` those that are missing are fetched from
    `address`; each must decompress to the bytes of its SHA-256 in `checksums`.
    Source: Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747.
    """

    folder: Path | None
    allow_download: bool = False
    address: str = ADDRESS
    checksums: Mapping[str, str] = field(default_factory=lambda: SHA256)
    validation_share: float = 1 / 12

    def files(self) -> tuple[Path, ...]:
        """Return the four files, fetched first where they are missing and may be.

        Raises: DataError where one is missing, or cannot be fetched, or is not what it should be.
        """
        folder = named_folder("fashion_mnist", self.folder, "train-images-idx3-ubyte")
        found = []
        for name in SHA256:
            plain, packed = folder / name, folder / f"{name}.gz"
            if not plain.is_file() and not packed.is_file():
                if not self.allow_download:
                    raise missing("fashion_mnist", f"{name} (or {name}.gz)", folder)
                download(
                    f"{self.address.rstrip('/')}/{name}.gz",
                    packed,
                    name="fashion_mnist",
                    sha256=self.checksums[name],
                    largest=_LARGEST,
                    of="its decompressed bytes",
                    content=_decompressed_safely,
                )
            found.append(plain if plain.is_file() else packed)
        return tuple(found)

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images; a note names each file that is not the official one."""
        paths = self.files()
        contents = [_decompressed(path) for path in paths]
        foreign = [
            path.name
            for path, content, official in zip(paths, contents, SHA256.values(), strict=True)
            if hashlib.sha256(content).hexdigest() != official
        ]
        notes: tuple[str, ...] = ()
        if foreign:
            notes = (f"not the official Fashion-MNIST, by their SHA-256: {', '.join(foreign)}",)
        training, resize_notes = _idx_split(paths[:2], contents[:2], resolution)
        test, _ = _idx_split(paths[2:], contents[2:], resolution)
        return SourceImages(
            class_names=CLASSES,
            training=training,
            test=test,
            notes=notes + resize_notes,
        )


def _decompressed(path: Path) -> bytes:
    """Return the bytes of a file, decompressed where they begin as gzip does, whatever its name. Raises: DataError."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else nullcontext(file) as opened:
                content = opened.read(_LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise DataError(f"{path}: the gzip data is damaged ({problem}); fetch the file again") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})") from None
    if len(content) > _LARGEST:
        raise DataError(f"{path}: holds more than the {_LARGEST:,} bytes that are read; no file of Fashion-MNIST does")
    return content


def _idx_split(paths: tuple[Path, ...], contents: list[bytes], resolution: int | None) -> tuple[Split, tuple[str, ...]]:
    """Return the split of an image file and a label file, checked, and the notes of its resizing."""
    images, labels = _idx_array(paths[0], contents[0], 3), _idx_array(paths[1], contents[1], 1)
    if images.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{paths[0]}: images are {images.shape[1]} x {images.shape[2]} pixels, not 28 x 28")
    if len(images) != len(labels):
        raise DataError(f"{paths[1]}: holds {len(labels)} labels, but {paths[0].name} holds {len(images)} images")
    if labels.max() >= len(CLASSES):
        place = int(labels.argmax())
        raise DataError(f"{paths[1]}: label {place} is {labels[place]}, but labels are from 0 to 9")
    pixels, notes = resized(images[..., np.newaxis], resolution)
    return Split(images=pixels, labels=labels.astype(np.int64)), notes


def _idx_array(path: Path, content: bytes, dimensions: int) -> ByteArray:
    """Return the array of an IDX file of bytes: magic number, `dimensions` sizes (big-endian), values.

    Source: LeCun, Cortes and Burges, *The MNIST database*, section "file formats".
    """
    magic, found = 0x0800 + dimensions, int.from_bytes(content[:4], "big")
    if found != magic:
        raise DataError(f"{path}: begins with the magic number {found}, but a file of its kind has {magic}")
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path}: ends after {len(content)} bytes, inside its header of {header}")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    if len(content) != header + math.prod(shape):
        raise DataError(
            f"{path}: is {len(content)} bytes long, but its header (sizes {shape}) asks for {header + math.prod(shape)}"
        )
    if 0 in shape:
        raise DataError(f"{path}: holds nothing (sizes {shape})")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _decompressed_safely(packed: bytes) -> bytes | None:
    """Return gzip data decompressed, no more of it than a file of Fashion-MNIST has; None where it is damaged."""
    try:
        with gzip.open(io.BytesIO(packed)) as file:
            return file.read(_LARGEST)
    except (OSError, EOFError, zlib.error):
        return None
