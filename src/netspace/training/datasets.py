"""What a source of images is, and the bundled one: digits.

A source lists its files and reads them, as their owner ships them; it carves nothing. The others have a file
each: `fashion_mnist` and `image_folder`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from netspace.errors import DataError
from netspace.training.splits import ByteArray, SourceImages, Split


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
    """Return one-channel square images brought to `resolution` by pillow's bilinear filter, and the note."""
    side = images.shape[1]
    if resolution is None or resolution == side:
        return images, ()
    from PIL import Image

    resized = empty_images(len(images), resolution, 1)
    for place, image in zip(resized, images, strict=True):
        small = Image.fromarray(image[..., 0])
        place[..., 0] = small.resize((resolution, resolution), Image.Resampling.BILINEAR)
    return resized, (f"images were resized from {side} to {resolution} pixels a side (bilinear)",)
