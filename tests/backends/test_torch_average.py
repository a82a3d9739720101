"""The moving average of weights against its closed form, and the network that it is while it is judged."""

import math

import pytest
import torch
from torch import nn

from netspace.backends.torch_average import Average, evenly
from netspace.training.recipe import TrainingRecipe


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 2))


IMAGES = torch.randn((20, 1, 4, 4), generator=torch.Generator().manual_seed(1))


def test_it_is_the_exponentially_weighted_mean_of_the_weights_after_every_step():
    recipe, steps = TrainingRecipe(epochs=3, average_epochs=0.5), 4
    trained = network()
    average = Average(trained, lambda: None)
    seen = []
    for step in range(12):
        with torch.no_grad():
            for parameter in trained.parameters():
                parameter.add_(torch.randn(parameter.shape))
        average.update(recipe.average_weight(step, steps))
        seen.append([parameter.detach().double().clone() for parameter in trained.parameters()])
        counts = [math.exp(-(step - then) / (0.5 * steps)) for then in range(step + 1)]
        for i, tensor in enumerate(average.tensors):
            expected = sum(count * then[i] for count, then in zip(counts, seen, strict=True)) / sum(counts)
            assert torch.allclose(tensor.double(), expected, atol=1e-5)


def test_in_its_place_the_network_has_its_weights_and_statistics_and_afterwards_its_own():
    trained = network()
    average = Average(trained, lambda: trained(IMAGES))
    for tensor in average.tensors:
        tensor.mul_(1.5).add_(0.1)
    trained.train()
    trained(IMAGES)  # running statistics of its own
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    with average.in_place():
        assert not any(module.training for module in trained.modules())
        named = dict(trained.named_parameters())
        for name, tensor in named.items():
            assert torch.equal(tensor, before[name] * 1.5 + 0.1)
        features = trained[0](IMAGES).transpose(0, 1).flatten(1)
        assert torch.allclose(trained[1].running_mean, features.mean(1), atol=1e-6)
        assert torch.allclose(trained[1].running_var, features.var(1), atol=1e-6)
        assert trained[1].momentum == 0.1
        judged = trained(IMAGES)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())
    average.take_place()
    assert torch.equal(trained(IMAGES), judged)


def test_an_error_while_it_is_judged_leaves_the_network_as_it_was():
    trained = network()
    average = Average(trained, lambda: trained(IMAGES))
    average.tensors[0].zero_()
    before = trained[0].weight.clone()

    def judge():
        with average.in_place():
            assert not trained[0].weight.any()
            raise KeyError

    with pytest.raises(KeyError):
        judge()
    assert torch.equal(trained[0].weight, before)


def test_statistics_are_of_images_from_beginning_to_end():
    assert evenly(3).tolist() == [0, 1, 2]
    assert len(evenly(10_000)) == 512
    assert (evenly(10_000)[0], evenly(10_000)[-1]) == (0, 9_999)
    assert len(set(evenly(513).tolist())) == 512
