"""Averages, mixing and small images in whole trainings: they act, in every precision and kernels, and repeat."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from netspace.backends import torch_training
from netspace.backends.torch_evaluation import error
from netspace.backends.torch_images import Normalise, resized
from netspace.backends.torch_training import train
from netspace.backends.torch_usual import train_usually
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

SPEC = NetworkSpec(
    stages=(Stage(depth=1, width=16, group_width=4, stride=2),),
    stem=Stem(width=8, stride=1),
    num_classes=10,
    in_channels=1,
)
PLAIN = TrainingRecipe(epochs=2, batch_size=25, learning_rate=0.1)
ALL = {
    "average_epochs": 0.5,
    "mixup": 0.4,
    "cutmix": 1.0,
    "small_resolution": 6,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "metric": "balanced_error",
    "shift": 1,
}
needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")


@pytest.fixture(scope="module")
def data():
    return load(DataChoice(name="digits", training_share=0.2))


def trial(data, kernels="torch", **changes):
    recipe = dataclasses.replace(PLAIN, **changes)
    return Trial(network=SPEC, recipe=recipe, data=data.fingerprint, kernels=kernels)


@pytest.mark.parametrize(
    ("kernels", "precision"),
    [("torch", "float32"), ("blocked", "bfloat16"), pytest.param("native", "bfloat16", marks=needs_compiler)],
)
def test_all_of_it_together_gives_the_same_numbers_again(data, kernels, precision):
    asked = trial(data, kernels, precision=precision, **ALL)
    first, again = train(asked, data), train(asked, data)
    assert first.error == again.error
    assert [record.training_loss for record in first.curve] == [record.training_loss for record in again.curve]


def test_all_of_it_together_learns():
    data = load(DataChoice(name="digits"))
    assert train(trial(data, epochs=8, **ALL), data).error < 0.6  # chance is 0.9


@pytest.mark.parametrize("change", [{"average_epochs": 0.5}, {"mixup": 0.4}, {"cutmix": 1.0}, {"small_resolution": 6}])
def test_each_has_an_effect_on_a_training(data, change):
    plain, changed = (train(trial(data, **one), data) for one in ({}, change))
    assert plain.error != changed.error
    same_loss = plain.curve[0].training_loss == changed.curve[0].training_loss
    assert same_loss == ("average_epochs" in change)  # the average is judged, and trains nothing


def test_the_network_that_is_kept_is_the_one_that_was_judged(data):
    asked = trial(data, average_epochs=1.0)
    network = torch_training.build(SPEC, seed=0)
    result = train(asked, data, network=network)
    assert error(network, data.validation, Normalise(data), asked.recipe) == result.error
    own = torch_training.build(SPEC, seed=0)
    train(trial(data), data, network=own)
    assert not torch.equal(network.head.linear.weight, own.head.linear.weight)


def test_images_are_small_for_the_first_share_of_the_steps_and_never_where_networks_are_judged(data):
    network = torch_training.build(SPEC, seed=0)
    seen = []
    network.register_forward_pre_hook(lambda module, given: seen.append((module.training, given[0].shape[-1])))
    train(trial(data, batch_size=50, small_resolution=5, small_share=0.75), data, network=network)
    assert [side for training, side in seen if training] == [5] * 6 + [8] * 2
    assert {side for training, side in seen if not training} == {8}


def test_a_small_image_is_the_mean_of_what_its_pixels_cover():
    images = torch.rand((3, 2, 8, 8)).contiguous(memory_format=torch.channels_last)
    expected = np.zeros((3, 2, 4, 4), np.float32)
    weights = {-1: 1, 0: 3, 1: 3, 2: 1}  # a tent two pixels wide, seen from the middle between two pixels
    for row in range(4):
        for column in range(4):
            total = 0
            for i, of_row in weights.items():
                for j, of_column in weights.items():
                    if 0 <= 2 * row + i < 8 and 0 <= 2 * column + j < 8:
                        weight = of_row * of_column
                        expected[:, :, row, column] += weight * images[:, :, 2 * row + i, 2 * column + j].numpy()
                        total += weight
            expected[:, :, row, column] /= total
    found = resized(images, 4)
    assert np.allclose(found.numpy(), expected, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert resized(images, 8) is images


def test_small_images_must_be_smaller_and_have_pixels(data):
    with pytest.raises(InputError, match=r"^small_resolution \(=8\) must be below the resolution \(=8\) .* is 7$"):
        train(trial(data, small_resolution=8), data)
    with pytest.raises(InputError, match=r"^recipe.small_resolution \(=1\) leaves no pixels: stages\[0\] has stride 2"):
        trial(data, small_resolution=1)


def test_the_usual_way_heeds_them_too(data):
    plain = dataclasses.replace(PLAIN, metric="balanced_error", epochs=4)
    errors = set()
    for change in ({}, {"average_epochs": 0.5}, {"mixup": 0.4}, {"small_resolution": 6}):
        torch.manual_seed(0)  # from which the DataLoader shuffles
        errors.add(train_usually(SPEC, data, dataclasses.replace(plain, **change), loaders=0))
    assert len(errors) == 4
    assert max(errors) < 0.9  # chance
