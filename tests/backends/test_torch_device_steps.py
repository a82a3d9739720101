"""A step as a function of tensors that stay in place gives the numbers of the plain loop; here on the processor."""

import dataclasses
import gc
import weakref

import pytest
import torch

from netspace.backends import torch_images, torch_training
from netspace.backends.torch_average import Average
from netspace.backends.torch_device_steps import DeviceSteps
from netspace.backends.torch_devices import PROCESSOR
from netspace.backends.torch_graph import Replayed
from netspace.backends.torch_images import Pixels, in_layout
from netspace.backends.torch_model import build
from netspace.backends.torch_training import train
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

SPEC = NetworkSpec(
    stages=(Stage(depth=1, width=16, group_width=4, stride=2),),
    stem=Stem(width=8, stride=1),
    num_classes=10,
    in_channels=1,
    dropout=0.1,
)
PLAIN = TrainingRecipe(epochs=3, batch_size=25, learning_rate=0.1)
ALL = {
    "mixup": 0.4,
    "cutmix": 1.0,
    "small_resolution": 6,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "flip": True,
    "shift": 1,
    "warmup_epochs": 0.5,
}


@pytest.fixture(scope="module")
def data():
    return load(DataChoice(name="digits", training_share=0.2))


def learned(data, capture, kernels="torch", **changes):
    """All numbers that a training leaves."""
    recipe = dataclasses.replace(PLAIN, **changes)
    trial = Trial(network=SPEC, recipe=recipe, data=data.fingerprint, kernels=kernels)
    network = build(SPEC, seed=1)
    result = train(trial, data, network=network, capture=capture)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return result.error, [record.training_loss for record in result.curve], weights


def same(one, other):
    assert one[:2] == other[:2]
    assert all(torch.equal(one[2][name], tensor) for name, tensor in other[2].items())


@pytest.mark.parametrize("changes", [{}, ALL, {"cutmix": 1.0, "precision": "bfloat16"}])
def test_an_epoch_of_inputs_in_place_gives_the_plain_loops_numbers(data, changes):
    same(learned(data, True, **changes), learned(data, None, **changes))


def test_images_that_do_not_fit_are_copied_batch_by_batch(data, monkeypatch):
    monkeypatch.setattr(torch_images, "copied", lambda *given: None)
    same(learned(data, True, **ALL), learned(data, None, **ALL))


def test_an_average_moves_by_a_tensor_as_by_a_number(data):
    by_number, by_tensor = (Average(build(SPEC, seed=0), lambda: None) for _ in range(2))
    for average in (by_number, by_tensor):
        for tensor in average.tensors:
            tensor.zero_()
    by_number.update(0.3)
    by_tensor.update(torch.tensor(0.3))
    assert any(tensor.any() for tensor in by_number.tensors)
    for one, other in zip(by_number.tensors, by_tensor.tensors, strict=True):
        torch.testing.assert_close(one, other)
    assert learned(data, True, average_epochs=0.5)[0] == pytest.approx(
        learned(data, None, average_epochs=0.5)[0], abs=0.01
    )


def test_a_function_is_called_once_each_time_where_there_is_nothing_to_capture():
    total = torch.zeros(())
    replayed = Replayed(PROCESSOR)
    for _ in range(5):
        replayed(lambda: total.add_(1))
    assert total == 5


def test_pixels_that_lie_there_are_those_of_the_split_and_are_copied_once(data):
    images = data.training.images
    here, there = Pixels(images, PROCESSOR), Pixels(images, PROCESSOR, copy=True)
    assert here.there is None
    assert torch.equal(there.there, torch.tensor(images))
    chosen = data.training.labels.argsort()[:7]
    assert (there(chosen).numpy() == here(chosen)).all()
    assert Pixels(images, PROCESSOR, copy=True).there is there.there
    assert Pixels(data.validation.images, PROCESSOR, copy=True).there is not there.there


@pytest.mark.parametrize("channels", [1, 3])
def test_contiguous_kernels_see_the_default_layout_even_of_one_channel(data, channels):
    """Of one channel, strides alone say which layout is meant, and a convolution goes by them."""
    images = torch.rand((4, 8, 8, channels)).permute(0, 3, 1, 2)
    assert in_layout(images, "contiguous").stride() == (64 * channels, 64, 8, 1)
    assert in_layout(images, "torch") is images
    conv = torch.nn.Conv2d(channels, 16, 3)
    assert conv(in_layout(images, "contiguous")).is_contiguous()


def test_contiguous_kernels_learn_the_same_but_for_rounding(data):
    default, last = (learned(data, None, kernels) for kernels in ("contiguous", "torch"))
    assert default[1] == pytest.approx(last[1], rel=1e-3)


def test_what_a_training_took_on_a_device_is_given_back_at_its_end(data, monkeypatch):
    """And not when Python looks for circles: the memory of a device is other trainings', too."""
    made = []

    class Watched(DeviceSteps):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(weakref.ref(self))

    monkeypatch.setattr(torch_training, "DeviceSteps", Watched)
    gc.collect()
    gc.disable()
    try:
        learned(data, True, epochs=1)
        assert [steps() for steps in made] == [None]
    finally:
        gc.enable()
