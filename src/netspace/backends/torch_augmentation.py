"""Mirrored and moved images: chosen by a generator of the processor, and made of whole batches on any device."""

import torch
import torch.nn.functional as F
from torch import Tensor

from netspace.training.recipe import TrainingRecipe

Draws = dict[str, Tensor]
"""What was drawn for the images of one batch, by the name of the choice."""


def draw_augmentation(recipe: TrainingRecipe, batch: int, generator: torch.Generator) -> Draws:
    """Return which images are mirrored (batch,), and by how many pixels each is moved (2, batch)."""
    draws = {}
    if recipe.flip:
        draws["mirrored"] = torch.rand(batch, generator=generator) < 0.5
    if recipe.shift:
        draws["moved"] = torch.randint(0, 2 * recipe.shift + 1, (2, batch), generator=generator)
    return draws


def augmented(images: Tensor, recipe: TrainingRecipe, draws: Draws) -> Tensor:
    """Return images (batch, channels, height, width), normalised, as they were drawn to be.

    Edges are filled with the mean (zero).
    """
    if recipe.flip:
        images = torch.where(draws["mirrored"][:, None, None, None], images.flip(3), images)
    if recipe.shift:
        reach, moved = recipe.shift, draws["moved"]
        batch, _, height, width = images.shape
        padded = F.pad(images, (reach, reach, reach, reach))
        rows = moved[0][:, None, None] + torch.arange(height, device=images.device)[:, None]
        columns = moved[1][:, None, None] + torch.arange(width, device=images.device)
        which = torch.arange(batch, device=images.device)[:, None, None]
        # Indexing channels-last data gives (batch, height, width, channels): the layout is kept.
        images = padded.permute(0, 2, 3, 1)[which, rows, columns].permute(0, 3, 1, 2)
    return images


def augment(images: Tensor, recipe: TrainingRecipe, generator: torch.Generator) -> Tensor:
    """Mirror half of the images and move each by up to `shift` pixels; see `augmented`."""
    return augmented(images, recipe, draw_augmentation(recipe, len(images), generator))
