"""Our optimiser gives the numbers of PyTorch's, and a training imports nothing that takes longer than itself."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from netspace.backends.torch_sgd import SGD


def parameters() -> list[nn.Parameter]:
    drawn = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=drawn)) for shape in ((3, 4), (8,), (2, 3, 5, 5))]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 5e-5), (0.9, 0.0), (0.0, 0.1), (0.0, 0.0)])
def test_steps_are_those_of_pytorch_bit_for_bit_with_gradients_that_come_and_go(fused, momentum, weight_decay):
    ours, theirs = parameters(), parameters()
    one = SGD(ours, rate=0.0, momentum=momentum, weight_decay=weight_decay, fused=fused)
    other = torch.optim.SGD(theirs, lr=0.0, momentum=momentum, weight_decay=weight_decay, fused=fused, foreach=False)
    drawn = torch.Generator().manual_seed(1)
    absent = [(), (1,), (0, 1, 2), ()] if fused else [(1,), (0,), (0, 1, 2), ()]  # fused, all begin together there
    for step, without in enumerate(absent):
        one.rate = other.param_groups[0]["lr"] = 0.1 / (step + 1)
        for i, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
            gradient = torch.randn(mine.shape, generator=drawn)
            mine.grad, its.grad = (None, None) if i in without else (gradient, gradient.clone())
        one.step()
        other.step()
        assert all(torch.equal(mine, its) for mine, its in zip(ours, theirs, strict=True))


def test_a_fused_step_takes_parameters_that_begin_later():
    found = {}
    for fused in (False, True):
        weights = parameters()
        optimiser = SGD(weights, rate=0.1, momentum=0.9, weight_decay=0.01, fused=fused)
        for moved in ((0,), (0, 1), (0, 1, 2)):
            for i, weight in enumerate(weights):
                weight.grad = torch.ones_like(weight) if i in moved else None
            optimiser.step()
        found[fused] = weights
    for one, other in zip(found[False], found[True], strict=True):
        torch.testing.assert_close(one, other)


LIGHT = """
import sys
from netspace.backends import get_backend
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

data = load(DataChoice(name="digits", training_share=0.1))
spec = NetworkSpec(in_channels=1, stem=Stem(width=8, stride=1), stages=(Stage(depth=1, width=16),), num_classes=10)
recipe = TrainingRecipe(epochs=1, batch_size=16, average_epochs=0.5)
print(get_backend("torch").train(Trial(network=spec, recipe=recipe, data=data.fingerprint), data).status)
print(sorted({"sympy", "torch._dynamo", "torch._inductor"} & set(sys.modules)))
"""


def test_a_training_imports_no_compiler():
    said = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=120)
    assert said.stdout.splitlines() == ["finished", "[]"], said.stderr
