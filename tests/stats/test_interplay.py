"""Interplay of parameters: additive effects are not said to interact, and those that interact not to be additive."""

import math
import sys

import numpy as np
import pytest
from scipy import special

from netspace.errors import InputError
from netspace.stats import common_interplay, interplay

REPEATS = 5


def population(rng, share, n=90):
    """Three groups, of which two act, alone and (`share`) through their product."""
    depth, width, other = rng.random((n, 2)), rng.random((n, 2)), rng.random((n, 1))
    d, w = (unit(x.sum(axis=1)) for x in (depth, width))
    odds = math.sqrt(1 - share) * unit(d - 0.4 * w**2) + math.sqrt(share) * unit(d * w) + rng.normal(0.0, 0.4, n)
    return {"depth": depth, "width": width, "other": other}, special.expit(odds - 2)


def unit(values):
    return (values - values.mean()) / values.std()


def test_additive_effects_and_effects_that_interact_are_told_apart():
    rng = np.random.default_rng(0)
    alone = [interplay(*population(rng, 0.0)) for _ in range(REPEATS)]
    mixed = [interplay(*population(rng, 0.6)) for _ in range(REPEATS)]
    assert sum(one.share.high <= 0.3 for one in alone) >= 2  # it can be shown
    assert not any(one.share.low > 0.25 for one in alone)
    assert not any(one.share.high <= 0.25 for one in mixed)
    assert sum(one.share.low > 0.1 for one in mixed) >= 3
    assert all(0.5 < one.explained < 1.0 for one in alone + mixed)
    together = common_interplay(alone)
    assert together.high <= 0.15  # five populations say more than one
    assert common_interplay(mixed).low > 0.2


def test_only_the_order_of_errors_counts_and_failures_are_the_worst():
    groups, errors = population(np.random.default_rng(1), 0.0)
    found = interplay(groups, errors)
    assert interplay(groups, errors**2).losses == pytest.approx(found.losses)
    failing = errors.copy()
    failing[errors.argmax()] = math.inf
    assert interplay(groups, failing).losses == pytest.approx(found.losses)


def test_noise_is_not_explained():
    groups, _ = population(np.random.default_rng(2), 0.0)
    found = interplay(groups, np.random.default_rng(3).random(90))
    assert found.explained < 0.4
    assert found.share.high - found.share.low > 0.5


def test_no_more_networks_are_looked_at_than_the_first_ones(monkeypatch):
    groups, errors = population(np.random.default_rng(2), 0.0)
    few = interplay({name: column[:60] for name, column in groups.items()}, errors[:60])
    monkeypatch.setattr(sys.modules["netspace.stats.interplay"], "MOST", 60)
    assert interplay(groups, errors) == few
    assert few.networks == 60


def test_little_says_nothing():
    groups, errors = population(np.random.default_rng(0), 0.0)
    assert interplay({name: column[:47] for name, column in groups.items()}, errors[:47]) is None
    assert interplay(groups, np.full(90, 0.3)) is None
    assert interplay(groups, np.full(90, math.inf)) is None
    assert interplay({"depth": groups["depth"]}, errors) is None
    assert interplay({"depth": groups["depth"], "constant": np.ones(90)}, errors) is None


@pytest.mark.parametrize(
    ("groups", "errors", "sentence"),
    [
        ({}, [0.1], "groups must name at least one"),
        ({"depth": [1.0, 2.0]}, [0.1], r"groups\['depth'\] \(shape \(2, 1\)\)"),
        ({"depth": [math.inf]}, [0.1], "infinite value"),
        ({"depth": [1.0]}, [math.nan], r"errors\[0\] \(=nan\)"),
    ],
)
def test_wrong_input_is_refused(groups, errors, sentence):
    with pytest.raises(InputError, match=sentence):
        interplay(groups, errors)
    with pytest.raises(InputError, match="at least one population"):
        common_interplay([])
