"""Ranges of the best values and their trend: the closed form against the drawn bootstrap, and simulated truths."""

import math
import time

import numpy as np
import pytest

from netspace.errors import InputError
from netspace.stats import Direction, best_chances, best_range, best_trend


def drawn(values: np.ndarray, errors: np.ndarray, share: float, repeats: int = 20_000) -> np.ndarray:
    """The bootstrap as it is told: draw networks, keep the best one's value, ties broken by chance."""
    rng = np.random.default_rng(3)
    rows = rng.integers(values.size, size=(repeats, max(round(share * values.size), 1)))
    tie_breakers = rng.random(rows.shape)
    order = np.lexsort((tie_breakers, errors[rows]), axis=1)[:, :1]
    best = np.take_along_axis(rows, order, axis=1)[:, 0]
    return values[best[np.isfinite(errors[best])]]


@pytest.mark.parametrize("share", [0.05, 0.25, 1.0])
@pytest.mark.parametrize("failures", [0, 30])
def test_the_chances_are_those_of_drawing(share, failures):
    rng = np.random.default_rng(4)
    errors = rng.normal(0.3, 0.02, 60).round(2)
    errors[:failures] = math.inf
    positions = np.arange(60.0)
    best = drawn(positions, errors, share)
    found = np.bincount(best.astype(int), minlength=60) / best.size
    assert np.abs(best_chances(errors, share=share) - found).max() < 0.012
    assert best_chances(errors, share=share)[:failures].sum() == 0.0
    limits = best_range(positions, errors, share=share)
    for limit, reached in ((limits.low, 0.025), (limits.median, 0.5), (limits.high, 0.975)):
        assert np.mean(best < limit) <= reached + 0.01
        assert np.mean(best <= limit) >= reached - 0.01


def test_networks_of_equal_error_share_their_chance_whatever_their_order():
    assert best_chances(np.full(40, 0.2)) == pytest.approx(np.full(40, 1 / 40))
    values, errors = np.arange(40.0), np.r_[np.full(20, 0.1), np.full(20, 0.2)]
    found = best_range(values, errors)
    assert found == best_range(values[::-1], errors[::-1])
    # The twenty best are alike. A draw of ten misses them all once in a thousand, so that ten of them are just short
    # of one half.
    assert (found.low, found.median, found.high) == (0.0, 10.0, 19.0)


@pytest.mark.parametrize("n", [30, 100, 500])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.2])
def test_the_range_covers_a_known_optimum_at_least_as_often_as_stated(n, noise):
    rng, covered = np.random.default_rng(n), 0
    for _ in range(200):
        values = rng.random(n)
        found = best_range(values, (0.3 + 0.4 * (values - 0.6) ** 2 + rng.normal(0.0, noise, n)).clip(0.0, 1.0))
        covered += found.low <= 0.6 <= found.high
    assert covered >= 190


def test_less_noise_gives_a_narrower_range_and_pure_noise_holds_most_networks():
    rng = np.random.default_rng(5)
    values = rng.random(200)
    holds = [
        np.median([best_range(values, 0.4 + signal * (values - 0.6) ** 2 + rng.normal(0, 0.02, 200)).holds
                   for _ in range(200)])
        for signal in (0.0, 0.1, 1.0)
    ]  # fmt: skip
    assert 0.78 <= holds[0] <= 0.90
    assert holds[0] > 1.2 * holds[1] > 1.5 * holds[2]


def test_an_optimum_at_the_edge_of_the_values_is_told():
    ratios = np.repeat([1.0, 2.0, 4.0], 30)
    found = best_range(ratios, 0.1 * ratios + np.random.default_rng(6).normal(0.0, 0.01, 90))
    assert (found.low, found.median, found.high, found.holds) == (1.0, 1.0, 1.0, pytest.approx(1 / 3))


@pytest.mark.parametrize("n", [1, 2, 9])
def test_of_a_handful_no_range_is_told(n):
    assert best_range(np.arange(n), np.linspace(0.1, 0.2, n)) is None
    assert best_range(np.arange(n + 90), np.r_[np.linspace(0.1, 0.2, n), np.full(90, math.inf)]) is None


def test_failures_are_drawn_but_never_the_best():
    assert best_range(np.arange(50), np.full(50, math.inf)) is None
    values, errors = np.arange(100.0), np.r_[np.full(90, math.inf), np.linspace(0.1, 0.2, 10)]
    found = best_range(values, errors)
    assert (found.low, found.networks) == (90.0, 100)
    assert not math.isnan(found.median)


def test_networks_without_the_parameter_are_left_out():
    values, errors = np.arange(40.0), np.linspace(0.1, 0.5, 40)
    holed = np.r_[values, np.full(20, math.nan)]
    assert best_range(holed, np.r_[errors, np.full(20, 0.01)]) == best_range(values, errors)
    assert best_range(np.full(40, math.nan), errors) is None


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: best_range([], []), "errors must hold at least one"),
        (lambda: best_range([1.0, 2.0], [0.1, math.nan]), r"errors\[1\] \(=nan\)"),
        (lambda: best_range([1.0], [0.1, 0.2]), r"parameter \(shape \(1,\)\) must hold one value for each of the 2"),
        (lambda: best_range([1.0, math.inf], [0.1, 0.2]), "parameter holds an infinite value"),
        (lambda: best_range([1.0], [0.1], share=0.0), r"share \(=0.0\) must be above 0"),
        (lambda: best_range([1.0], [0.1], share=math.nan), r"share \(=nan\)"),
        (lambda: best_range([1.0], [0.1], level=1.0), r"level \(=1.0\) must be at least 0.5 and below 1"),
        (lambda: best_trend([(1e6, [1.0], [0.1])]), "budgets .* at least two different positive"),
        (lambda: best_trend([(1e6, [1.0], [0.1]), (-1.0, [1.0], [0.1])]), "budgets"),
        (lambda: best_trend([(1.0, [1.0], [0.1]), (2.0, [1.0], [0.1])], flat_within=0.0), "flat_within"),
        (lambda: best_trend([(1.0, [1.0], [0.1]), (2.0, [1.0], [0.1])], repeats=0), "repeats"),
        (lambda: best_trend([(1.0, [1.0], [0.1]), (2.0, [1.0], [0.1])], level=2.0), "level"),
    ],
)
def test_impossible_questions_are_refused_in_a_sentence(ask, sentence):
    with pytest.raises(InputError, match=sentence):
        ask()


def test_twenty_parameters_of_five_hundred_networks_take_no_time():
    rng = np.random.default_rng(7)
    values, errors = rng.random((20, 500)), rng.random(500)
    begun = time.perf_counter()
    assert all(best_range(column, errors) for column in values)
    assert time.perf_counter() - begun < 2.0


def populations(rng: np.random.Generator, slope: float, noise: float, n: int = 100) -> list:
    """Four budgets, each twice the last; the best value moves by `slope` per doubling."""
    made = []
    for doubling in range(4):
        values = rng.uniform(0.0, 40.0, n)
        errors = 0.2 + 0.001 * np.abs(values - 15.0 - slope * doubling) + rng.normal(0.0, noise, n)
        made.append((1e6 * 2**doubling, values, errors.clip(0.0, 1.0)))
    return made


def test_a_trend_is_found_with_its_direction_and_slope():
    rng = np.random.default_rng(8)
    rising, falling = (best_trend(populations(rng, slope, 0.001)) for slope in (4.0, -4.0))
    assert (rising.direction, falling.direction) == (Direction.RISING, Direction.FALLING)
    assert rising.low < 4.0 < rising.high
    assert falling.slope == pytest.approx(-4.0, abs=1.0)
    still = populations(rng, 0.0, 0.001)
    assert best_trend(still).direction is Direction.UNDECIDED
    assert best_trend(still, flat_within=3.0).direction is Direction.FLAT
    assert best_trend(still) == best_trend(still, seed=0)


def test_where_nothing_moves_a_trend_is_rarely_claimed():
    rng = np.random.default_rng(9)
    found = [best_trend(populations(rng, 0.0, noise), repeats=1000) for noise in (0.0, 0.005, 0.05) for _ in range(60)]
    assert sum(trend.direction is not Direction.UNDECIDED for trend in found) <= 9
    assert all(trend.low <= 0.0 <= trend.high for trend in found if trend.direction is Direction.UNDECIDED)


def test_a_budget_with_a_handful_of_networks_gives_no_trend():
    many, few = (1e6, np.arange(40.0), np.linspace(0.1, 0.2, 40)), (2e6, np.arange(5.0), np.linspace(0.1, 0.2, 5))
    assert best_trend([many, few]) is None
