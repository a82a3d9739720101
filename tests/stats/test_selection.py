"""What the lowest of many errors is worth: limits, rivals and what to expect again, against simulations and tables."""

import math

import numpy as np
import pytest
from scipy import special, stats

from netspace.errors import InputError
from netspace.stats import error_limits, expected_again, may_be_best, seed_noise
from netspace.stats.selection import reach_of_best

OWN, CHANCE = 0.3, 0.3
"""Standard deviations in log-odds: of networks, and of one training."""


def population(rng, n):
    """Return the true errors of networks, what one training gives, and what another does."""
    own = rng.normal(-2.0, OWN, n)
    trained = special.expit(own + rng.normal(0.0, CHANCE, (2, n)))
    return special.expit(own), trained[0], trained[1]


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    own = rng.normal(-2.0, OWN, 400)[:, None]
    return seed_noise(special.expit(own + rng.normal(0.0, CHANCE, (400, 2))))


@pytest.mark.parametrize("wrong", [0, 1, 37, 499, 500])
def test_limits_are_clopper_and_pearsons(wrong):
    exact = stats.binomtest(wrong, 500).proportion_ci(0.9, method="exact")
    low, high = error_limits([wrong / 500], 500, level=0.9)
    assert (low[0], high[0]) == (pytest.approx(exact.low, abs=1e-12), pytest.approx(exact.high))


def test_limits_for_all_at_once_hold_for_the_one_that_was_picked():
    rng = np.random.default_rng(1)
    held = {1: 0, 50: 0}
    for _ in range(400):
        errors = rng.binomial(300, 0.15, 50) / 300  # all networks are the same: the lowest is nothing but luck
        for together in held:
            low, high = error_limits([errors.min()], 300, together=together)
            held[together] += bool(low[0] <= 0.15 <= high[0])
    assert held[50] >= 0.95 * 400
    assert held[1] < 0.6 * 400  # limits of a network chosen beforehand do not hold for it


def test_limits_of_a_balanced_error_are_wide_enough_by_the_smallest_class():
    rng = np.random.default_rng(4)
    images, wrong = np.array([400, 50]), np.array([0.1, 0.4])
    low, high = error_limits((rng.binomial(images, wrong, (600, 2)) / images).mean(axis=1), 2 * images.min())
    assert np.mean((low <= wrong.mean()) & (wrong.mean() <= high)) >= 0.95


def test_failures_have_infinite_limits_and_are_never_rivals():
    low, high = error_limits([0.1, math.inf], 100)
    assert np.isinf([low[1], high[1]]).all()
    assert may_be_best([math.inf, 0.1], images=100).tolist() == [False, True]
    with pytest.raises(InputError, match="all failed"):
        may_be_best([math.inf], images=100)


# One-sided critical values of Dunnett for equal correlations of 1/2 and known deviation, at 5 %.
@pytest.mark.parametrize(("others", "value"), [(1, 1.645), (2, 1.916), (5, 2.234), (9, 2.417)])
def test_the_reach_is_that_of_the_tables(others, value):
    assert reach_of_best(others + 1) / math.sqrt(2) == pytest.approx(value, abs=2e-3)


def test_the_true_best_is_among_the_rivals_as_often_as_promised(noise):
    rng = np.random.default_rng(2)
    rounds, held, sizes = 300, {"seeds": 0, "images": 0}, []
    for _ in range(rounds):
        own, errors, _ = population(rng, 40)
        rivals = may_be_best(errors, noise=noise)
        held["seeds"] += bool(rivals[own.argmin()])
        sizes.append(rivals.sum())
        judged = rng.binomial(500, own) / 500
        held["images"] += bool(may_be_best(judged, images=500)[own.argmin()])
    assert min(held.values()) >= 0.95 * rounds
    assert np.mean(sizes) < 39  # and it leaves some out


def test_rivals_are_a_lower_end_of_the_errors_and_grow_with_the_level():
    errors = np.linspace(0.05, 0.4, 30)
    few, many = (may_be_best(errors, images=400, level=level) for level in (0.5, 0.99))
    for rivals in (few, many):
        assert rivals.tolist() == sorted(rivals.tolist(), reverse=True)
    assert 1 <= few.sum() < many.sum() < 30


def test_the_winner_is_expected_to_lose_what_luck_gave_it(noise):
    rng = np.random.default_rng(3)
    first, foretold, second = [], [], []
    for _ in range(200):
        _, errors, again = population(rng, 40)
        best = errors.argmin()
        expected = expected_again(errors, noise)
        first.append(errors[best])
        foretold.append(expected[best])
        second.append(again[best])
    luck = np.median(second) - np.median(first)
    assert luck > 0.02
    assert abs(np.median(second) - np.median(foretold)) < 0.25 * luck


def test_what_is_expected_keeps_order_and_failures(noise):
    errors = np.append(np.linspace(0.05, 0.4, 20), math.inf)
    expected = expected_again(errors, noise)
    assert (np.diff(expected[:-1]) > 0).all()
    assert math.isinf(expected[-1])
    assert expected_again(errors[:5], noise) is None


def test_what_cannot_be_asked_is_one_sentence():
    for words, call in {
        "level (=1.0) must lie between 0 and 1": lambda: error_limits([0.1], 10, level=1.0),
        "images (=0) must be at least 1": lambda: error_limits([0.1], 0),
        "together (=0) must be at least 1": lambda: error_limits([0.1], 10, together=0),
        "images (=None) must be at least 1 where the noise": lambda: may_be_best([0.1]),
        "n (=0) must be at least 1": lambda: reach_of_best(0),
    }.items():
        with pytest.raises(InputError) as refused:
            call()
        assert str(refused.value).startswith(words)
