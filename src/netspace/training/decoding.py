"""Images that are still files, such as JPEG, brought to squares of bytes: every one is read, refused or counted.

An image is turned as its EXIF orientation says, converted to RGB or to one channel, composited on white where it is
transparent, scaled so that its shorter side is the resolution (bilinear over all pixels that a target pixel covers) and
cropped at the centre. Colour profiles are not applied; of an animation the first frame counts.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from netspace.errors import DataError
from netspace.training.datasets import empty_images
from netspace.training.splits import ByteArray, SourceImages, Split

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # the EXIF tag
_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How images are decoded: to one channel (`grayscale`) or three, unreadable ones left out or refused."""

    grayscale: bool = False
    skip_unreadable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedImage:
    """An image that is still a file: what errors call it, its class number, and how its bytes are opened."""

    name: str
    label: int
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedSplit:
    """How many images a split has, and these one after the other."""

    count: int
    images: Iterable[EncodedImage]


def decoded(
    splits: Mapping[str, EncodedSplit],
    decoding: Decoding,
    *,
    name: str,
    resolution: int | None,
    class_names: tuple[str, ...],
    ignored: Counter[str],
) -> SourceImages:
    """Return the images of all splits as squares of `resolution` pixels a side.

    `name` begins the sentence of an error; `ignored` counts what was left aside before, for the notes. With
    `skip_unreadable` the notes name the images that cannot be read.
    Raises: DataError where an image cannot be read, or none of a split.
    """
    if resolution is None:
        raise DataError(f"{name}: resolution (=None) must be given; for example resolution = 96")
    remarks: Counter[str] = Counter()
    unreadable: list[str] = []
    read: dict[str, Split] = {}
    for split, encoded in splits.items():
        squares = empty_images(encoded.count, resolution, 1 if decoding.grayscale else 3)
        labels: list[int] = []
        for image in encoded.images:
            try:
                squares[len(labels)] = _square(image.open, resolution, decoding.grayscale, remarks)
            except MemoryError:
                raise
            # pillow's many parsers raise whatever they trip over when a file is damaged.
            except Exception as problem:
                unreadable.append(f"{image.name} ({_reason(problem)})")
            else:
                labels.append(image.label)
        if labels:
            read[split] = Split(images=squares[: len(labels)], labels=np.array(labels, np.int64))
    total = sum(encoded.count for encoded in splits.values())
    if unreadable and not decoding.skip_unreadable:
        raise DataError(
            f"{name}: {len(unreadable)} of {total} images cannot be read: {_first(unreadable)}; "
            "remove them, or leave them out with skip_unreadable = true"
        )
    for split in splits:
        if split not in read:
            raise DataError(f"{name}: none of the images for {split} can be read")
    notes = [f"{what}: {count}" for what, count in sorted((ignored + remarks).items())]
    if unreadable:
        notes.insert(0, f"unreadable images skipped: {len(unreadable)} of {total}, namely {', '.join(unreadable)}")
    return SourceImages(class_names=class_names, **read, notes=tuple(notes))


def _square(open_image: Callable[[], IO[bytes]], resolution: int, grayscale: bool, remarks: Counter[str]) -> ByteArray:
    """Return one image as `(resolution, resolution, channels)`; count in `remarks` what was converted."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # pillow only warns of an image with more pixels than it takes for honest; here that is an error.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with open_image() as file, Image.open(file) as opened:
            found = []
            if getattr(opened, "is_animated", False):
                found.append("images of several frames of which the first was used")
            if opened.getexif().get(_ORIENTATION, 1) != 1:
                found.append("images turned as their EXIF orientation says")
            image = _plain(ImageOps.exif_transpose(opened), "L" if grayscale else "RGB", found)
        side = min(image.size)
        if side < resolution:
            found.append(f"images smaller than {resolution} pixels enlarged")
        left, top = (image.width - side) / 2, (image.height - side) / 2
        # Cropping inside the resize equals scaling first, without the memory of a long strip enlarged.
        image = image.resize(
            (resolution, resolution), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
        )
    remarks.update(found)
    remarks.update(f"images read with pillow's warning: {warning.message}" for warning in caught)
    return np.asarray(image).reshape(resolution, resolution, -1)


def _plain(image: "Image", mode: str, found: list[str]) -> "Image":
    """Return an image in mode L or RGB; add to `found` what that took.

    Raises: ValueError where the pixels have no fixed white (32 bits and more).
    """
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its floating-point pixels have no fixed white")
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("its 32-bit pixels have no fixed white")
        found.append("16-bit images reduced to 8 bits")
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info:
        alpha = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        if alpha.getchannel("A").getextrema() != (255, 255):
            found.append("images with transparency composited on white")
        image = Image.alpha_composite(Image.new("RGBA", alpha.size, "white"), alpha).convert("RGB")
    elif image.mode not in {"L", "RGB"}:
        found.append(f"images converted from pillow's mode {image.mode}")
    elif image.mode == "L" and mode == "RGB":
        found.append("gray images given three equal channels")
    return image.convert(mode)


def _reason(problem: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(problem, UnidentifiedImageError):
        return "no image that pillow knows"
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return " ".join(str(text).split())


def _first(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
