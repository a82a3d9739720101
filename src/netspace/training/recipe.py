"""How every network of a study is trained, as one value; the learning rate is a pure function of the step."""

import math
from dataclasses import dataclass

from netspace.checks import number, one_of, whole
from netspace.errors import InputError, did_you_mean
from netspace.training.metrics import CLASS_WEIGHTS, METRICS

PRECISIONS = ("float32", "bfloat16")
AUTO = "auto"
"""What a study's precision and kernels may say before they are measured; no trial has it."""
SCHEDULES = ("cosine", "constant")


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
    Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3.1.
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


def named_recipe(name: str, backend: str) -> TrainingRecipe:
    """Return a recipe by name: "paper" is the default one, "chapter" that of *Dive into Deep Learning*, section 8.8.

    The chapter trains at a constant rate without momentum and decay: 0.05, and 0.01 in its TensorFlow version.

    >>> named_recipe("chapter", "tensorflow").learning_rate
    0.01
    """
    if name == "paper":
        return TrainingRecipe()
    if name == "chapter":
        rate = 0.01 if backend == "tensorflow" else 0.05
        return TrainingRecipe(schedule="constant", learning_rate=rate, momentum=0.0, weight_decay=0.0)
    raise InputError(f"recipe {name!r} does not exist{did_you_mean(name, ('paper', 'chapter'))}")
