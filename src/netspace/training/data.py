"""The data set of a study: what its file chooses, and the split, measured and fingerprinted arrays it gives.

Where the images come from stands in `kinds.py`; how they are split in `splits.py`; how they are kept for workers in
`packs.py`.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace import values
from netspace.checks import number, whole
from netspace.errors import DataError
from netspace.training.datasets import ImageSource, listing
from netspace.training.decoding_shards import Room
from netspace.training.encoded import Decoding
from netspace.training.kinds import KINDS, NAMES, Asked, DataName
from netspace.training.splits import Split, divide

DATA_VARIABLE = "NETSPACE_DATA"
SPLITS = ("training", "validation", "test")
_DECODED = ", ".join(name for name in NAMES if KINDS[name.partition(":")[0]].decoded)
_AT_ONCE = 1024  # [images, labels]
PACK_FORMAT = 1
"""Raised whenever equal choices and files begin to give other arrays, so that old packs are written anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChoice:
    """Which images a study uses, and how they are brought to one size and split.

    `name` is one of `kinds.NAMES`. `resolution` [pixels] is the side to which images are brought; None keeps the
    data's own (images that are decoded have none, so they need one). `validation_share` of the training images is
    carved off for validation; None takes the source's own: 1/3 of digits, 1/12 of Fashion-MNIST, 1/10 of CIFAR, 1/6
    of any other without validation images. `training_share` of the others is used; a smaller share is a subset of a
    larger. For images that are decoded, `grayscale` makes one channel and `skip_unreadable` leaves out, with a note,
    those that cannot be read.

    >>> DataChoice(name="digits", training_share=0.1).resolution is None
    True
    """

    name: str
    resolution: int | None = None
    validation_share: float | None = None
    training_share: float = 1.0
    grayscale: bool = False
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        kind = DataName.of(self.name).kind
        if self.resolution is not None:
            whole(self, "resolution", DataError)
        elif kind.decoded:
            raise DataError(
                f"resolution (=None) must be given for {self.name!r}, whose images may differ in size; for example 96"
            )
        if self.validation_share is not None:
            number(self, "validation_share", DataError, above=True, maximum=0.9)
        number(self, "training_share", DataError, above=True, maximum=1.0)
        for field in ("grayscale", "skip_unreadable"):
            if getattr(self, field) and not kind.decoded:
                raise DataError(f"{field} (=True) is for {_DECODED} only; leave it out for {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """The images of a choice, split. `test` is None where it was not opened.

    `mean` and `std` have one number per channel, of the training pixels in [0, 1]; std is 1 for a constant
    channel. `fingerprint` is the content digest of all three splits; `notes` say in words what was skipped or
    converted. `source_key` says from which choice and files the images were read.
    Raises: DataError where the parts do not fit one another.
    """

    choice: DataChoice
    class_names: tuple[str, ...]
    training: Split
    validation: Split
    test: Split | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()
    source_key: str | None = None

    def __post_init__(self) -> None:
        shape = (self.resolution, self.resolution, self.in_channels)
        for name in SPLITS:
            split: Split | None = getattr(self, name)
            if split is None:
                continue
            if split.images.shape[1:] != shape:
                raise DataError(f"{name} images are {split.images.shape[1:]}, but must be {shape} as the first")
            if split.labels.min() < 0 or split.labels.max() >= self.num_classes:
                raise DataError(
                    f"{name} labels are from {split.labels.min()} to {split.labels.max()}, but must be from "
                    f"0 to {self.num_classes - 1}"
                )
        if len(self.mean) != self.in_channels or len(self.std) != self.in_channels:
            raise DataError(f"mean and std must have {self.in_channels} numbers, one for each channel")

    @property
    def name(self) -> str:
        """The name in the choice."""
        return self.choice.name

    @property
    def in_channels(self) -> int:
        """The channels of an image: 1 or 3."""
        return int(self.training.images.shape[3])

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def resolution(self) -> int:
        """The side of an image [pixels]."""
        return int(self.training.images.shape[1])


def load(choice: DataChoice, *, data_dir: Path | None = None, allow_download: bool = False) -> Dataset:
    """Read and split the images of a choice.

    `data_dir` holds the files of a named data set; None means the environment variable NETSPACE_DATA.
    Raises: DataError where files are missing or damaged, or a class is left without images in a split.

    >>> data = load(DataChoice(name="digits"))
    >>> data.training.images.shape, len(data.validation), len(data.test)
    ((1000, 8, 8, 1), 500, 297)
    """
    return read_and_split(choice, open_source(choice, data_dir, allow_download))


def open_source(choice: DataChoice, data_dir: Path | None, allow_download: bool, room: Room = Room()) -> ImageSource:
    """Return where the images of a choice come from, unread, and where they go if they are decoded."""
    named = os.environ.get(DATA_VARIABLE)
    name = DataName.of(choice.name)
    return name.kind.open(
        Asked(
            place=name.place,
            options=name.options,
            folder=data_dir if data_dir is not None else Path(named).expanduser() if named else None,
            allow_download=allow_download,
            decoding=Decoding(grayscale=choice.grayscale, skip_unreadable=choice.skip_unreadable, room=room),
        )
    )


def source_key(choice: DataChoice, files: Sequence[Path]) -> str:
    """Return the digest of a choice and of name, size and time of change of the files that it reads."""
    return values.digest({"format": PACK_FORMAT, "choice": values.digest(choice), "files": listing(files)})


def read_and_split(choice: DataChoice, source: ImageSource) -> Dataset:
    """Read a source, divide its images as the choice says, and take their measure."""
    # Taken before reading: files that change meanwhile must not pass for those that were read.
    key = source_key(choice, source.files())
    found = source.read(choice.resolution)
    if found.validation is not None and choice.validation_share is not None:
        raise DataError(
            f"validation_share (={choice.validation_share:g}) must be left out for {choice.name!r}, which "
            "brings its own validation images"
        )
    if len(found.class_names) < 2:
        raise DataError(f"{choice.name}: all images are of one class; a network tells at least two apart")
    share = source.validation_share if choice.validation_share is None else choice.validation_share
    training, validation, test, notes = divide(
        found, name=choice.name, validation_share=share, training_share=choice.training_share
    )
    mean, std = training.mean_and_std()
    constant = tuple(
        f"channel {channel} is constant over the training images: its std is taken as 1"
        for channel, deviation in enumerate(std)
        if deviation == 0
    )
    return Dataset(
        choice=choice,
        class_names=found.class_names,
        training=training,
        validation=validation,
        test=test,
        mean=mean,
        std=tuple(deviation or 1.0 for deviation in std),
        fingerprint=content_digest(found.class_names, named_arrays(training, validation, test)),
        notes=found.notes + notes + constant,
        source_key=key,
    )


def named_arrays(training: Split, validation: Split, test: Split) -> dict[str, Any]:
    """Return the six arrays of a data set, by the names that they have in a pack; images may be shards."""
    named = zip(SPLITS, (training, validation, test), strict=True)
    return {f"{name}-{part}": getattr(split, part) for name, split in named for part in ("images", "labels")}


def content_digest(class_names: Sequence[str], arrays: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits of SHA-256 over class names, shapes and the bytes of all arrays, read in pieces."""
    shapes = {name: array.shape for name, array in arrays.items()}
    found = hashlib.sha256(json.dumps([class_names, shapes], sort_keys=True).encode())
    for name in sorted(arrays):
        for piece in pieces(arrays[name]):
            found.update(np.ascontiguousarray(piece, piece.dtype.newbyteorder("<")).data)
    return found.hexdigest()[:32]


def pieces(array: Any) -> Iterator[npt.NDArray[Any]]:
    """Yield an array, or images in shards, a few at a time."""
    for first in range(0, len(array), _AT_ONCE):
        yield array[first : first + _AT_ONCE]
