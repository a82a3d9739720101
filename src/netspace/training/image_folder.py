"""A folder of images as a data set: one folder per class, every file read, refused or counted, none dropped.

    PATH/CLASS/image                      unsplit: the test split is carved off later
    PATH/{train,val,test}/CLASS/image     split; `validation` may stand for `val`; only `train` is needed

Images are taken in the order of their names, so that the result does not depend on the file system.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from netspace.errors import DataError, did_you_mean
from netspace.training.decoding import EncodedImage
from netspace.training.encoded import Decoding, EncodedSplit, decoded
from netspace.training.splits import SourceImages

_SPLIT_FOLDERS = {"train": "training", "val": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Listing:
    """What stands in the folder: the class names, and per split the files with their class numbers."""

    class_names: tuple[str, ...]
    splits: dict[str, tuple[tuple[Path, int], ...]]
    ignored: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """The images of a folder, any size and any format that pillow reads; `decoding` brings them to squares of bytes."""

    path: Path
    decoding: Decoding = Decoding()
    validation_share: float = 1 / 6

    def files(self) -> tuple[Path, ...]:
        """Return every image file. Raises: DataError where folders are missing, empty or out of place."""
        return _paths(self._listing())

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images as squares of `resolution` pixels a side.

        Raises: DataError where folders are missing, empty or out of place, or an image cannot be read.
        """
        listing = self._listing()
        return decoded(
            {split: self._encoded(entries) for split, entries in listing.splits.items()},
            self.decoding,
            name=self._name,
            resolution=resolution,
            class_names=listing.class_names,
            ignored=listing.ignored,
            files=_paths(listing),
        )

    @property
    def _name(self) -> str:
        return f"folder:{self.path}"

    def _encoded(self, entries: tuple[tuple[Path, int], ...]) -> EncodedSplit:
        def part(first: int, stop: int) -> list[EncodedImage]:
            return [
                EncodedImage(name=path.relative_to(self.path).as_posix(), open=partial(_opened, path))
                for path, _ in entries[first:stop]
            ]

        return EncodedSplit(labels=np.array([label for _, label in entries], np.int64), part=part)

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


def _paths(listing: _Listing) -> tuple[Path, ...]:
    return tuple(path for entries in listing.splits.values() for path, _ in entries)


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


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
