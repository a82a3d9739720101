"""Images that are still files, such as JPEG, brought to squares of bytes: every one is read, refused or counted.

An image is turned as its EXIF orientation says, converted to RGB or to one channel, composited on white where it is
transparent, scaled so that its shorter side is the resolution (bilinear over all pixels that a target pixel covers) and
cropped at the centre. Colour profiles are not applied; of an animation the first frame counts.

What is a small share of the memory is decoded in this process into one array; what is not, by workers into shards
(`decoding_shards.py`).
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from netspace.errors import DataError
from netspace.training.datasets import empty_images
from netspace.training.shards import ByteArray, Images

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # the EXIF tag


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedImage:
    """An image that is still a file: what errors call it, and how its bytes are opened."""

    name: str
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What images are brought to: squares of `resolution` pixels a side, with one channel (`grayscale`) or three."""

    resolution: int
    grayscale: bool = False

    @property
    def image_bytes(self) -> int:
        """The size of an image [bytes]."""
        return self.resolution**2 * self.channels

    @property
    def channels(self) -> int:
        """The channels of an image."""
        return 1 if self.grayscale else 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """Images that could be read, in their order; the others by their places and what is wrong with them.

    `remarks` count what was converted.
    """

    images: Images
    unreadable: Mapping[int, str]
    remarks: Counter[str]


def decode(images: Iterable[EncodedImage], count: int, target: Target) -> Decoded:
    """Return `count` images, decoded one after the other. Raises: DataError where there are fewer, or memory is."""
    squares = empty_images(count, target.resolution, target.channels)
    remarks: Counter[str] = Counter()
    unreadable: dict[int, str] = {}
    place = -1
    for place, image in enumerate(images):
        try:
            squares[place - len(unreadable)] = _square(image.open, target, remarks)
        except MemoryError:
            raise
        # pillow's many parsers raise whatever they trip over when a file is damaged.
        except Exception as problem:
            unreadable[place] = f"{image.name} ({_reason(problem)})"
    if place + 1 != count:
        raise DataError(f"{count} images were found and {place + 1} read: files have changed meanwhile; try again")
    return Decoded(images=squares[: count - len(unreadable)], unreadable=unreadable, remarks=remarks)


def _square(open_image: Callable[[], IO[bytes]], target: Target, remarks: Counter[str]) -> ByteArray:
    """Return one image as `(resolution, resolution, channels)`; count in `remarks` what was converted."""
    from PIL import Image, ImageOps

    resolution = target.resolution
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
            image = _plain(ImageOps.exif_transpose(opened), "L" if target.grayscale else "RGB", found)
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
