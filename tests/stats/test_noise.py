"""Chance of the seed: the split finds it, keeps its level, and an EDF without it comes nearer to the truth."""

import math

import numpy as np
import pytest
from scipy import special

from netspace.errors import InputError
from netspace.stats import EDF, seed_noise, without_noise
from netspace.stats.noise import _variances_without, log_odds


def trained(rng, n, seeds=2, own=0.8, chance=0.5):
    odds = rng.normal(-2.5, own, n)
    return odds, special.expit(odds[:, None] + rng.normal(0.0, chance, (n, seeds)))


def test_the_split_of_many_networks_is_the_true_one():
    found = seed_noise(trained(np.random.default_rng(0), 20_000, 3)[1])
    assert found.between == pytest.approx(0.8, abs=0.02)
    assert found.seed.value == pytest.approx(0.5, abs=0.01)
    assert found.reliability.value == pytest.approx(0.64 / 0.89, abs=0.01)
    assert found.rank_repeat == pytest.approx(0.64 / 0.89, abs=0.03)
    assert found.points(0.1) == pytest.approx(0.5 * 0.1 * 0.9, abs=0.002)


def test_limits_hold_the_truth():
    rng = np.random.default_rng(0)
    found = [seed_noise(trained(rng, 30)[1]) for _ in range(400)]
    for true, told in ((0.64 / 0.89, [f.reliability for f in found]), (0.5, [f.seed for f in found])):
        assert np.mean([one.low <= true <= one.high for one in told]) >= 0.90
    assert np.mean([f.reliability.high - f.reliability.low for f in found]) < 0.6


def test_networks_that_only_noise_tells_apart_have_nothing_of_their_own():
    found = seed_noise(trained(np.random.default_rng(0), 200, own=0.0)[1])
    assert found.reliability.low == 0.0
    assert found.reliability.high < 0.2
    assert without_noise(trained(np.random.default_rng(1), 50, 1, own=0.0, chance=0.3)[1][:, 0], found) is None


def test_failures_are_counted_and_rank_last():
    errors = trained(np.random.default_rng(0), 20)[1]
    errors[0] = math.inf
    errors[1, 1] = math.inf
    found = seed_noise(errors)
    assert (found.networks, found.failed, found.sometimes) == (20, 2, 1)
    assert found.between == seed_noise(errors[2:]).between
    assert found.rank_repeat != seed_noise(errors[2:]).rank_repeat


def test_seeds_that_change_nothing():
    errors = np.repeat(np.linspace(0.1, 0.5, 12)[:, None], 2, axis=1)
    found = seed_noise(errors)
    assert (found.seed.value, found.reliability.value, found.rank_repeat) == (0.0, 1.0, pytest.approx(1.0))
    assert without_noise(errors[:, 0], found).errors == pytest.approx(errors[:, 0])


def test_little_says_nothing():
    errors = trained(np.random.default_rng(0), 12)[1]
    assert seed_noise(errors[:9]) is None
    assert seed_noise(np.full((20, 2), 0.3)) is None
    assert seed_noise(np.full((20, 2), math.inf)) is None
    assert seed_noise(np.zeros((0, 2))) is None
    one_differs = np.full((12, 2), 0.3)
    one_differs[0, 0] = 0.4
    found = seed_noise(one_differs)
    assert all(math.isfinite(x) for x in (found.between, found.seed.high, found.reliability.low))
    assert without_noise([0.1, 0.2], seed_noise(errors)) is None


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ([[0.1], [0.2]], "at least two seeds"),
        ([0.1, 0.2], "at least two seeds"),
        ([[0.1, math.nan]], r"replicates\[1\] \(=nan\)"),
    ],
)
def test_wrong_replicates_are_refused(errors, sentence):
    with pytest.raises(InputError, match=sentence):
        seed_noise(errors)


def test_an_edf_without_noise_is_nearer_to_the_truth_and_keeps_failures():
    rng = np.random.default_rng(0)
    seen, corrected = [], []
    for _ in range(60):
        odds, errors = trained(rng, 100, 3)
        once = np.append(errors[:, 0], [math.inf, math.inf])
        found = without_noise(once, seed_noise(errors))
        assert found.num_failed == 2
        assert found.n == 102
        true = EDF(errors=np.append(special.expit(odds), [math.inf, math.inf]))
        for edf, misses in ((EDF(errors=once), seen), (found, corrected)):
            misses.append([edf.quantile(q) - true.quantile(q) for q in (0.1, 0.9)])
    squares = [np.square(misses).mean(axis=0) for misses in (seen, corrected)]
    assert (squares[1] < 0.6 * squares[0]).all()


def test_log_odds_of_no_error_are_finite():
    assert np.isfinite(log_odds(np.array([0.0, 1.0, 0.25]))).all()
    assert log_odds(np.array([0.0, 0.0])).tolist() == pytest.approx([special.logit(0.25)] * 2)
    values = np.random.default_rng(0).normal(size=7)
    expected = [np.delete(values, i).var(ddof=1) for i in range(7)]
    assert _variances_without(values) == pytest.approx(expected)
