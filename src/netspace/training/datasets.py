"""What a source of images is, and the bundled one: digits.

A source lists its files and reads them, as their owner ships them; it carves nothing. The others have a file
each, and `kinds.py` lists them all.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from netspace.errors import DataError, did_you_mean
from netspace.training.splits import ByteArray, LabelArray, SourceImages, Split


class ImageSource(Protocol):
    """Where images come from.

    `files` returns the paths of the files that decide the content, each relative to nothing but itself, in a
    fixed order, and raises DataError where one is missing. `read` returns the images as squares of
    `resolution` pixels (None: as they are) and raises DataError, naming the file, where one is damaged.
    """

    @property
    def validation_share(self) -> float:
        """The share of the training images that is carved off for validation unless the choice says."""

    def files(self) -> tuple[Path, ...]:
        """Return the files that decide the content; none for a bundled source."""

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images, brought to `resolution` pixels a side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels; the last 297 are the test split.

    Source: Alpaydin and Kaynak 1998, *Optical Recognition of Handwritten Digits*, UCI repository.
    """

    validation_share: float = 1 / 3

    def files(self) -> tuple[Path, ...]:
        """Return nothing: the images come with scikit-learn."""
        return ()

    def read(self, resolution: int | None) -> SourceImages:
        """Return 1,500 training and 297 test images; the values 0..16 become bytes."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
        labels = bunch.target.astype(np.int64)
        images, notes = resized(images, resolution)
        return SourceImages(
            class_names=tuple(str(digit) for digit in range(10)),
            training=Split(images=images[:1500], labels=labels[:1500]),
            test=Split(images=images[1500:], labels=labels[1500:]),
            notes=notes,
        )


def listing(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Return name, size [bytes] and time of change [ns] of files, by which they count as the same."""
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    found: list[tuple[str, int, int]] = []
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        try:
            status = path.stat()
        except OSError:
            # A link that leads nowhere: reading it will say so.
            found.append((name, -1, 0))
        else:
            found.append((name, status.st_size, status.st_mtime_ns))
    return found


def empty_images(count: int, resolution: int, channels: int) -> ByteArray:
    """Return room for square images, `(count, resolution, resolution, channels)`.

    Raises: DataError where memory does not hold them.
    """
    try:
        return np.empty((count, resolution, resolution, channels), np.uint8)
    except (MemoryError, ValueError):
        gibibytes = count * resolution**2 * channels / 2**30
        raise DataError(
            f"resolution (={resolution}): {count} images of that side take {gibibytes:.0f} GiB, more than "
            "the memory holds; choose a smaller one"
        ) from None


def resized(images: ByteArray, resolution: int | None) -> tuple[ByteArray, tuple[str, ...]]:
    """Return images brought to squares of `resolution` by pillow's bilinear filter, and the note.

    Images that are no squares are cropped at the centre; without a resolution they must be squares.
    """
    height, width, channels = images.shape[1:]
    if resolution is None or resolution == height == width:
        return images, ()
    from PIL import Image

    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    squares = empty_images(len(images), resolution, channels)
    for place, image in zip(squares, images, strict=True):
        for channel in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            place[..., channel] = plane.resize(
                (resolution, resolution), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
            )
    cropped = "" if height == width else f"cropped from {width} x {height} pixels to squares and "
    return squares, (f"images were {cropped}resized from {side} to {resolution} pixels a side (bilinear)",)


def numbered(name: str, labels: Mapping[str, npt.NDArray[Any]]) -> tuple[tuple[str, ...], dict[str, LabelArray]]:
    """Return the classes of the training labels in their order, as text, and each split's labels as class numbers.

    Labels are whole numbers or text, by the name of their split. `name` begins the sentence of an error.
    Raises: DataError where a split has a class that no training image has, or a number is below 0.
    """
    classes = np.unique(labels["training"])
    found = {}
    for split, given in labels.items():
        if given.dtype.kind in "iu" and given.min() < 0:
            raise DataError(
                f"{name}: label {int(given.argmin())} of the {split} images is {given.min()}, but must be at least 0"
            )
        places = np.minimum(np.searchsorted(classes, given), len(classes) - 1)
        strange = np.flatnonzero(classes[places] != given)
        if len(strange):
            text = str(given[strange[0]])
            hint = did_you_mean(text, map(str, classes)) if given.dtype.kind == "U" else ""
            raise DataError(f"{name}: label {text!r} of the {split} images is none of the training images{hint}")
        found[split] = places.astype(np.int64)
    return tuple(map(str, classes)), found


def within(name: str, labels: Mapping[str, npt.NDArray[Any]], class_names: tuple[str, ...]) -> dict[str, LabelArray]:
    """Return labels that are the places of `class_names`. Raises: DataError where one is not."""
    for split, given in labels.items():
        outside = np.flatnonzero((given < 0) | (given >= len(class_names)))
        if len(outside):
            raise DataError(
                f"{name}: label {outside[0]} of the {split} images is {given[outside[0]]}, but labels are from 0 to "
                f"{len(class_names) - 1}"
            )
    return {split: given.astype(np.int64) for split, given in labels.items()}
