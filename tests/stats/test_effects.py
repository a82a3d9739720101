"""Differences with limits: what they are, and what is said where there are none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspace.errors import InputError
from netspace.stats import EDF, compare, make_alike, normalised_edf, rank_correlation
from netspace.stats.dominance import joint_steps, rank_test
from netspace.stats.effects import effects
from netspace.stats.quantiles import quantile_interval
from netspace.stats.weighted import weighted_rank_test, weighted_steps

an_error = st.one_of(st.floats(0.0, 1.0), st.integers(0, 5).map(lambda fifth: fifth / 5), st.just(math.inf))
some_errors = st.lists(an_error, min_size=1, max_size=40)
sizes = st.lists(st.floats(1.0, 1e9), min_size=40, max_size=40)


@given(some_errors, some_errors)
def test_limits_hold_what_was_seen_and_exchange_with_the_spaces(errors_a: list[float], errors_b: list[float]) -> None:
    a, b = EDF(errors=errors_a), EDF(errors=errors_b)
    for forth, back in zip(effects(a, b, 0.95), effects(b, a, 0.95), strict=True):
        assert not any(map(math.isnan, (forth.low, forth.high)))
        assert forth.low <= (forth.low if forth.difference is None else forth.difference) <= forth.high
        assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low))
        assert (forth.difference is None) == (math.isinf(forth.a) or math.isinf(forth.b))


def test_limits_of_the_minimum_are_sure_and_wide_and_the_mean_of_few_or_equal_errors_has_none() -> None:
    rng = np.random.default_rng(0)
    found = {e.of: e for e in effects(EDF(errors=rng.random(100)), EDF(errors=rng.random(100)), 0.95)}
    assert list(found) == ["mean", "median", "best tenth", "best of 18", "minimum"]
    minimum = found["minimum"]
    assert (minimum.low, minimum.high) == (-minimum.b, minimum.a)
    assert minimum.low <= 0.0 <= minimum.high  # the minimum of both laws is 0
    assert "too rare for any sample" in minimum.note
    assert all(math.isfinite(e.low) and math.isfinite(e.high) for e in found.values())
    for errors in ([0.1], [0.1] * 50):
        mean = effects(EDF(errors=errors), EDF(errors=errors), 0.95)[0]
        assert math.isinf(mean.low)
        assert "do not show how they spread" in mean.note
    assert [e.of for e in effects(EDF(errors=[0.1, 0.2]), EDF(errors=[0.3]), 0.95)] == [
        "mean", "median", "best tenth", "minimum",
    ]  # fmt: skip


def test_failures_are_the_worst_order_statistics_and_no_part_of_the_mean() -> None:
    errors = np.linspace(0.1, 0.3, 100)
    worse = np.append(errors[:40] + 0.4, np.full(60, math.inf))
    mean, median, tenth, *_ = effects(EDF(errors=errors), EDF(errors=worse), 0.95)
    assert mean.difference == pytest.approx(errors.mean() - errors[:40].mean() - 0.4)
    assert mean.note == "failures do not count here"
    assert median.difference is None
    assert median.high < 0.0
    assert tenth.difference == pytest.approx(-0.4)


def test_the_limits_of_welch_are_those_of_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    a, b = rng.normal(0.3, 0.05, 40), rng.normal(0.4, 0.02, 25)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    mean = effects(EDF(errors=a), EDF(errors=b), 0.95)[0]
    assert (mean.low, mean.high) == pytest.approx((expected.low, expected.high))
    assert compare(a, b).evidence.effects[0] == mean


def test_the_limits_of_a_quantile_are_order_statistics() -> None:
    from scipy import stats

    edf = EDF(errors=np.arange(1, 101) / 100)
    low, high = quantile_interval(edf, 0.1, 0.975)
    k, m = round(low * 100), round(high * 100)
    assert stats.binom.cdf(k - 1, 100, 0.1) <= 0.025 < stats.binom.cdf(k, 100, 0.1)
    assert stats.binom.sf(m - 1, 100, 0.1) <= 0.025 < stats.binom.sf(m - 2, 100, 0.1)
    assert quantile_interval(EDF(errors=[0.2, 0.3]), 0.1, 0.975)[0] == 0.0


@given(st.lists(st.tuples(an_error, an_error), min_size=1, max_size=40))
def test_with_equal_weights_the_weighted_tests_are_the_plain_ones(pairs: list[tuple[float, float]]) -> None:
    a, b = (EDF(errors=errors) for errors in zip(*pairs, strict=True))
    same_a, same_b = (EDF(errors=edf.errors, weights=np.full(edf.n, 0.3)) for edf in (a, b))
    assert weighted_rank_test(same_a, same_b)[0] == pytest.approx(rank_test(a.errors, b.errors)[0], abs=1e-9)
    plain, weighted = joint_steps(a.errors, b.errors), weighted_steps(same_a, same_b)
    np.testing.assert_allclose(weighted.counts_a, plain.counts_a, atol=1e-9)
    assert weighted.n_b == pytest.approx(plain.n_b)


@given(sizes, sizes)
def test_every_shared_bin_counts_the_same_in_both(sizes_a: list[float], sizes_b: list[float]) -> None:
    alike = make_alike([sizes_a, sizes_b])
    edges = np.array(alike.how.edges)
    for column, weights, left_out in zip((sizes_a, sizes_b), alike.weights, alike.how.left_out, strict=True):
        assert np.count_nonzero(weights) == 40 - left_out
        if not alike.how.bins:
            continue
        inside = np.searchsorted(edges[1:-1], np.array(column)[weights > 0.0], side="right")
        totals = np.bincount(inside, weights[weights > 0.0])
        np.testing.assert_allclose(totals[totals > 0.0], 1.0 / alike.how.bins)


def test_sizes_that_all_are_equal_are_one_bin_and_change_nothing_but_the_words() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.3, 0.02, 60), rng.normal(0.4, 0.02, 60)
    plain, alike = compare(a, b), compare(a, b, complexity=(np.ones(60), np.ones(60)), measure="flops")
    assert alike.kind == plain.kind == "a_majorises"
    assert alike.evidence.median_interval == plain.evidence.median_interval
    assert "normalised by flops: 1 bin, in which these count for 60 and 60, no network left out" in alike.sentence


def test_what_has_no_size_in_common_is_not_compared_and_the_sentence_says_so() -> None:
    small, large = np.linspace(1.0, 2.0, 60), np.linspace(5.0, 9.0, 60)
    verdict = compare(np.full(60, 0.1), np.full(60, 0.4), complexity=(small, large), measure="flops", names=("s", "l"))
    assert verdict.kind == "undecided"
    assert "no bin of flops holds networks of both" in verdict.sentence
    assert set(verdict.p_values.values()) == {1.0}
    assert verdict.evidence.effects == ()
    part = compare(np.full(120, 0.1), np.full(60, 0.4), complexity=(np.append(small, large), large))
    assert part.evidence.normalised is not None
    assert part.evidence.normalised.left_out == (60, 0)
    assert "60 and 0 networks left out, in bins where the other space has next to none" in part.sentence


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (([1.0, 2.0], [1.0]), r"complexity of errors_a \(=2 numbers\) must hold one for each of 1 errors"),
        (([1.0], [math.nan]), r"flops of errors_b\[0\] \(=nan\) must be a positive, finite number"),
        (([0.0], [1.0]), r"flops of errors_a\[0\] \(=0\) must be a positive"),
        (([], [1.0]), "flops of errors_a"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: tuple[list[float], list[float]], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        compare([0.1], [0.2], complexity=sizes, measure="flops")


@pytest.mark.parametrize("n", [1, 2, 28])
def test_few_networks_win_nothing_when_made_alike(n: int) -> None:
    size = np.linspace(1.0, 2.0, n)
    verdict = compare(np.full(n, 0.1), np.full(n, 0.4), complexity=(size, size))
    assert verdict.kind == "undecided"
    assert "not enough data" in verdict.sentence


def test_a_population_without_weight_has_no_distribution() -> None:
    assert normalised_edf([0.1, 0.2], np.zeros(2)) is None
    kept = normalised_edf([0.1, math.inf, 0.3], np.array([0.0, 0.5, 0.5]))
    assert kept is not None
    assert (kept.n, kept.num_failed) == (2, 1)


def test_a_rank_correlation_is_that_of_scipy_and_needs_ten_that_differ() -> None:
    from scipy import stats

    rng = np.random.default_rng(3)
    x = rng.random(60)
    y = x + rng.normal(0.0, 0.3, 60)
    y[:5] = math.inf
    found, expected = rank_correlation(x, y), stats.spearmanr(x, stats.rankdata(y))
    assert found is not None
    assert (found.value, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.low < found.value < found.high
    assert rank_correlation(x[:9], y[:9]) is None
    assert rank_correlation(x, np.ones(60)) is None
    with pytest.raises(InputError, match="NaN"):
        rank_correlation([math.nan] * 10, range(10))
