"""How every network of a study is trained, as one value; the learning rate is a pure function of the step."""

import math
from dataclasses import dataclass, replace

from netspace.checks import LARGEST, number, one_of, whole
from netspace.errors import InputError, did_you_mean
from netspace.training.metrics import CLASS_WEIGHTS, METRICS

PRECISIONS = ("float32", "bfloat16")
AUTO = "auto"
"""What a study's precision and kernels may say before they are measured; no trial has it."""
SCHEDULES = ("cosine", "constant")
LARGEST_ALPHA = 1000.0
"""Of mixup and cutmix: there, shares are 0.5 to the second digit."""
SMALL_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """SGD with momentum under a per-step half-cosine; the defaults are the paper's.

    `batch_size` [images]; an epoch has (images // batch_size) steps over a fresh permutation, so that the
    images left over differ in every epoch. `schedule` "constant" keeps the learning rate as it is, in place of the
    cosine; `warmup_epochs` [epochs] of linear warm-up multiply either.
    `weight_decay` acts on every learnable number. `flip` mirrors half of the training images; `shift` moves
    each by up to so many pixels in both directions. `precision` "bfloat16" runs convolutions and linear
    layers in bfloat16, with float32 weights; "auto", in a study, is whichever is faster where the study is made.
    `class_weights` "balanced" weighs an image's loss so that all classes count alike, and `metric` "balanced_error"
    judges a network by the mean of its errors in each class.

    What follows is off by default, and is `backend = "torch"`'s alone. `average_epochs` [epochs] judges and keeps the
    exponential moving average of the weights, with a memory of so many epochs. `mixup` and `cutmix` mix each training
    image with another of its batch, by shares from Beta(alpha, alpha) with this alpha; where both are given, each
    image by one of the two, with even chance. `small_resolution` [pixels] is the side of the training images during
    the first `small_share` of all steps.
    Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3.1; Zhang et al. 2018, arXiv 1710.09412 (mixup); Yun et
    al. 2019, arXiv 1905.04899 (cutmix).
    """

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-5
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    flip: bool = False
    shift: int = 0
    precision: str = "float32"
    schedule: str = "cosine"
    class_weights: str = "equal"
    metric: str = "error"
    average_epochs: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    small_resolution: int | None = None
    small_share: float = SMALL_SHARE

    def __post_init__(self) -> None:
        whole(self, "epochs", InputError)
        whole(self, "batch_size", InputError, minimum=2)
        number(self, "learning_rate", InputError, above=True)
        number(self, "momentum", InputError, maximum=0.9999)
        number(self, "weight_decay", InputError)
        number(self, "warmup_epochs", InputError, maximum=self.epochs)
        number(self, "label_smoothing", InputError, maximum=0.9)
        whole(self, "shift", InputError, minimum=0)
        one_of(self, "precision", InputError, (*PRECISIONS, AUTO))
        one_of(self, "schedule", InputError, SCHEDULES)
        one_of(self, "class_weights", InputError, CLASS_WEIGHTS)
        one_of(self, "metric", InputError, METRICS)
        number(self, "average_epochs", InputError, maximum=LARGEST)
        number(self, "mixup", InputError, maximum=LARGEST_ALPHA)
        number(self, "cutmix", InputError, maximum=LARGEST_ALPHA)
        number(self, "small_share", InputError, above=True, maximum=0.9)
        if self.small_resolution is not None:
            whole(self, "small_resolution", InputError)
        elif self.small_share != SMALL_SHARE:
            raise InputError(
                f"small_share (={self.small_share:g}) is about a small_resolution, and there is none; give one, or "
                "leave the share out"
            )

    def steps_per_epoch(self, num_images: int) -> int:
        """Return the steps of one epoch. Raises: InputError where a batch is larger than the data.

        >>> TrainingRecipe(batch_size=128).steps_per_epoch(1000)
        7
        """
        if self.batch_size > num_images:
            raise InputError(
                f"batch_size (={self.batch_size}) must be at most the number of training images (={num_images})"
            )
        return num_images // self.batch_size

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0 over the whole run.

        >>> recipe = TrainingRecipe(epochs=2, learning_rate=0.1)
        >>> [round(recipe.rate(step, 2), 4) for step in range(4)]
        [0.1, 0.0854, 0.05, 0.0146]
        """
        rate = self.learning_rate
        if self.schedule == "cosine":
            progress = step / (self.epochs * steps_per_epoch)
            rate *= 0.5 * (1.0 + math.cos(math.pi * progress))
        warmup_steps = self.warmup_epochs * steps_per_epoch
        return rate * min(1.0, (step + 1) / warmup_steps) if warmup_steps > 0 else rate

    def side(self, step: int, steps_per_epoch: int, resolution: int) -> int:
        """Return the side of the training images [pixels] in a step, counted from 0, of data at a resolution.

        >>> recipe = TrainingRecipe(epochs=2, small_resolution=20)
        >>> [recipe.side(step, 2, 28) for step in range(4)]
        [20, 20, 28, 28]
        """
        if self.small_resolution is None or step >= self.small_share * self.epochs * steps_per_epoch:
            return resolution
        return self.small_resolution

    def check_resolution(self, resolution: int) -> None:
        """Check that data at a resolution [pixels] are larger than `shift` and `small_resolution`. Raises: InputError.

        >>> TrainingRecipe(small_resolution=20).check_resolution(28)
        """
        if self.shift >= resolution:
            raise InputError(
                f"shift (={self.shift}) must be below the resolution (={resolution}) [pixels]; the nearest is "
                f"{resolution - 1}"
            )
        if self.small_resolution is not None and self.small_resolution >= resolution:
            raise InputError(
                f"small_resolution (={self.small_resolution}) must be below the resolution (={resolution}) [pixels]"
                + (f"; the nearest is {resolution - 1}" if resolution > 1 else "")
            )

    def average_weight(self, step: int, steps_per_epoch: int) -> float:
        """Return how much the weights after a step, counted from 0, count in the moving average that they join.

        The average after step t is that of the weights after steps 0 to t, each counting exp(-age / memory): it knows
        nothing of the initial weights, however short the run.

        >>> recipe = TrainingRecipe(average_epochs=1.0)
        >>> [round(recipe.average_weight(step, 2), 4) for step in (0, 1, 1000)]
        [1.0, 0.6225, 0.3935]
        """
        memory = self.average_epochs * steps_per_epoch
        return math.expm1(-1.0 / memory) / math.expm1(-(step + 1) / memory)


PRESETS = {
    "paper": TrainingRecipe(),
    "chapter": TrainingRecipe(schedule="constant", momentum=0.0, weight_decay=0.0),
    "proxy-1": TrainingRecipe(epochs=1, batch_size=32, learning_rate=0.1, warmup_epochs=0.1),
    "proxy-4": TrainingRecipe(epochs=4, batch_size=32, learning_rate=0.1, warmup_epochs=0.3),
    "full": TrainingRecipe(epochs=16, batch_size=32, learning_rate=0.1, warmup_epochs=0.3),
    "fine-tune": TrainingRecipe(epochs=10, batch_size=32, learning_rate=0.01, warmup_epochs=0.5),
}
"""Recipes by name; like a default, none of them ever changes, for studies are stored by what they say.

"paper" is the default one, "chapter" that of *Dive into Deep Learning*, section 8.8, at a constant rate without
momentum and decay. "proxy-1", "proxy-4" and "full" are one training at three lengths, each annealed to zero within its
own; `benchmarks/proxies.py` measures how well the first two rank networks as the last does. "fine-tune" is for a
network that begins from trained weights: a tenth of their rate.
"""


def named_recipe(name: str, backend: str = "torch") -> TrainingRecipe:
    """Return a recipe of `PRESETS`. The chapter's TensorFlow version has a rate of 0.01. Raises: InputError.

    >>> named_recipe("proxy-4").epochs, named_recipe("chapter", "tensorflow").learning_rate
    (4, 0.01)
    """
    if name not in PRESETS:
        raise InputError(f"recipe {name!r} does not exist{did_you_mean(name, PRESETS)}")
    found = PRESETS[name]
    return replace(found, learning_rate=0.01) if (name, backend) == ("chapter", "tensorflow") else found
