"""EDFs: laws that hold for every population, and numbers that were worked out by hand."""

import math
from dataclasses import FrozenInstanceError, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspace.errors import InputError
from netspace.stats import EDF, complexity_weights, dkw_half_width

# Coarse values too, so that ties are common; none so fine that two errors are neighbouring floats.
an_error = st.one_of(
    st.integers(0, 10**6).map(lambda millionth: millionth / 10**6),
    st.integers(0, 10).map(lambda tenth: tenth / 10),
    st.just(math.inf),
)
some_errors = st.lists(an_error, min_size=1, max_size=30)


@st.composite
def edfs(draw: st.DrawFn) -> EDF:
    errors = draw(some_errors)
    weigh = st.lists(st.floats(0.01, 100.0), min_size=len(errors), max_size=len(errors))
    weights = draw(st.none() | weigh)
    return EDF(errors=np.array(errors), weights=None if weights is None else np.array(weights))


@given(edfs(), st.lists(st.floats(0.0, 1.0), min_size=2, max_size=10).map(sorted))
def test_it_rises_from_0_to_1(edf: EDF, at: list[float]) -> None:
    values = edf(np.array(at))
    assert np.all(np.diff(values) >= 0.0)
    assert edf(-1e-9) == 0.0
    assert edf(math.inf) == 1.0
    assert (edf(1.0) < 1.0) == (edf.num_failed > 0)


@given(edfs())
def test_it_is_continuous_from_the_right_and_steps_at_the_errors_only(edf: EDF) -> None:
    errors, shares = edf.steps
    np.testing.assert_array_equal(edf(np.nextafter(errors, 2.0)), shares)
    np.testing.assert_array_equal(edf(errors), shares)
    before = edf(np.nextafter(errors, -1.0))
    np.testing.assert_array_equal(before, np.concatenate(([0.0], shares))[: errors.size])
    assert np.all(before < shares)


@given(edfs(), st.floats(1e-6, 1.0))
def test_a_quantile_is_the_smallest_error_that_reaches_the_share(edf: EDF, share: float) -> None:
    quantile = edf.quantile(share)
    assert quantile in edf.errors
    assert edf(quantile) >= share - 1e-9
    assert edf(float(np.nextafter(quantile, -1.0))) < share if quantile < math.inf else edf(1.0) < share


@given(edfs(), st.floats(0.0, 1.0))
def test_the_area_is_the_sum_of_the_rectangles_under_the_steps(edf: EDF, up_to: float) -> None:
    errors, _ = edf.steps
    corners = np.concatenate(([0.0], errors[errors < up_to], [up_to]))
    assert edf.area(up_to) == pytest.approx(float(np.sum(edf(corners[:-1]) * np.diff(corners))), abs=1e-12)


@given(edfs(), st.floats(0.5, 0.999))
def test_the_band_holds_the_edf_and_widens_with_the_level(edf: EDF, level: float) -> None:
    _, shares = edf.steps
    lower, upper = edf.band(level)
    assert np.all((lower >= 0.0) & (lower <= shares) & (shares <= upper) & (upper <= 1.0))
    wider_lower, wider_upper = edf.band(0.9999)
    assert np.all((wider_lower <= lower) & (wider_upper >= upper))


@given(some_errors)
def test_equal_weights_change_nothing(errors: list[float]) -> None:
    plain, weighted = (
        EDF(errors=np.array(errors)),
        EDF(errors=np.array(errors), weights=np.full(len(errors), 0.1)),
    )
    assert plain == weighted
    assert plain.steps[1].tolist() == weighted.steps[1].tolist()
    assert weighted.effective_n == pytest.approx(plain.effective_n)


@given(some_errors, st.randoms())
def test_the_order_of_the_networks_does_not_matter(errors: list[float], random: Random) -> None:
    shuffled = list(errors)
    random.shuffle(shuffled)
    assert EDF(errors=np.array(errors)) == EDF(errors=np.array(shuffled))


def test_numbers_by_hand() -> None:
    edf = EDF(errors=np.array([0.3, math.inf, 0.1, 0.1]))
    errors, shares = edf.steps
    assert errors.tolist() == [0.1, 0.3]
    assert shares.tolist() == [0.5, 0.75]
    assert (edf.n, edf.num_failed, edf.minimum, edf.median) == (4, 1, 0.1, 0.1)
    assert (edf.quantile(0.51), edf.quantile(0.76)) == (0.3, math.inf)
    assert edf.finite_mean == pytest.approx(0.5 / 3)
    assert edf.area(0.4) == pytest.approx((2 * 0.3 + 0.1) / 4)
    assert edf(np.array([[0.05, 0.2], [0.3, math.inf]])).tolist() == [[0.0, 0.5], [0.75, 1.0]]


def test_weights_by_hand() -> None:
    edf = EDF(errors=np.array([0.2, 0.1, 0.4]), weights=np.array([1.0, 2.0, 1.0]))
    assert edf.steps[1].tolist() == [0.5, 0.75, 1.0]
    assert edf.median == 0.1
    assert edf.finite_mean == pytest.approx(0.2)
    assert edf.effective_n == pytest.approx(1 / (0.25 + 0.0625 + 0.0625))
    lower, upper = edf.band()
    assert upper[0] - 0.5 == pytest.approx(min(dkw_half_width(edf.effective_n), 0.5))
    assert lower[0] == 0.0


def test_a_share_that_weights_reach_but_for_rounding_is_reached() -> None:
    weights = complexity_weights([1.0] * 3 + [9.0] * 7, bins=2)
    edf = EDF(errors=np.array([0.1] * 3 + [0.5] * 7), weights=weights)
    assert edf.median == 0.1


def test_a_population_of_failures_has_no_finite_number() -> None:
    edf = EDF(errors=np.full(3, math.inf))
    assert edf.steps[0].size == edf.band()[0].size == 0
    assert (edf.minimum, edf.median, edf.finite_mean) == (math.inf, math.inf, math.inf)
    assert (edf(1.0), edf.area(1.0), edf.num_failed) == (0.0, 0.0, 3)


def test_more_than_half_failed_is_a_failed_median_and_half_is_not() -> None:
    assert EDF(errors=np.array([0.1, math.inf])).median == 0.1
    assert EDF(errors=np.array([0.1, math.inf, math.inf])).median == math.inf


@pytest.mark.parametrize(("n", "half_width"), [(32, 0.24), (100, 0.136), (500, 0.0607)])
def test_half_widths_of_the_papers_sample_sizes(n: int, half_width: float) -> None:
    assert dkw_half_width(n) == pytest.approx(half_width, abs=5e-4)


def test_an_edf_is_a_value() -> None:
    given_errors = np.array([0.2, 0.1])
    edf = EDF(errors=given_errors)
    given_errors[:] = 0.9
    assert edf.errors.tolist() == [0.1, 0.2]
    assert hash(edf) == hash(EDF(errors=np.array([0.1, 0.2])))
    assert edf != EDF(errors=np.array([0.1, 0.3]))
    assert replace(edf, weights=np.array([3.0, 1.0])) != edf
    with pytest.raises(FrozenInstanceError):
        edf.errors = given_errors  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        edf.errors[0] = 0.0


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        (
            [0.1, math.nan],
            r"errors\[1\] \(=nan\) must be an error in \[0, 1\], or inf for a network",
        ),
        ([0.1, 0.2, -0.1], r"errors\[2\] \(=-0.1\) must be"),
        ([-math.inf], r"errors\[0\] \(=-inf\) must be"),
        ([8.2], r"errors\[0\] \(=8.2\) .*per cent are given as shares, 0.082 here"),
        ([], "errors must hold at least one"),
        ([[0.1]], r"errors \(shape \(1, 1\)\) must have one dimension"),
        (["low"], "errors must be a list of numbers"),
    ],
)
def test_impossible_errors_are_refused_in_a_sentence(errors: list[float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        EDF(errors=errors)  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1.0, math.inf]])
def test_impossible_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match="weights"):
        EDF(errors=np.array([0.1, 0.2]), weights=np.array(weights))


def test_impossible_questions_are_refused() -> None:
    edf = EDF(errors=np.array([0.1]))
    for ask in (
        lambda: edf(math.nan),
        lambda: edf.quantile(0.0),
        lambda: edf.quantile(1.1),
        lambda: edf.area(1.5),
        lambda: edf.area(math.nan),
        lambda: edf.band(1.0),
        lambda: dkw_half_width(0),
        lambda: dkw_half_width(math.nan),
    ):
        with pytest.raises(InputError, match="must"):
            ask()


@given(st.lists(st.floats(1.0, 1e12), min_size=1, max_size=40), st.integers(1, 12))
def test_every_bin_that_holds_a_network_counts_the_same(complexity: list[float], bins: int) -> None:
    weights = complexity_weights(complexity, bins=bins)
    assert weights.sum() == pytest.approx(1.0)
    # The k networks of a bin weigh 1/k of it each: 1/(weight x bins) is a count.
    low, high = min(complexity), max(complexity)
    edges = np.geomspace(low, high, bins + 1)
    held = len({int(np.searchsorted(edges[1:-1], value, side="right")) for value in complexity})
    counts = 1.0 / (weights * held)
    np.testing.assert_allclose(counts, np.round(counts), rtol=1e-9)


def test_bins_by_hand_with_an_empty_one_and_values_on_edges() -> None:
    edges = [1.0, 2.0, 3.0, 4.0]
    weights = complexity_weights([1.0, 1.5, 3.0, 3.5, 4.0], bins=edges)
    # [1, 2) holds two, [2, 3) none, [3, 4] three: two bins of one half each.
    np.testing.assert_allclose(weights, [1 / 4, 1 / 4, 1 / 6, 1 / 6, 1 / 6])
    np.testing.assert_allclose(complexity_weights([2.0, 1.0], bins=[1.0, 2.0, 3.0]), [1 / 2, 1 / 2])


def test_equal_complexities_share_one_bin() -> None:
    np.testing.assert_allclose(complexity_weights([400e6] * 4), [0.25] * 4)


@pytest.mark.parametrize(
    ("complexity", "bins", "sentence"),
    [
        ([], 3, "at least one number"),
        ([1.0, 0.0], 3, r"complexity\[1\] \(=0.0\) must be a positive"),
        ([math.nan], 3, r"complexity\[0\] \(=nan\)"),
        ([1.0, 5.0], [0.0, 2.0], r"complexity\[1\] \(=5\) must lie within the edges of bins, \[0, 2\]"),
        ([1.0], 0, r"bins \(=0\) must be at least 1"),
        ([1.0], [2.0, 1.0], "two increasing edges"),
    ],
)
def test_impossible_bins_are_refused(complexity: list[float], bins: int | list[float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        complexity_weights(complexity, bins=bins)
