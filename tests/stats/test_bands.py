"""A band for all n at once: the constants of its source, and its level when one looks after every network."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from netspace.errors import InputError
from netspace.stats import EDF, anytime_half_width, dkw_half_width


def risk_of_theorem_2(constant: float) -> float:
    """The bound of Howard and Ramdas 2022, theorem 2, on the chance to leave 0.85 sqrt((log log(e t) + C) / t)."""

    def bound(eta: float) -> float:
        room = 0.85 - math.sqrt(2 * (eta - 1) / constant)
        gamma = 2 / eta * room**2
        return 4 * math.exp(-gamma * constant) * (1 + 1 / ((gamma - 1) * math.log(eta))) if gamma > 1 else math.inf

    grid = np.linspace(1.0001, 1.4, 4000)
    return min(map(bound, grid.tolist()))


@pytest.mark.parametrize("alpha", [0.25, 0.1, 0.05, 0.01, 0.001])
def test_the_closed_form_is_on_the_safe_side_of_the_theorem_and_near_it(alpha):
    closed = 0.8 * math.log(1612 / alpha)
    assert risk_of_theorem_2(closed) <= alpha
    exact = optimize.brentq(lambda c: risk_of_theorem_2(c) - alpha, 5.0, closed)
    assert closed - exact < 0.5


def test_one_may_look_after_every_network():
    rng, repeats, most = np.random.default_rng(2), 200, 500
    draws = rng.random((repeats, most))
    left = {"once": np.zeros(repeats, bool), "any time": np.zeros(repeats, bool)}
    for n in range(1, most + 1):
        errors = np.sort(draws[:, :n], axis=1)
        # The uniform law is F(e) = e; the EDF is furthest from it at an error, or just before one.
        furthest = np.maximum(np.arange(1, n + 1) / n - errors, errors - np.arange(n) / n).max(axis=1)
        left["once"] |= furthest > dkw_half_width(n)
        left["any time"] |= furthest > anytime_half_width(n)
    assert left["any time"].sum() <= stats.binom.ppf(0.99, repeats, 0.05)
    assert left["once"].sum() > 0.25 * repeats  # a band for one n says nothing to those who look at every n


def test_it_is_twice_as_wide_and_a_band_of_an_edf():
    assert anytime_half_width(500) / dkw_half_width(500) == pytest.approx(2.0, abs=0.02)
    edf = EDF(errors=[0.1, 0.2, 0.2, 0.3] * 50)
    lower, upper = edf.band(0.9, anytime=True)
    assert upper[0] == 0.25 + anytime_half_width(200, 0.9)
    assert lower[1] == 0.75 - anytime_half_width(200, 0.9)
    assert np.all(upper >= edf.band(0.9)[1])


@pytest.mark.parametrize(("n", "level"), [(0, 0.95), (math.nan, 0.95), (10, 1.0), (10, math.nan)])
def test_what_cannot_be(n, level):
    with pytest.raises(InputError, match=r"(n|level) \(="):
        anytime_half_width(n, level)
