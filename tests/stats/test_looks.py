"""The levels of planned looks against published constants and against simulated random walks; bad plans."""

import math

import numpy as np
import pytest
from scipy import stats

from netspace.errors import InputError
from netspace.stats import Look, nominal_levels, planned_looks
from netspace.stats.looks import SHAPE, crossing_risk


def equal(looks):
    return tuple((k + 1) / looks for k in range(looks))


# Jennison and Turnbull 2000, tables 2.1 and 2.3: two-sided 5 %.
@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    [(2, 2.178, 1.977), (5, 2.413, 2.040), (10, 2.555, 2.087), (20, 2.672, 2.126)],
)
def test_the_published_constants(looks, pocock, obrien_fleming):
    for shape, constant in ((0.5, pocock), (0.0, obrien_fleming)):
        scores = stats.norm.isf(nominal_levels(equal(looks), 0.025, shape))
        assert scores == pytest.approx(constant * np.array(equal(looks)) ** (shape - 0.5), abs=2e-3)


@pytest.mark.parametrize("shares", [(1.0,), (0.3, 1.0), (0.1, 0.15, 0.7, 0.98, 1.0)])
@pytest.mark.parametrize(("shape", "growth"), [(0.0, 1.0), (SHAPE, 1.0), (0.5, 1.0), (SHAPE, 2.0)])
def test_a_random_walk_crosses_at_the_level(shares, shape, growth):
    rng, repeats, alpha = np.random.default_rng(1), 40_000, 0.05
    times = np.array(shares) ** growth
    steps = rng.normal(size=(repeats, len(shares))) * np.sqrt(np.diff(times, prepend=0.0))
    scores = np.cumsum(steps, axis=1) / np.sqrt(times)
    crossed = (scores > stats.norm.isf(nominal_levels(shares, alpha, shape, growth))).any(axis=1).sum()
    assert abs(crossed - alpha * repeats) < 4 * math.sqrt(alpha * (1 - alpha) * repeats)


@pytest.mark.parametrize("looks", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("risk", [0.05, 0.01])
def test_claims_at_the_whole_risk_stay_below_it_and_those_at_half_reach_theirs(looks, risk):
    planned = planned_looks(40 * looks, looks)
    alphas = np.array([Look(number=k + 1, planned=planned).alpha(risk) for k in range(looks)])
    times = np.array(planned) / planned[-1]
    assert crossing_risk(times, stats.norm.isf(alphas / 2)) == pytest.approx(risk / 2, abs=1e-7)
    assert 0.85 * risk < crossing_risk(times, stats.norm.isf(alphas)) < risk
    assert np.all(np.diff(alphas) > 0)


def test_what_learns_faster_is_judged_more_strictly_at_every_look():
    look = Look(number=2, planned=(10, 20, 30))
    assert look.alpha(0.05, 2.0) < look.alpha(0.05, 1.5) < look.alpha(0.05)


def test_looks_are_equally_spaced_and_end_at_all_networks():
    assert planned_looks(100, 5) == (20, 40, 60, 80, 100)
    assert planned_looks(7, 3) == (3, 5, 7)
    assert planned_looks(2, 2) == (1, 2)
    assert Look(number=2, planned=(3, 5, 7)).networks == 5


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: planned_looks(100, 1), r"looks \(=1\) must be a whole number from 2 to 20, .*; the nearest is 2"),
        (lambda: planned_looks(100, 21), r"looks \(=21\) .*; the nearest is 20"),
        (lambda: planned_looks(3, 4), r"looks \(=4\) must be a whole number from 2 to 3, .*; the nearest is 3"),
        (lambda: planned_looks(1, 2), r"looks \(=2\) .* at least 2 networks of each space \(=1\)"),
        (lambda: nominal_levels((), 0.05), r"shares \(=\(\)\) must increase"),
        (lambda: nominal_levels((0.5, 0.5, 1.0), 0.05), r"shares .* must increase"),
        (lambda: nominal_levels((0.0, 1.0), 0.05), r"shares .* must increase"),
        (lambda: nominal_levels((math.nan, 1.0), 0.05), r"shares .* must increase"),
        (lambda: nominal_levels((0.5, 0.9), 0.05), r"shares \(=\(0.5, 0.9\)\) must end at 1"),
        (lambda: nominal_levels((0.5, 1.0), 0.0), r"alpha \(=0\) must lie between"),
        (lambda: nominal_levels((0.5, 1.0), math.nan), r"alpha \(=nan\) must lie between"),
        (lambda: nominal_levels((0.5, 1.0), 0.05, 0.6), r"shape \(=0.6\) must lie between"),
        (lambda: nominal_levels((0.5, 1.0), 0.05, growth=0.5), r"growth \(=0.5\) must lie between 1 and 4"),
        (lambda: Look(number=3, planned=(10, 20)), r"number \(=3\) must be one of the 2 planned looks"),
        (lambda: Look(number=1, planned=(20, 10)), r"planned \(=\(20, 10\)\) must increase"),
    ],
)
def test_a_wrong_plan(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
