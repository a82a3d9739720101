"""One network trained by PyTorch: the whole loop, in the order in which it runs.

Images stay one uint8 array (n, height, width, channels); a batch is indexed, normalised and augmented as whole
tensors, in channels-last layout. Nothing inside a step waits for a number: losses are read once an epoch.
Its speed in float32 and bfloat16 is printed by `benchmarks/precision.py`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspace.backends.checkpoints import Arrays, TensorType, planned_types
from netspace.backends.torch_average import Average, evenly
from netspace.backends.torch_distributed import Ranks
from netspace.backends.torch_fusing import refuse_folded
from netspace.backends.torch_kernels import use_kernels
from netspace.backends.torch_memory import MicroBatches, shortage
from netspace.backends.torch_mixing import Mixed, Mixing
from netspace.backends.torch_model import AnyNet, arrays, as_array, as_tensor, build, numpy_type, own_types, with_arrays
from netspace.backends.torch_own_block import check_own_blocks
from netspace.backends.torch_state import TorchState
from netspace.networks.spec import NetworkSpec
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.epochs import EVALUATION_BATCH, check_images, check_training, loss_weights, run_epochs
from netspace.training.metrics import judged
from netspace.training.recipe import TrainingRecipe
from netspace.training.shards import read_ahead
from netspace.training.splits import ByteArray, IndexArray, Split
from netspace.training.trial import OUT_OF_MEMORY, EpochRecord, Trial, TrialResult


class TorchBackend:
    """The reference backend; see `netspace.training.backend.Backend`."""

    name = "torch"

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> AnyNet:
        """Return the network as an `nn.Module`, initialised from `seed`."""
        return build(spec, seed=seed)

    def check(self, spec: NetworkSpec, resolution: int | None = None) -> None:
        """Check a user's own blocks against the modules that they build."""
        check_own_blocks(spec, resolution)

    def check_recipe(self, recipe: TrainingRecipe) -> None:
        """Every recipe can be trained here."""

    def types(self, spec: NetworkSpec, dtype: np.dtype[Any]) -> dict[str, TensorType]:
        """Return what a network's file must hold; a user's own blocks are asked."""
        return planned_types(spec, dtype) if spec.own_block is None else own_types(spec, dtype)

    def arrays(self, network: AnyNet) -> Arrays:
        """Return a network's tensors. Raises: CheckpointError for a folded one."""
        refuse_folded(network)
        return arrays(network)

    def with_arrays(self, spec: NetworkSpec, given: Mapping[str, npt.NDArray[Any]]) -> AnyNet:
        """Return the network of these tensors."""
        return with_arrays(spec, given)

    @torch.no_grad()
    def logits(self, network: AnyNet, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits of images (batch, height, width, channels)."""
        check_images(network.spec, images, numpy_type(network))
        was_training = network.training
        network.eval()
        found = network(as_tensor(images).permute(0, 3, 1, 2))
        network.train(was_training)
        return as_array(found)

    def take_threads(self, threads: int) -> None:
        """Have PyTorch compute with so many threads."""
        torch.set_num_threads(threads)

    def train(
        self,
        trial: Trial,
        data: Dataset,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        network: AnyNet | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrialResult:
        """Train one trial; see the contract. One that does not fit in memory has failed."""
        begun = time.perf_counter()
        try:
            return train(trial, data, on_epoch=on_epoch, network=network, checkpoint=checkpoint)
        except (MemoryError, RuntimeError) as problem:
            why = shortage(problem)
            if why is None:
                raise
        reason = f"{OUT_OF_MEMORY}: {why}"
        return TrialResult(trial_id=trial.id, status="failed", seconds=time.perf_counter() - begun, reason=reason)

    def versions(self) -> dict[str, str]:
        """Return the version of PyTorch."""
        return {"torch": torch.__version__}


def train(
    trial: Trial,
    data: Dataset,
    *,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    network: AnyNet | None = None,
    checkpoint: Checkpoint | None = None,
) -> TrialResult:
    """Train one network and return its validation error at the last epoch, with its learning curve.

    Goes on where `checkpoint` says that an earlier attempt stopped. Sets PyTorch's number of threads in this process to
    the trial's. A trial of several processes is trained by all of them together, each of which calls this once they
    have joined (`torch_distributed.joined`). Where memory runs out, batches are taken in parts, and the result's reason
    says so (`torch_memory.py`).

    Raises: InputError where a batch is larger than the training images, or other processes than the trial's have
    joined; ExecutionError where the trial's kernels cannot be had; Stopped where its checkpoint is told to stop;
    MemoryError, or PyTorch's RuntimeError, where the smallest part does not fit.
    """
    begun = time.perf_counter()
    torch.set_num_threads(trial.threads)
    ranks = Ranks.joined(trial.processes)
    recipe = trial.recipe
    steps = recipe.steps_per_epoch(len(data.training.labels))

    network = network or build(trial.network, seed=trial.stream_seed("initialisation"))
    check_training(trial, data, network.spec, numpy_type(network))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert network is not None
    optimiser = new_optimiser(network, recipe, trial.kernels)
    # Dropout and stochastic depth draw from PyTorch's own generator.
    torch.manual_seed(trial.stream_seed("dropping") + ranks.number)
    images, labels = data.training.images, torch.tensor(data.training.labels)
    weights = loss_weights(trial, data)
    class_weights = None if weights is None else torch.from_numpy(weights)
    normalise = Normalise(data)
    augmentation = torch.Generator().manual_seed(trial.stream_seed("augmentation") + ranks.number)
    mixing = Mixing(recipe, trial.stream_seed("mixing") + ranks.number)

    def some_images() -> Tensor:
        with autocast(recipe):
            found: Tensor = network(normalise(images[evenly(len(images))]))
        return found

    average = Average(network, some_images) if recipe.average_epochs else None
    shared = ranks.shared(network)
    micro = MicroBatches(network, may_halve=ranks.of == 1)

    def train_epoch(done: int, batches: Iterable[IndexArray]) -> float:
        network.train()
        total_loss = torch.zeros(())
        for step, chosen in enumerate(batches, start=done):
            batch = augment(normalise(images[chosen]), recipe, augmentation)
            batch, mixed = mixing(resized(batch, recipe.side(step, steps, data.resolution)), step)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(step, steps)
            total_loss += take_step(shared, optimiser, micro, batch, labels[chosen], recipe, class_weights, mixed)
            if average is not None:
                average.update(recipe.average_weight(step, steps))
        return ranks.mean(float(total_loss) / steps)

    def evaluate() -> float:
        ranks.average_statistics(network)
        with nullcontext() if average is None else average.in_place():
            return error(network, data.validation, normalise, recipe, ranks, micro)

    generators = {"dropping": torch.default_generator, "augmentation": augmentation}
    modules = {"network": network} | ({} if average is None else {"average": average.module})
    with use_kernels(network, trial.kernels):
        result = run_epochs(
            trial,
            data,
            train=train_epoch,
            evaluate=evaluate,
            on_epoch=on_epoch,
            begun=begun,
            part=ranks.part(recipe.batch_size),
            checkpoint=checkpoint,
            state=TorchState(optimiser, generators, unsaved=lambda: micro.note, **modules),
        )
        if average is not None and result.status == "finished":
            average.take_place()  # the network that is kept is the one that was judged
    return replace(result, reason="; ".join(filter(None, (result.reason, micro.note))) or None)


def new_optimiser(network: nn.Module, recipe: TrainingRecipe, kernels: str) -> torch.optim.SGD:
    """Return what changes a network's weights."""
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=kernels == "native",  # one call for all tensors, in another order of operations
    )


def take_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    micro: MicroBatches,
    images: Tensor,
    labels: Tensor,
    recipe: TrainingRecipe,
    class_weights: Tensor | None = None,
    mixed: Mixed | None = None,
) -> Tensor:
    """Train a network on one batch (batch, channels, height, width), and return its loss [nats], still a tensor."""

    def loss(part: slice) -> Tensor:
        with autocast(recipe):
            logits = network(images[part])
        return mean_loss(logits.float(), labels, recipe.label_smoothing, class_weights, mixed, part)

    found = micro.gradient(len(images), loss)
    optimiser.step()
    return found


def mean_loss(
    logits: Tensor,
    labels: Tensor,
    label_smoothing: float,
    class_weights: Tensor | None,
    mixed: Mixed | None = None,
    part: slice = slice(None),
) -> Tensor:
    """Return the mean over images of their cross-entropy [nats], times their class's weight where there are such.

    The loss of an image that was `mixed` is its own and its partner's, by their shares. `logits` are those of a `part`
    of the batch, `labels` and `mixed` the whole batch's.
    """
    if mixed is not None:
        pairs = (labels[part], labels[mixed.partner[part]])
        own, other = (losses(logits, each, label_smoothing, class_weights) for each in pairs)
        return torch.lerp(other, own, mixed.share[part]).mean()
    labels = labels[part]
    if class_weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return losses(logits, labels, label_smoothing, class_weights).mean()


def losses(logits: Tensor, labels: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
    """Return the loss [nats] of each image (batch,)."""
    found = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    # PyTorch's own weights divide by their sum over the batch, and spread the smoothed part by weight.
    return found if class_weights is None else found * class_weights[labels]


@torch.no_grad()
def error(
    network: nn.Module,
    split: Split,
    normalise: "Normalise",
    recipe: TrainingRecipe,
    ranks: Ranks = Ranks(),
    micro: MicroBatches | None = None,
) -> float:
    """Return the recipe's error in [0, 1], by whether each image's highest logit is its label's.

    A network whose logits are not finite is wrong on that image. Each process judges some of the batches.
    """
    network.eval()
    micro = micro or MicroBatches(network)
    labels = torch.tensor(split.labels)
    wrong = torch.zeros(len(labels), dtype=torch.bool)
    batches = np.split(np.arange(len(labels)), range(EVALUATION_BATCH, len(labels), EVALUATION_BATCH))
    for chosen in read_ahead(split.images, batches[ranks.number :: ranks.of]):
        images = split.images[chosen]

        def judge(part: slice, images: ByteArray = images) -> Tensor:
            with autocast(recipe):
                found: Tensor = network(normalise(images[part]))
            return found.float()

        logits = micro.judged(len(images), judge)
        right = (logits.argmax(1) == labels[chosen]) & logits.isfinite().all(1)
        wrong[chosen] = ~right
    return judged(ranks.either(wrong).numpy(), split.labels, recipe.metric)


class Normalise:
    """uint8 (batch, height, width, channels) to float32 (batch, channels, height, width), channels-last."""

    def __init__(self, data: Dataset) -> None:
        std = torch.tensor(data.std, dtype=torch.float32)
        self._scale = 1.0 / (255.0 * std)
        self._shift = -torch.tensor(data.mean, dtype=torch.float32) / std

    def __call__(self, images: ByteArray) -> Tensor:
        """Return (pixels / 255 - mean) / std per channel."""
        return torch.addcmul(self._shift, torch.from_numpy(images).float(), self._scale).permute(0, 3, 1, 2)


def augment(images: Tensor, recipe: TrainingRecipe, generator: torch.Generator) -> Tensor:
    """Mirror half of the images and move each by up to `shift` pixels, edges filled with the mean (zero).

    `images` is (batch, channels, height, width), normalised.
    """
    if recipe.flip:
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.shift:
        reach = recipe.shift
        batch, _, height, width = images.shape
        moved = torch.randint(0, 2 * reach + 1, (2, batch), generator=generator)
        padded = F.pad(images, (reach, reach, reach, reach))
        rows = moved[0][:, None, None] + torch.arange(height)[:, None]
        columns = moved[1][:, None, None] + torch.arange(width)
        which = torch.arange(batch)[:, None, None]
        # Indexing channels-last data gives (batch, height, width, channels): the layout is kept.
        images = padded.permute(0, 2, 3, 1)[which, rows, columns].permute(0, 3, 1, 2)
    return images


def resized(images: Tensor, side: int) -> Tensor:
    """Return images (batch, channels, height, width) brought down to a side [pixels]; as they are, where it is theirs.

    Bilinear, each pixel taking all that it covers, so that no row or column is left out.
    """
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def autocast(recipe: TrainingRecipe) -> torch.autocast:
    """Return the context of the recipe's precision."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16")
