"""Images of a batch mixed with one another (mixup, cutmix), each in its own way, as whole-batch operations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspace.backends.torch_augmentation import Draws
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

    def draw(self, batch: int, side: int, step: int) -> Draws:
        """Return how the images of a step are mixed, of `side` [pixels]: nothing where nothing is asked for.

        "partner" (batch,), "share" (batch, 1, 1) of mixup, the "box" of cutmix (2, 2, batch): begin and end, row and
        column; and where an image may be mixed either way, whether it is "whole" (batch,), by mixup.
        """
        mixup, cutmix = self._recipe.mixup, self._recipe.cutmix
        if not mixup and not cutmix:
            return {}
        draw = np.random.Generator(np.random.Philox(key=self._seed, counter=step << 64))
        draws = {"partner": torch.from_numpy(draw.permutation(batch))}
        if mixup:
            draws["share"] = torch.from_numpy(draw.beta(mixup, mixup, batch)).float()[:, None, None]
        if cutmix:
            draws["box"] = box(side, draw.beta(cutmix, cutmix, batch), draw.integers(0, side, (2, batch)))
        if mixup and cutmix:
            draws["whole"] = torch.from_numpy(draw.random(batch) < 0.5)
        return draws

    def __call__(self, images: Tensor, step: int) -> tuple[Tensor, Mixed | None]:
        """Return images (batch, channels, height, width) mixed, and of what; as they are where nothing is asked for."""
        return mixed(images, self.draw(len(images), images.shape[-1], step))


def mixed(images: Tensor, draws: Draws) -> tuple[Tensor, Mixed | None]:
    """Return images (batch, channels, height, width) mixed as they were drawn to be, and of what."""
    if "partner" not in draws:
        return images, None
    partner, own = draws["partner"], draws.get("share")
    if "box" in draws:
        cut = outside(images.shape[-1], draws["box"])
        own = cut if own is None else torch.where(draws["whole"][:, None, None], own, cut)
    assert own is not None
    found = torch.lerp(images[partner], images, own[:, None]).contiguous(memory_format=torch.channels_last)
    return found, Mixed(partner=partner, share=own.mean((1, 2)))


def box(side: int, share: Array, centre: npt.NDArray[np.int64]) -> Tensor:
    """Return where each image's box begins and ends, in rows and columns [pixels]: (2, 2, batch).

    A box is about a `centre` (2, batch) [pixels] and leaves `share` (batch,) of the area; it may reach over the edge.
    """
    length = (side * np.sqrt(1.0 - share)).astype(np.int64)
    begin = centre - length // 2
    return torch.from_numpy(np.stack((begin, begin + length)))


def outside(side: int, within: Tensor) -> Tensor:
    """Return 1 outside of each image's box (2, 2, batch) and 0 in it: (batch, side, side)."""
    pixels = torch.arange(side, device=within.device)
    rows, columns = (pixels >= within[0, ..., None]) & (pixels < within[1, ..., None])
    inside: Tensor = rows[:, :, None] & columns[:, None, :]
    return 1.0 - inside.float()
