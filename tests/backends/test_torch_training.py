"""What PyTorch's loop does to pixels, and what happens without a framework."""

import numpy as np
import pytest
import torch

from netspace.backends import get_backend
from netspace.backends.torch_augmentation import augment
from netspace.backends.torch_images import Normalise
from netspace.errors import InputError, MissingFrameworkError
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits"))


def test_pixels_are_normalised_by_the_training_split(digits):
    images = Normalise(digits)(digits.training.images.copy())
    assert images.shape == (1000, 1, 8, 8)
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.std().item() == pytest.approx(1, abs=1e-3)


def test_augmentation_moves_and_mirrors_each_image_on_its_own():
    images = torch.arange(1.0, 1 + 64 * 25).reshape(64, 1, 5, 5)
    generator = torch.Generator().manual_seed(0)
    mirrored = augment(images, TrainingRecipe(flip=True), generator)
    kept = (mirrored == images).flatten(1).all(1)
    flipped = (mirrored == images.flip(3)).flatten(1).all(1)
    assert (kept | flipped).all()
    assert 10 < kept.sum() < 54

    moved = augment(images, TrainingRecipe(shift=1), generator)
    offsets = set()
    for before, after in zip(images[:, 0].numpy(), moved[:, 0].numpy(), strict=True):
        padded = np.pad(before, 1)
        found = [(r, c) for r in range(3) for c in range(3) if (padded[r : r + 5, c : c + 5] == after).all()]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) == 9
    assert augment(images, TrainingRecipe(), generator) is images


def test_an_unknown_backend_and_a_missing_framework(monkeypatch):
    with pytest.raises(InputError, match="did you mean 'torch'"):
        get_backend("torhc")
    monkeypatch.setitem(__import__("netspace.backends").backends.BACKENDS, "jax", "no_such_framework:Backend")
    with pytest.raises(MissingFrameworkError, match=r"pip install 'netspace\[jax\]'"):
        get_backend("jax")
