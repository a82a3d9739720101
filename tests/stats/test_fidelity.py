"""Rank agreement of two measurements: the numbers are SciPy's, and the limits hold the true ones."""

import math

import numpy as np
import pytest
from scipy import stats

from netspace.errors import InputError
from netspace.stats import fidelity, noise_ceiling
from netspace.stats.fidelity import _in_top, _kendall, _signs, _spearman


def tied(rng, n):
    own = rng.normal(size=n)
    a, b = (np.round(0.3 + 0.05 * (own + 0.7 * rng.normal(size=n)), 2) for _ in range(2))
    a[:2] = math.inf
    b[1:3] = math.inf
    return a, b


def scipys(a, b):
    ranks = stats.rankdata(a), stats.rankdata(b)
    return stats.kendalltau(*ranks).statistic, stats.spearmanr(*ranks).statistic


def test_correlations_are_scipys_with_ties_and_failures():
    a, b = tied(np.random.default_rng(0), 40)
    found = fidelity(a, b)
    assert (found.kendall.value, found.spearman.value) == pytest.approx(scipys(a, b))
    assert (found.networks, found.failed_cheap, found.failed_dear) == (40, 2, 2)
    assert found.kendall.low < found.kendall.value < found.kendall.high


def test_leaving_one_out_is_what_it_says():
    a, b = tied(np.random.default_rng(1), 25)
    signs = _signs(a), _signs(b)
    for i in range(25):
        others = np.arange(25) != i
        assert (_kendall(*signs)[1][i], _spearman(*signs)[1][i]) == pytest.approx(scipys(a[others], b[others]))


def test_the_top_breaks_ties_by_lot():
    assert _in_top(np.array([0.1, 0.2, 0.2, 0.3]), 2).tolist() == [1.0, 0.5, 0.5, 0.0]
    errors = np.linspace(0.0, 0.99, 100)
    assert fidelity(errors, np.roll(errors, 5)).top_recall.value == 0.5
    assert fidelity(errors, 1.0 - errors).top_recall.value == 0.0
    assert fidelity(errors, 1.0 - errors).kendall.value == -1.0
    assert fidelity(errors[:49], errors[:49]).top_recall is None


@pytest.mark.parametrize("noise", [0.15, 0.6])
def test_limits_hold_the_true_correlation(noise):
    rng = np.random.default_rng(0)

    def draw(n):
        own = rng.normal(size=n)
        return [np.clip(np.round(np.exp(0.5 * (own + noise * rng.normal(size=n)) - 3), 3), 0, 1) for _ in range(2)]

    truth = scipys(*draw(20_000))
    found = [fidelity(*draw(40)) for _ in range(250)]
    for true, told in zip(truth, ([f.kendall for f in found], [f.spearman for f in found]), strict=True):
        held = np.mean([one.low <= true <= one.high for one in told])
        assert held >= 0.91  # 95 % less three standard errors
        assert np.mean([one.high - one.low for one in told]) < 0.5  # not by being endless


def test_little_says_nothing():
    errors = np.linspace(0.1, 0.5, 19)
    assert fidelity(errors, errors) is None
    assert fidelity(np.full(30, 0.2), np.linspace(0, 1, 30)) is None
    assert fidelity(np.full(30, math.inf), np.linspace(0, 1, 30)) is None
    mostly = np.full(30, math.inf)
    mostly[3] = 0.1
    found = fidelity(mostly, np.linspace(0, 1, 30))  # without that one network nothing is left to correlate
    assert all(math.isfinite(x) for x in (found.kendall.low, found.spearman.high))
    assert found.kendall.high - found.kendall.low > 0.5


@pytest.mark.parametrize(
    ("cheap", "dear", "sentence"),
    [
        ([0.1, 0.2], [0.1], "cheap holds 2 errors and dear 1"),
        ([], [], "cheap must hold at least one"),
        ([math.nan], [0.1], r"cheap\[0\] \(=nan\)"),
        ([0.1], [1.2], r"dear\[0\] \(=1.2\)"),
    ],
)
def test_wrong_errors_are_refused(cheap, dear, sentence):
    with pytest.raises(InputError, match=sentence):
        fidelity(cheap, dear)


def test_the_ceiling_is_reached_by_two_noisy_measurements_of_the_same():
    rng = np.random.default_rng(0)
    own = rng.normal(size=5000)
    cheap, again, dear = own + 0.8 * rng.normal(size=(3, 5000))
    repeat = stats.spearmanr(cheap, again).statistic
    assert noise_ceiling(repeat, repeat) == pytest.approx(stats.spearmanr(cheap, dear).statistic, abs=0.03)
    assert noise_ceiling(repeat) == pytest.approx(stats.spearmanr(cheap, own).statistic, abs=0.03)
    assert noise_ceiling(-0.1) == 0.0


def test_a_difference_between_spaces_is_no_rank_within_one():
    rng = np.random.default_rng(2)
    spaces = np.repeat(["a", "b"], 30)
    own = np.where(spaces == "a", 0.2, 0.6)
    cheap, dear = own + 0.1 * rng.random((2, 60))
    assert fidelity(cheap, dear).same_order.low > 0.6
    within = fidelity(cheap, dear, spaces=spaces)
    assert within.same_order.low < 0.5 < within.same_order.high
    halves = [fidelity(cheap[spaces == one], dear[spaces == one]).kendall.value for one in "ab"]
    assert within.kendall.value == pytest.approx(np.mean(halves))
    assert fidelity(cheap, dear, spaces=np.arange(60)) is None
    with pytest.raises(InputError, match=r"^spaces \(shape \(2,\)\) must hold one label for each of the 60 networks$"):
        fidelity(cheap, dear, spaces=["a", "b"])
