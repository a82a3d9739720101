"""Every backend learns digits as PyTorch does: the errors of a few seeds are alike, within what the seeds differ by.

The training stops early, where errors still fall steeply, so that another momentum would be seen.
"""

import dataclasses
import statistics

import pytest

from netspace.backends import BACKENDS, get_backend
from netspace.errors import MissingFrameworkError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

SPEC = NetworkSpec(
    stages=(Stage(depth=1, width=16, group_width=8), Stage(depth=1, width=32, group_width=8)),
    stem=Stem(width=16, stride=1),
    num_classes=10,
    in_channels=1,
)
RECIPE = TrainingRecipe(epochs=4, batch_size=50, learning_rate=0.02)
SEEDS = range(6)


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits"))


@pytest.fixture(scope="module")
def torch_errors(digits):
    return errors(get_backend("torch"), digits)


def errors(backend, data, **choices):
    recipe = dataclasses.replace(RECIPE, **choices)
    trials = (Trial(network=SPEC, recipe=recipe, data=data.fingerprint, seed=seed) for seed in SEEDS)
    return [backend.train(trial, data).error for trial in trials]


def differ(ours, theirs):
    """Whether the means are further apart than two standard deviations of the seeds."""
    spread = (statistics.variance(ours) + statistics.variance(theirs)) / 2
    return abs(statistics.mean(ours) - statistics.mean(theirs)) > 2 * spread**0.5


@pytest.mark.parametrize("name", sorted(set(BACKENDS) - {"torch"}))
def test_errors_are_those_of_pytorch(name, digits, torch_errors):
    try:
        backend = get_backend(name)
    except MissingFrameworkError as missing:
        pytest.skip(str(missing))
    found = errors(backend, digits)
    assert not differ(found, torch_errors), (found, torch_errors)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_another_momentum_would_be_seen(momentum, digits, torch_errors):
    assert differ(errors(get_backend("torch"), digits, momentum=momentum), torch_errors)


def test_norms_that_stay_in_inference_mode_would_be_seen(digits, torch_errors):
    class Stuck:
        """PyTorch's backend, which trains networks whose batch norms keep to their first statistics."""

        def train(self, trial, data):
            backend = get_backend("torch")
            network = backend.build(trial.network, seed=trial.seed)
            for part in network.modules():
                if hasattr(part, "running_mean"):
                    part.eval().train = lambda mode=True, part=part: part
            return backend.train(trial, data, network=network)

    assert differ(errors(Stuck(), digits), torch_errors)
