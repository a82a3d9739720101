"""One training step as a function of tensors alone: bytes and choices in, weights changed, the loss added up.

Nothing in it waits for a number, and nothing of it is read from the host: where its inputs stay in place, a device can
be told the whole of it once, and replay it (`torch_graph.py`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netspace.backends.torch_augmentation import Draws, augmented
from netspace.backends.torch_average import Average
from netspace.backends.torch_devices import PROCESSOR
from netspace.backends.torch_images import Normalise, in_layout, resized
from netspace.backends.torch_loss import mean_loss
from netspace.backends.torch_memory import MicroBatches
from netspace.backends.torch_mixing import Mixed, mixed
from netspace.backends.torch_sgd import SGD
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import ByteArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingStep:
    """A step of one training, called with what differs from step to step; `total` is where losses are added up."""

    network: nn.Module
    optimiser: SGD
    micro: MicroBatches
    normalise: Normalise
    recipe: TrainingRecipe
    kernels: str
    class_weights: Tensor | None
    average: Average | None
    total: Tensor

    def __call__(
        self,
        images: ByteArray | Tensor,
        labels: Tensor,
        draws: Draws,
        *,
        side: int,
        rate: float | Tensor,
        weight: float | Tensor,
    ) -> None:
        """Take a step on images (batch, height, width, channels), bytes, brought to a `side` [pixels].

        `rate` is the learning rate, `weight` how much the new weights count in their average.
        """
        batch = resized(augmented(self.normalise(images), self.recipe, draws), side)
        batch, mix = mixed(batch, draws)
        self.optimiser.rate = rate
        batch = in_layout(batch, self.kernels)
        self.total.add_(
            take_step(self.network, self.optimiser, self.micro, batch, labels, self.recipe, self.class_weights, mix)
        )
        if self.average is not None:
            self.average.update(weight)


def new_optimiser(network: nn.Module, recipe: TrainingRecipe, kernels: str) -> SGD:
    """Return what changes a network's weights."""
    on_cuda = next(network.parameters()).device.type == "cuda"
    return SGD(
        network.parameters(),
        rate=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=kernels in ("blocked", "native") or on_cuda,
    )


def take_step(
    network: nn.Module,
    optimiser: SGD,
    micro: MicroBatches,
    images: Tensor,
    labels: Tensor,
    recipe: TrainingRecipe,
    class_weights: Tensor | None = None,
    mixed: Mixed | None = None,
) -> Tensor:
    """Train a network on one batch (batch, channels, height, width), and return its loss [nats], still a tensor."""

    def loss(part: slice) -> Tensor:
        with autocast(recipe, images.device):
            logits = network(images[part])
        return mean_loss(logits.float(), labels, recipe.label_smoothing, class_weights, mixed, part)

    found = micro.gradient(len(images), loss)
    optimiser.step()
    return found


def autocast(recipe: TrainingRecipe, device: torch.device = PROCESSOR) -> torch.autocast:
    """Return the context of the recipe's precision on a device."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16")
