"""The error of a network on a split, judged batch by batch; read from the device once."""

import numpy as np
import torch
from torch import Tensor, nn

from netspace.backends.torch_devices import PROCESSOR
from netspace.backends.torch_distributed import Ranks
from netspace.backends.torch_images import Normalise, Pixels, in_layout
from netspace.backends.torch_memory import MicroBatches
from netspace.backends.torch_update import autocast
from netspace.training.epochs import EVALUATION_BATCH
from netspace.training.metrics import judged
from netspace.training.recipe import TrainingRecipe
from netspace.training.shards import read_ahead
from netspace.training.splits import ByteArray, Split


@torch.no_grad()
def error(
    network: nn.Module,
    split: Split,
    normalise: Normalise,
    recipe: TrainingRecipe,
    ranks: Ranks = Ranks(),
    micro: MicroBatches | None = None,
    *,
    kernels: str = "torch",
    device: torch.device = PROCESSOR,
) -> float:
    """Return the recipe's error in [0, 1], by whether each image's highest logit is its label's.

    A network whose logits are not finite is wrong on that image. Each process judges some of the batches.
    """
    network.eval()
    micro = micro or MicroBatches(network)
    pixels = Pixels(split.images, device)
    labels = torch.tensor(split.labels, device=device)
    wrong = torch.zeros(len(labels), dtype=torch.bool, device=device)
    batches = np.split(np.arange(len(labels)), range(EVALUATION_BATCH, len(labels), EVALUATION_BATCH))
    mine = batches[ranks.number :: ranks.of]
    for chosen in mine if pixels.there is not None else read_ahead(split.images, mine):
        images = pixels(chosen)

        def judge(part: slice, images: ByteArray | Tensor = images) -> Tensor:
            with autocast(recipe, device):
                found: Tensor = network(in_layout(normalise(images[part]), kernels))
            return found.float()

        logits = micro.judged(len(images), judge)
        right = (logits.argmax(1) == labels[chosen]) & logits.isfinite().all(1)
        wrong[chosen] = ~right
    return judged(ranks.either(wrong).cpu().numpy(), split.labels, recipe.metric)
