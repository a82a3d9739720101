"""A trial's epochs in their order, the same for every backend: what each one sees, what it leaves, how a trial ends."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint, State
from netspace.training.data import Dataset
from netspace.training.metrics import check_judged, class_weights, judged
from netspace.training.recipe import TrainingRecipe
from netspace.training.shards import Images, IndexArray, read_ahead
from netspace.training.trial import EpochRecord, Trial, TrialResult, check_small

FloatArray = npt.NDArray[np.float32]
EVALUATION_BATCH = 512
"""Images that are judged at a time."""


def run_epochs(
    trial: Trial,
    data: Dataset,
    *,
    train: Callable[[int, Iterable[IndexArray]], float],
    evaluate: Callable[[], float],
    on_epoch: Callable[[EpochRecord], None] | None,
    begun: float,
    part: slice = slice(None),
    ahead: bool = True,
    checkpoint: Checkpoint | None = None,
    state: State | None = None,
) -> TrialResult:
    """Return what becomes of a trial whose epochs `train` trains and `evaluate` judges.

    `train` takes the number of steps done before and the images of each step of this epoch; it returns the mean
    training loss [nats], and one that is not finite ends the trial. `evaluate` returns the validation error in [0, 1].
    `begun` [s] is when the trial began, by `time.perf_counter`. Of several processes each trains on a `part` of every
    step's images, and they say the same loss and error. Images in shards are read `ahead` of `train`, unless it has
    them. With `checkpoint` and `state`, all that an epoch changes, the trial goes on where it was stopped, and its
    numbers are those of a trial that never was.

    Raises: Stopped as `Checkpoint.epoch_done`; InputError where a batch is larger than the training images, or a class
    has no validation image that the recipe's metric takes.
    """
    recipe, images = trial.recipe, len(data.training.labels)
    check_judged(recipe.metric, data.validation.labels, data.class_names, "validation")
    steps = recipe.steps_per_epoch(images)
    order = np.random.Philox(key=trial.stream_seed("order"))
    curve: list[EpochRecord] = []
    if checkpoint is not None and state is not None:
        curve, spent = checkpoint.resume(state)
        begun -= spent
        order.random_raw(len(curve) * images)  # the permutations of the epochs that are done
    for epoch in range(len(curve) + 1, recipe.epochs + 1):
        epoch_begun = time.perf_counter()
        permutation = np.argsort(order.random_raw(images), kind="stable")
        chosen = [batch[part] for batch in np.split(permutation[: steps * recipe.batch_size], steps)]
        batches = read_ahead(data.training.images, chosen) if ahead else iter(chosen)
        mean_loss = train((epoch - 1) * steps, batches)
        if not np.isfinite(mean_loss):
            return TrialResult(
                trial_id=trial.id,
                status="diverged",
                curve=tuple(curve),
                seconds=time.perf_counter() - begun,
                images=epoch * steps * recipe.batch_size,
                reason=f"the training loss was {mean_loss} in epoch {epoch} of {recipe.epochs}",
            )
        record = EpochRecord(
            epoch=epoch,
            training_loss=mean_loss,
            validation_error=evaluate(),
            seconds=time.perf_counter() - epoch_begun,
        )
        curve.append(record)
        if on_epoch is not None:
            on_epoch(record)
        if checkpoint is not None and state is not None and epoch < recipe.epochs:
            checkpoint.epoch_done(state, curve, time.perf_counter() - begun)
    return TrialResult(
        trial_id=trial.id,
        status="finished",
        error=curve[-1].validation_error,
        curve=tuple(curve),
        seconds=time.perf_counter() - begun,
        images=recipe.epochs * steps * recipe.batch_size,
    )


class Batches:
    """Training batches of a trial as whole-array operations: normalised, augmented, channels last, float32."""

    def __init__(self, trial: Trial, data: Dataset) -> None:
        std = np.asarray(data.std, np.float32)
        self._scale = 1.0 / (np.float32(255.0) * std)
        self._shift = -np.asarray(data.mean, np.float32) / std
        self._recipe = trial.recipe
        self._split = data.training
        self._generator = np.random.Generator(np.random.Philox(key=trial.stream_seed("augmentation")))

    def __call__(self, chosen: IndexArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Return the images (batch, height, width, channels) and labels (batch,) of one step; each call draws anew."""
        images = augmented(self.normalised(self._split.images[chosen]), self._recipe, self._generator)
        return images, self._split.labels[chosen]

    def normalised(self, images: npt.NDArray[np.uint8]) -> FloatArray:
        """Return (pixels / 255 - mean) / std per channel."""
        return np.asarray(images * self._scale + self._shift, np.float32)


def loss_weights(trial: Trial, data: Dataset) -> FloatArray | None:
    """Return the weight of each class in the loss (classes,), None where all weigh the same.

    A step's loss is the mean over its images of weight times cross-entropy. Raises: InputError.
    """
    return class_weights(trial.recipe.class_weights, data.training.labels, data.class_names)


def augmented(images: FloatArray, recipe: TrainingRecipe, generator: np.random.Generator) -> FloatArray:
    """Mirror half of the images and move each by up to `shift` pixels, edges filled with the mean (zero).

    `images` is (batch, height, width, channels), normalised.
    """
    if recipe.flip:
        mirrored = generator.random(len(images)) < 0.5
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    if recipe.shift:
        reach = recipe.shift
        batch, height, width, _ = images.shape
        moved = generator.integers(0, 2 * reach + 1, (2, batch))
        padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        rows = moved[0][:, None, None] + np.arange(height)[:, None]
        columns = moved[1][:, None, None] + np.arange(width)
        images = padded[np.arange(batch)[:, None, None], rows, columns]
    return images


def check_images(spec: NetworkSpec, images: Any, dtype: Any = None) -> None:
    """Check that images are (batch, height, width, channels) for a network, in any framework.

    With `dtype`, the type of the network's weights, they must also be an array of NumPy of that type.
    Raises: InputError.
    """
    if dtype is not None and not isinstance(images, np.ndarray):
        raise InputError(f"images (a {type(images).__name__}) must be an array of NumPy")
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[3] != spec.in_channels:
        raise InputError(
            f"images (of shape {shape}) must be (batch, height, width, channels) with the network's "
            f"{spec.in_channels} channels"
        )
    if dtype is not None and images.dtype != dtype:
        raise InputError(f"images (of {images.dtype}) must be of {dtype}, as the network's weights are")


def channels_first(spec: NetworkSpec, shape: Sequence[int]) -> InputError:
    """Return the error of a module whose images are channels first, for images of another shape."""
    return InputError(
        f"images (of shape {tuple(shape)}) must be (batch, channels, height, width) with the network's "
        f"{spec.in_channels} channels"
    )


def check_fits(recipe: TrainingRecipe, data: Dataset, network: NetworkSpec | None = None) -> None:
    """Check that data have what a recipe takes, and that its small images leave a network pixels.

    Raises: InputError.
    """
    recipe.steps_per_epoch(len(data.training.labels))
    check_judged(recipe.metric, data.validation.labels, data.class_names, "validation")
    recipe.check_resolution(data.resolution)
    if network is not None:
        check_small(network, recipe)


def check_training(trial: Trial, data: Dataset, spec: NetworkSpec, dtype: Any) -> None:
    """Check that a network, by its spec and the type of its weights, is a trial's, and that data are for it.

    Raises: InputError.
    """
    if spec != trial.network:
        raise InputError(
            f"network (of digest {spec.digest}) must be the trial's (of digest {trial.network.digest}); name it in the "
            "trial, or train the trial's"
        )
    if dtype != np.float32:
        raise InputError(f"network (of {dtype}) must have weights of float32, whatever the recipe's precision")
    if data.in_channels != spec.in_channels or data.num_classes > spec.num_classes:
        raise InputError(
            f"network (of in_channels={spec.in_channels} and num_classes={spec.num_classes}) must be for the data "
            f"{data.name!r}, whose images have {data.in_channels} channels in {data.num_classes} classes"
        )
    trial.recipe.check_resolution(data.resolution)


def share_wrong(
    logits: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.floating]],
    images: Images,
    labels: npt.NDArray[np.int64],
    metric: str = "error",
) -> float:
    """Return an error in [0, 1] by whether each image's highest logit is its label's, judged batch by batch.

    It is the share of images that are wrong, or what else `metric` says; an image whose logits are not finite is.
    """
    return judged(wrong_images(logits, images, labels), labels, metric)


def wrong_images(
    logits: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.floating]], images: Images, labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return whether each image's highest logit is another than its label's, or its logits are not finite."""
    wrong = np.ones(len(labels), np.bool_)
    for first in range(0, len(labels), EVALUATION_BATCH):
        batch = slice(first, first + EVALUATION_BATCH)
        found = logits(images[batch])
        wrong[batch] = (found.argmax(1) != labels[batch]) | ~np.isfinite(found).all(1)
    return wrong
