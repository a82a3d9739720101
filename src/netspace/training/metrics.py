"""Uneven classes: how much each weighs in the loss, and an error that takes all of them for equally important."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from netspace.errors import InputError

METRICS = ("error", "balanced_error")
CLASS_WEIGHTS = ("equal", "balanced")


def metric_name(metric: str, split: str = "validation") -> str:
    """Return what a metric of a split is called wherever it is shown.

    >>> metric_name("error"), metric_name("balanced_error", "test")
    ('validation error', 'balanced test error')
    """
    return f"balanced {split} error" if metric == "balanced_error" else f"{split} error"


def judged(wrong: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], metric: str) -> float:
    """Return an error in [0, 1] by whether each image is wrong: the share of images, or the mean of classes' shares.

    >>> wrong, labels = np.array([False, False, False, True]), np.array([0, 0, 0, 1])
    >>> judged(wrong, labels, "error"), judged(wrong, labels, "balanced_error")
    (0.25, 0.5)
    """
    return Judged.of(wrong, labels, metric, int(labels.max()) + 1).error


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How a network did on the images of a split, class by class: of so many `images`, so many were `wrong`.

    >>> found = Judged.of(np.array([False, True, True]), np.array([0, 0, 1]), "balanced_error", 2)
    >>> found.images, found.wrong, found.error, found.weight
    ((2, 1), (1, 1), 0.75, 2)
    """

    metric: str
    images: tuple[int, ...]
    wrong: tuple[int, ...]

    @classmethod
    def of(cls, wrong: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], metric: str, num_classes: int) -> Self:
        """Count by whether each image is wrong."""
        images, errors = (tuple(np.bincount(some, minlength=num_classes).tolist()) for some in (labels, labels[wrong]))
        return cls(metric=metric, images=images, wrong=errors)

    @property
    def error(self) -> float:
        """The error by the metric, in [0, 1]."""
        if self.metric == "error":
            return sum(self.wrong) / sum(self.images)
        shares = [wrong / images for wrong, images in zip(self.wrong, self.images, strict=True) if images]
        return float(np.mean(shares))

    @property
    def weight(self) -> int:
        """On how many images the error rests."""
        return images_behind(self.metric, self.images)


def images_behind(metric: str, images: Sequence[int]) -> int:
    """Return on how many images an error rests, of so many in each class.

    A balanced error is a mean over classes. Its variance is at most that of a share of as many images as there would
    be if every class had those of the smallest, because p (1 - p) is concave.
    """
    some = [count for count in images if count]
    return sum(some) if metric == "error" else len(some) * min(some)


def check_judged(metric: str, labels: npt.NDArray[np.int64], class_names: Sequence[str], split: str) -> None:
    """Check that a split has what a metric takes: for the balanced error, an image of every class.

    Raises: InputError, naming the first class without one.
    """
    if metric == "error":
        return
    empty = np.flatnonzero(np.bincount(labels, minlength=len(class_names)) == 0)
    if len(empty):
        raise InputError(
            f"metric (={metric!r}) takes {split} images of every class, and class {class_names[empty[0]]!r} has none; "
            "add some, or take 'error'"
        )


def class_weights(
    weighting: str, labels: npt.NDArray[np.int64], class_names: Sequence[str]
) -> npt.NDArray[np.float32] | None:
    """Return how much a training image of each class weighs in the loss; None where all weigh the same.

    "balanced" weighs a class by images / (classes * its images), so that all classes weigh the same together and the
    mean over the training images is 1.
    Raises: InputError where a class has no training image.

    >>> class_weights("balanced", np.array([0, 0, 0, 1, 1, 1, 1, 1]), ("a", "b")).round(2).astype(str).tolist()
    ['1.33', '0.8']
    """
    if weighting == "equal":
        return None
    counts: npt.NDArray[Any] = np.bincount(labels, minlength=len(class_names))
    if not counts.all():
        name = class_names[int(counts.argmin())]
        raise InputError(
            f"class_weights (={weighting!r}): class {name!r} has no training image; add some, or leave out"
        )
    return np.asarray(len(labels) / (len(counts) * counts), np.float32)
