"""A folder of images as a data set: one folder per class, every file read, refused or counted, none dropped.

    PATH/CLASS/image                      unsplit: the test split is carved off later
    PATH/{train,val,test}/CLASS/image     split; `validation` may stand for `val`; only `train` is needed

Images are taken in the order of their names, so that the result does not depend on the file system.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netspace.errors import DataError, did_you_mean
from netspace.training.datasets import empty_images
from netspace.training.splits import ByteArray, SourceImages, Split

if TYPE_CHECKING:
    from PIL.Image import Image

_SPLIT_FOLDERS = {"train": "training", "val": "validation", "validation": "validation", "test": "test"}
_ORIENTATION = 0x0112  # the EXIF tag
_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Listing:
    """What stands in the folder: the class names, and per split the files with their class numbers."""

    class_names: tuple[str, ...]
    splits: dict[str, tuple[tuple[Path, int], ...]]
    ignored: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """The images of a folder, any size and any format that pillow reads, as squares of bytes.

    An image is turned as its EXIF orientation says, converted to RGB (`grayscale`: to one channel),
    composited on white where it is transparent, scaled so that its shorter side is the resolution (bilinear
    over all pixels that a target pixel covers) and cropped at the centre. Colour profiles are not applied; of
    an animation the first frame counts. `skip_unreadable` leaves out the images that cannot be read and names
    them in the notes.
    """

    path: Path
    grayscale: bool = False
    skip_unreadable: bool = False
    validation_share: float = 1 / 6

    def files(self) -> tuple[Path, ...]:
        """Return every image file. Raises: DataError where folders are missing, empty or out of place."""
        return tuple(path for entries in self._listing().splits.values() for path, _ in entries)

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images as squares of `resolution` pixels a side.

        Raises: DataError where folders are missing, empty or out of place, or an image cannot be read.
        """
        if resolution is None:
            raise DataError(f"{self._name}: resolution (=None) must be given; for example resolution = 96")
        listing = self._listing()
        remarks: Counter[str] = Counter()
        unreadable: list[str] = []
        splits = {}
        for split, entries in listing.splits.items():
            images = empty_images(len(entries), resolution, 1 if self.grayscale else 3)
            labels: list[int] = []
            for path, label in entries:
                try:
                    images[len(labels)] = _square(path, resolution, self.grayscale, remarks)
                except MemoryError:
                    raise
                # pillow's many parsers raise whatever they trip over when a file is damaged.
                except Exception as problem:
                    unreadable.append(f"{path.relative_to(self.path).as_posix()} ({_reason(problem)})")
                else:
                    labels.append(label)
            if labels:
                splits[split] = Split(images=images[: len(labels)], labels=np.array(labels, np.int64))
        total = sum(len(entries) for entries in listing.splits.values())
        if unreadable and not self.skip_unreadable:
            raise DataError(
                f"{self._name}: {len(unreadable)} of {total} images cannot be read: {_first(unreadable)}; "
                "remove them, or leave them out with skip_unreadable = true"
            )
        for split in listing.splits:
            if split not in splits:
                raise DataError(f"{self._name}: none of the images for {split} can be read")
        notes = [f"{what}: {count}" for what, count in sorted((listing.ignored + remarks).items())]
        if unreadable:
            notes.insert(0, f"unreadable images skipped: {len(unreadable)} of {total}, namely {', '.join(unreadable)}")
        return SourceImages(class_names=listing.class_names, **splits, notes=tuple(notes))

    @property
    def _name(self) -> str:
        return f"folder:{self.path}"

    def _listing(self) -> _Listing:
        if not self.path.is_dir():
            raise DataError(f"{self._name}: {self.path.absolute()} is not a folder")
        ignored: Counter[str] = Counter()
        roots = self._roots(ignored)
        class_folders = {split: dict(_folders(root, ignored)) for split, root in roots.items()}
        class_names = tuple(class_folders["training"])
        if len(class_names) < 2:
            held = f"only one, {class_names[0]!r}" if class_names else "none"
            raise DataError(
                f"{self._name}: {roots['training']} must hold a folder for each of at least two classes, but "
                f"holds {held}"
            )
        splits = {}
        for split, folders in class_folders.items():
            entries: list[tuple[Path, int]] = []
            for name, folder in folders.items():
                if name not in class_names:
                    hint = did_you_mean(name, class_names)
                    raise DataError(f"{self._name}: class {name!r} of {roots[split].name}/ is no class of train/{hint}")
                files = list(_image_files(folder, ignored))
                if not files:
                    raise DataError(
                        f"{self._name}: class folder {folder.relative_to(self.path).as_posix()!r} holds no "
                        "image (folders inside it are not searched; folders of splits are called train, val "
                        "and test); remove it or fill it"
                    )
                entries += ((file, class_names.index(name)) for file in files)
            if not entries:
                raise DataError(f"{self._name}: {roots[split].name}/ holds no class folder; remove it or fill it")
            splits[split] = tuple(entries)
        return _Listing(class_names=class_names, splits=splits, ignored=ignored)

    def _roots(self, ignored: Counter[str]) -> dict[str, Path]:
        """Return the folder of each split, or the whole as the training split where it is unsplit."""
        train = self.path / "train"
        # A folder `train` without folders in it is a class, of trains.
        if not train.is_dir() or not any(_folders(train, Counter())):
            return {"training": self.path}
        roots: dict[str, Path] = {}
        for name, folder in _folders(self.path, ignored):
            split = _SPLIT_FOLDERS.get(name)
            if split is None:
                raise DataError(
                    f"{self._name}: folder {name!r} stands beside train/ but is none of val, validation, test"
                )
            if split in roots:
                raise DataError(f"{self._name}: holds both val/ and validation/; keep one")
            roots[split] = folder
        return roots


def _entries(folder: Path, ignored: Counter[str]) -> Iterator[Path]:
    """Yield what a folder holds, in the order of names; count what is hidden."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as problem:
        raise DataError(f"{folder}: cannot be listed ({problem.strerror})") from None
    for path in paths:
        if path.name.startswith("."):
            ignored["hidden files or folders ignored"] += 1
        else:
            yield path


def _folders(folder: Path, ignored: Counter[str]) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each folder in a folder; count what else is there."""
    for path in _entries(folder, ignored):
        if path.is_dir():
            yield path.name, path
        else:
            ignored["files outside class folders ignored"] += 1


def _image_files(folder: Path, ignored: Counter[str]) -> Iterator[Path]:
    """Yield the files that have the suffix of an image; count what else is there."""
    from PIL import Image

    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    for path in _entries(folder, ignored):
        if path.is_dir():
            ignored["folders inside class folders ignored"] += 1
        elif path.suffix.lower() in suffixes:
            yield path
        else:
            ignored["files without the suffix of an image ignored"] += 1


def _square(path: Path, resolution: int, grayscale: bool, remarks: Counter[str]) -> ByteArray:
    """Return one image as `(resolution, resolution, channels)`; count in `remarks` what was converted."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # pillow only warns of an image with more pixels than it takes for honest; here that is an error.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with open(path, "rb") as file, Image.open(file) as opened:
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
