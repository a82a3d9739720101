"""Images of a batch mixed with one another (mixup, cutmix), each in its own way, as whole-batch operations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspace.training.recipe import TrainingRecipe

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixed:
    """What a batch was mixed of: each image's partner (batch,) by its index, and its own share (batch,) in [0, 1]."""

    partner: Tensor
    share: Tensor


class Mixing:
    """Mixes each image with another of its batch as a recipe says; every step has a stream of random numbers.

    In mixup both images count everywhere, by a share from Beta(alpha, alpha). In cutmix the partner takes a square box,
    whose area is such a share where it does not reach over the edge; the image's own share is what it keeps.
    Source: Zhang et al. 2018, arXiv 1710.09412, section 2; Yun et al. 2019, arXiv 1905.04899, section 3.1. Both draw
    one share for a batch; here each image has its own, so that a short training sees as many as a long one.
    """

    def __init__(self, recipe: TrainingRecipe, seed: int) -> None:
        self._recipe, self._seed = recipe, seed

    def __call__(self, images: Tensor, step: int) -> tuple[Tensor, Mixed | None]:
        """Return images (batch, channels, height, width) mixed, and of what; as they are where nothing is asked for."""
        mixup, cutmix = self._recipe.mixup, self._recipe.cutmix
        if not mixup and not cutmix:
            return images, None
        batch, side = len(images), images.shape[-1]
        draw = np.random.Generator(np.random.Philox(key=self._seed, counter=step << 64))
        partner = torch.from_numpy(draw.permutation(batch))
        own = torch.ones(())
        if mixup:
            own = as_mask(draw.beta(mixup, mixup, batch))
        if cutmix:
            cut = outside(side, draw.beta(cutmix, cutmix, batch), draw.integers(0, side, (2, batch)))
            own = torch.where(torch.from_numpy(draw.random(batch) < 0.5)[:, None, None], own, cut) if mixup else cut
        mixed = torch.lerp(images[partner], images, own[:, None]).contiguous(memory_format=torch.channels_last)
        return mixed, Mixed(partner=partner, share=own.mean((1, 2)))


def as_mask(share: Array) -> Tensor:
    """Return how much an image counts at each pixel, its share everywhere: (batch, 1, 1)."""
    return torch.from_numpy(share).float()[:, None, None]


def outside(side: int, share: Array, centre: npt.NDArray[np.int64]) -> Tensor:
    """Return 1 outside of each image's box and 0 in it: (batch, side, side).

    A box is about a `centre` (2, batch) [pixels], leaves `share` (batch,) of the area, and ends at the edge.
    """
    box = (side * np.sqrt(1.0 - share)).astype(np.int64)
    begin, pixels = centre - box // 2, np.arange(side)
    rows, columns = torch.from_numpy((pixels >= begin[..., None]) & (pixels < (begin + box)[..., None]))
    inside: Tensor = rows[:, :, None] & columns[:, None, :]
    return 1.0 - inside.float()
