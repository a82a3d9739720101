"""Which image belongs to which split: one fixed, stratified rule that no seed of a study changes.

Every image has a fixed random number. Each class is ordered by it, and the classes are then interleaved
evenly, so that every prefix of that order holds each class in its proportion. A share is a prefix: its total
is exact, and a smaller share is a subset of a larger one. Rounding every class by largest remainder would not
nest, because raising the total can take an image from a class (the Alabama paradox).
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from netspace.errors import DataError
from netspace.training.shards import ByteArray as ByteArray
from netspace.training.shards import Images, Shards
from netspace.training.shards import IndexArray as IndexArray

LabelArray = npt.NDArray[np.int64]

Purpose = Literal["test", "validation", "training"]
# One stream of fixed numbers per purpose: what is drawn for validation says nothing about the training share.
_KEYS: dict[Purpose, int] = {"test": 1, "validation": 2, "training": 3}
TEST_SHARE = 1 / 6
_CHUNK = 256  # [images] squared at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Images `(images, height, width, channels)` in bytes and their class numbers `(images,)`; read-only.

    The arrays may be memory maps, and the images may lie in shards.
    Raises: DataError where the shapes or types do not fit, or where there is no image.
    """

    images: Images
    labels: LabelArray

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
            raise DataError(
                f"images (={images.dtype} {images.shape}) must be uint8 (images, height, width, channels), "
                "none of them 0"
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"labels (={labels.dtype} {labels.shape}) must be int64 ({len(images)},), one for each image"
            )
        if not isinstance(images, Shards):
            object.__setattr__(self, "images", _read_only(images))
        object.__setattr__(self, "labels", _read_only(labels))

    def __len__(self) -> int:
        return len(self.labels)

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation of each channel, of pixels in [0, 1].

        Sums are of integers, so that the result is the same on every machine. A constant channel has std 0.
        """
        count, height, width, channels = self.images.shape
        sums, squares = np.zeros((2, channels), np.int64)
        for start in range(0, count, _CHUNK):
            chunk = self.images[start : start + _CHUNK]
            sums += chunk.sum(axis=(0, 1, 2), dtype=np.int64)
            squares += np.square(chunk, dtype=np.uint16).sum(axis=(0, 1, 2), dtype=np.int64)
        pixels = count * height * width
        means = (int(total) / (255 * pixels) for total in sums)
        # Python's integers hold pixels^2 exactly, where the int64 of NumPy would overflow.
        variances = (pixels * int(s) - int(t) ** 2 for t, s in zip(sums, squares, strict=True))
        return tuple(means), tuple(math.sqrt(variance) / (255 * pixels) for variance in variances)

    def take(self, indices: IndexArray) -> "Split":
        """Return the images at the given ascending indices; all of them, and those in shards, without a copy."""
        if len(indices) == len(self):
            return self
        images = self.images
        taken = images.take(indices) if isinstance(images, Shards) else images[indices]
        return Split(images=taken, labels=self.labels[indices])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceImages:
    """All images of a source, undivided; a split that it does not ship is None.

    `notes` say what was skipped or converted.
    """

    class_names: tuple[str, ...]
    training: Split
    validation: Split | None = None
    test: Split | None = None
    notes: tuple[str, ...] = ()


def carve(labels: LabelArray, share: float, purpose: Purpose) -> tuple[IndexArray, IndexArray]:
    """Return the ascending indices of a stratified share of the images and those of the rest.

    The share has round(share x images) images, half to even. With C classes and n images of which n_c are of
    class c, it holds share x n_c of them, give or take 1/2 + n_c (C + 1) / 2n.
    Source: the order is Sainte-Laguë's (Balinski and Young 1982, *Fair Representation*).

    >>> taken, rest = carve(np.repeat([0, 1], 6), 1 / 3, "validation")
    >>> np.repeat([0, 1], 6)[taken].tolist(), len(rest)
    ([0, 0, 1, 1], 8)
    """
    # A bit generator's raw numbers are the same in every version of NumPy; those of `Generator` need not be.
    numbers = np.random.Philox(key=_KEYS[purpose]).random_raw(len(labels))
    by_class = np.lexsort((numbers, labels))
    sorted_labels = labels[by_class]
    counts = np.bincount(sorted_labels)
    rank = np.arange(len(labels)) - (np.cumsum(counts) - counts)[sorted_labels]
    order = by_class[np.lexsort((sorted_labels, (rank + 0.5) / counts[sorted_labels]))]
    total = round(share * len(labels))
    return np.sort(order[:total]), np.sort(order[total:])


def divide(
    found: SourceImages, *, name: str, validation_share: float, training_share: float
) -> tuple[Split, Split, Split, tuple[str, ...]]:
    """Return the training, validation and test split of a source, and notes on what was left out.

    A split that the source does not ship is carved off its training images: first the test split (1/6), then
    the validation split. `training_share` of what remains is used. `name` begins the sentence of an error.
    Raises: DataError where a class keeps no training or no validation image.
    """
    given, labels = found.training, found.training.labels
    notes = []
    rest: IndexArray = np.arange(len(given))
    no_images: IndexArray = np.arange(0)
    tested, validated = no_images, no_images
    if found.test is None:
        tested, rest = carve(labels, TEST_SHARE, "test")
        notes.append(f"no test images were given: {len(tested)} of {len(given)} images were set aside")
    candidates = rest
    if found.validation is None:
        taken, left = carve(labels[rest], validation_share, "validation")
        validated, rest = rest[taken], rest[left]
    if training_share < 1:
        taken, left = carve(labels[rest], training_share, "training")
        notes.append(f"training_share {training_share:g}: {len(taken)} of {len(rest)} training images are used")
        rest = rest[taken]

    # Counted before any split is made, because none may be empty.
    def count(indices: IndexArray, shipped: Split | None) -> npt.NDArray[np.int64]:
        held = labels[indices] if shipped is None else np.concatenate((labels[indices], shipped.labels))
        return np.bincount(held, minlength=len(found.class_names))

    counts = (
        count(candidates, found.validation),
        count(rest, None),
        count(validated, found.validation),
        count(tested, found.test),
    )
    for class_name, images, in_training, in_validation, in_test in zip(found.class_names, *counts, strict=True):
        if not in_training or not in_validation:
            shares = f"training_share (={training_share:g})"
            if found.validation is None:
                shares = f"validation_share (={validation_share:.3g}) or {shares}"
            raise DataError(
                f"{name}: class {class_name!r} keeps {in_training} training and {in_validation} validation of its "
                f"{images} images outside the test split, but needs at least one of each; add images of it, "
                f"or change {shares}"
            )
        if not in_test:
            notes.append(f"the test split has no image of class {class_name!r}")
    if not counts[-1].sum():
        raise DataError(f"{name}: {len(given)} images are too few to set any aside for a test split; add images")
    return (
        given.take(rest),
        found.validation or given.take(validated),
        found.test or given.take(tested),
        tuple(notes),
    )


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view: the caller's own array stays as it was."""
    view = array.view()
    view.setflags(write=False)
    return view
