"""One network trained by PyTorch: the whole loop, in the order in which it runs.

Images stay one uint8 array (n, height, width, channels); a batch is indexed, normalised and augmented as whole
tensors, in channels-last layout. Nothing inside a step waits for a number: losses are read once an epoch.
Its speed in float32 and bfloat16 is printed by `benchmarks/precision.py`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netspace.backends.checkpoints import load_network, save_network
from netspace.backends.torch_model import AnyNet, build
from netspace.backends.torch_own_block import check_own_blocks
from netspace.networks.spec import NetworkSpec
from netspace.training.data import Dataset
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import ByteArray, Split
from netspace.training.trial import EpochRecord, Trial, TrialResult

EVALUATION_BATCH = 512


class TorchBackend:
    """The reference backend; see `netspace.training.backend.Backend`."""

    name = "torch"

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> AnyNet:
        """Return the network as an `nn.Module`, initialised from `seed`."""
        return build(spec, seed=seed)

    def check(self, spec: NetworkSpec, resolution: int) -> None:
        """Check a user's own blocks against the modules that they build."""
        check_own_blocks(spec, resolution)

    def save(
        self, network: AnyNet, folder: Path, *, recipe: TrainingRecipe | None = None, result: TrialResult | None = None
    ) -> None:
        """Write `network.json` and `model.safetensors`, and what is given of the record."""
        save_network(network, folder, recipe=recipe, result=result)

    def load(self, folder: Path) -> AnyNet:
        """Return the network of a folder."""
        return load_network(folder)

    def train(
        self, trial: Trial, data: Dataset, *, on_epoch: Callable[[EpochRecord], None] | None = None
    ) -> TrialResult:
        """Train one trial; see the contract."""
        return train(trial, data, on_epoch=on_epoch)

    def versions(self) -> dict[str, str]:
        """Return the version of PyTorch."""
        return {"torch": torch.__version__}


def train(trial: Trial, data: Dataset, *, on_epoch: Callable[[EpochRecord], None] | None = None) -> TrialResult:
    """Train one network and return its validation error at the last epoch, with its learning curve.

    Sets PyTorch's number of threads in this process to the trial's.

    Raises: InputError where a batch is larger than the training images.
    """
    begun = time.perf_counter()
    torch.set_num_threads(trial.threads)
    recipe = trial.recipe
    steps = recipe.steps_per_epoch(len(data.training.labels))

    network = build(trial.network, seed=trial.stream_seed("initialisation"))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    # Dropout and stochastic depth draw from PyTorch's own generator.
    torch.manual_seed(trial.stream_seed("dropping"))
    images, labels = data.training.images, torch.tensor(data.training.labels)
    normalise = Normalise(data)
    order = np.random.Philox(key=trial.stream_seed("order"))
    augmentation = torch.Generator().manual_seed(trial.stream_seed("augmentation"))

    curve: list[EpochRecord] = []
    for epoch in range(recipe.epochs):
        epoch_begun = time.perf_counter()
        network.train()
        total_loss = torch.zeros(())
        permutation = np.argsort(order.random_raw(len(labels)), kind="stable")
        for step in range(steps):
            chosen = permutation[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            batch = augment(normalise(images[chosen]), recipe, augmentation)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(epoch * steps + step, steps)
            with autocast(recipe):
                logits = network(batch)
            loss = F.cross_entropy(logits.float(), labels[chosen], label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total_loss += loss.detach()

        mean_loss = float(total_loss) / steps
        seen = (epoch + 1) * steps * recipe.batch_size
        if not np.isfinite(mean_loss):
            return TrialResult(
                trial_id=trial.id,
                status="diverged",
                curve=tuple(curve),
                seconds=time.perf_counter() - begun,
                images=seen,
                reason=f"the training loss was {mean_loss} in epoch {epoch + 1} of {recipe.epochs}",
            )
        curve.append(
            EpochRecord(
                epoch=epoch + 1,
                training_loss=mean_loss,
                validation_error=error(network, data.validation, normalise, recipe),
                seconds=time.perf_counter() - epoch_begun,
            )
        )
        if on_epoch is not None:
            on_epoch(curve[-1])

    return TrialResult(
        trial_id=trial.id,
        status="finished",
        error=curve[-1].validation_error,
        curve=tuple(curve),
        seconds=time.perf_counter() - begun,
        images=recipe.epochs * steps * recipe.batch_size,
    )


@torch.no_grad()
def error(network: nn.Module, split: Split, normalise: "Normalise", recipe: TrainingRecipe) -> float:
    """Return the share of images, in [0, 1], whose highest logit is not their label's.

    A network whose logits are not finite is wrong on that image.
    """
    network.eval()
    labels = torch.tensor(split.labels)
    wrong = torch.zeros((), dtype=torch.int64)
    for chosen in np.split(np.arange(len(labels)), range(EVALUATION_BATCH, len(labels), EVALUATION_BATCH)):
        with autocast(recipe):
            logits = network(normalise(split.images[chosen])).float()
        right = (logits.argmax(1) == labels[chosen]) & logits.isfinite().all(1)
        wrong += (~right).sum()
    return int(wrong) / len(labels)


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


def autocast(recipe: TrainingRecipe) -> torch.autocast:
    """Return the context of the recipe's precision."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16")
