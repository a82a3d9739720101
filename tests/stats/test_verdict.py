"""Verdicts: every kind, what its sentence says, and honesty where there is little or nothing to compare."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netspace.errors import InputError
from netspace.stats import Verdict, VerdictKind, compare

an_error = st.one_of(st.floats(0.0, 1.0), st.integers(0, 5).map(lambda fifth: fifth / 5), st.just(math.inf))
some_errors = st.lists(an_error, min_size=1, max_size=60)


def even(centre: float, spread: float, n: int) -> np.ndarray:
    """The quantiles of a normal law: a sample without luck."""
    return np.asarray(stats.norm.ppf((np.arange(n) + 0.5) / n, centre, spread))


def with_failures(errors: np.ndarray, every: int) -> np.ndarray:
    failed = errors.copy()
    failed[::every] = math.inf
    return failed


def numbers_of(verdict: Verdict) -> list[float]:
    evidence = verdict.evidence
    sides = [evidence.a, evidence.b]
    found = [getattr(side, name) for side in sides for name in ("median", "best_decile", "minimum", "lead")]
    found += [evidence.score, *evidence.median_interval, *verdict.p_values.values()]
    found += [evidence.median_difference, *(effect.difference for effect in evidence.effects)]
    return [number for number in found if number is not None]


@given(some_errors, some_errors)
def test_no_population_is_beyond_it(errors_a: list[float], errors_b: list[float]) -> None:
    verdict = compare(errors_a, errors_b)
    assert not any(map(math.isnan, numbers_of(verdict)))
    assert all(0.0 <= p <= 1.0 for p in verdict.p_values.values())
    assert not re.search(r"nan|inf\b|None", verdict.sentence)
    lower, upper = verdict.evidence.median_interval
    assert lower <= (verdict.evidence.median_difference or lower) <= upper


@given(some_errors, some_errors)
def test_exchanging_the_spaces_exchanges_the_verdict(errors_a: list[float], errors_b: list[float]) -> None:
    forth, back = compare(errors_a, errors_b), compare(errors_b, errors_a, names=("B", "A"))
    mirror = {
        VerdictKind.A_MAJORISES: VerdictKind.B_MAJORISES,
        VerdictKind.B_MAJORISES: VerdictKind.A_MAJORISES,
    }
    assert back.kind == mirror.get(forth.kind, forth.kind)
    for claim in ("better", "somewhere_better", "not_worse"):
        assert back.p_values[f"a_{claim}"] == pytest.approx(forth.p_values[f"b_{claim}"])
    lower, upper = forth.evidence.median_interval
    assert back.evidence.median_interval == pytest.approx((-upper, -lower))


@given(some_errors)
def test_a_population_never_beats_itself(errors: list[float]) -> None:
    assert compare(errors, errors).kind in {VerdictKind.EQUIVALENT, VerdictKind.UNDECIDED}


@pytest.mark.parametrize("n", [1, 2, 5, 28])
def test_fewer_than_29_networks_never_win_a_claim_within_10_points(n: int) -> None:
    verdict = compare(np.linspace(0.0, 0.1, n), np.linspace(0.8, 0.9, n))
    assert verdict.kind == "undecided"
    assert "not enough data, since no claim within 10 points can be won below 29" in verdict.sentence
    assert verdict.evidence.networks_to_decide is None


def test_fewer_than_29_networks_do_not_win_on_the_failures_of_others_either() -> None:
    verdict = compare(np.linspace(0.0, 0.1, 28), np.full(500, math.inf))
    assert verdict.kind == "undecided"
    assert "not enough data" in verdict.sentence


def test_29_networks_can() -> None:
    assert compare(np.linspace(0.0, 0.1, 29), np.linspace(0.8, 0.9, 29)).kind == "a_majorises"
    assert compare(np.linspace(0.0, 0.1, 29), np.full(500, math.inf)).kind == "a_majorises"


def test_a_clear_shift_is_majorisation_by_the_lower_errors() -> None:
    low, high = even(0.30, 0.05, 500), even(0.32, 0.05, 500)
    verdict = compare(low, high, names=("anynetx_d", "anynetx_c"))
    assert verdict.kind is VerdictKind.A_MAJORISES
    assert verdict.names == ("anynetx_d", "anynetx_c")
    assert verdict.evidence.median_difference == pytest.approx(-0.02)
    differences = {effect.of: effect.difference for effect in verdict.evidence.effects}
    assert {"mean", "median", "best tenth", "minimum"} <= set(differences)
    assert all(difference == pytest.approx(-0.02) for difference in differences.values())
    assert verdict.evidence.b.lead == 0.0
    assert verdict.evidence.b.lead_at is None
    # Two normal laws 0.4 standard deviations apart are 2 Phi(0.2) - 1 apart, midway.
    assert verdict.evidence.a.lead == pytest.approx(2 * stats.norm.cdf(0.2) - 1, abs=0.004)
    assert verdict.evidence.a.lead_at == pytest.approx(0.31, abs=0.005)
    mirrored = compare(high, low)
    assert mirrored.kind is VerdictKind.B_MAJORISES
    # The sentence tells the better space minus the worse, whichever of them is A.
    for sentence in (verdict.sentence, mirrored.sentence):
        assert re.search(r"median 30 % against 32 %; difference -2\.\d+ to -1\.\d+ points with 90 %", sentence)
    for part in (
        "anynetx_d majorises anynetx_c",
        "margins 10 points of EDF and 0.5 points of median error",
        "95 % confidence",
        "n = 500 and 500 (0 and 0 failed)",
        "median 30 % against 32 %",
        "p < 0.001",
    ):
        assert part in verdict.sentence
    assert verdict.sentence.count(". ") == 0
    assert verdict.sentence.endswith(").")


def test_a_better_space_that_fails_more_often_than_the_margin_does_not_majorise() -> None:
    better, other = even(0.30, 0.02, 500), even(0.35, 0.02, 500)
    assert compare(better, other).kind == "a_majorises"
    verdict = compare(with_failures(better, every=5), other)
    assert verdict.kind == "crossing"
    assert verdict.evidence.a.num_failed == 100
    assert verdict.evidence.b.lead == pytest.approx(0.2)
    assert "(100 and 0 failed)" in verdict.sentence


def test_two_samples_of_one_narrow_law_are_equivalent_and_the_sentence_says_how_near() -> None:
    verdict = compare(even(0.30, 0.02, 800), even(0.301, 0.02, 800))
    assert verdict.kind == "equivalent"
    assert "their EDFs are nowhere 10 points or more apart" in verdict.sentence
    assert "nor are their medians 0.5 points" in verdict.sentence
    assert compare(even(0.30, 0.02, 800), even(0.301, 0.02, 800), median_margin=0.002).kind == "undecided"
    assert compare(even(0.30, 0.02, 800), even(0.301, 0.02, 800), margin=0.03).kind == "undecided"


def test_what_is_within_both_margins_is_equivalent_even_if_it_is_surely_better() -> None:
    verdict = compare(even(0.300, 0.02, 4000), even(0.302, 0.02, 4000))
    assert verdict.p_values["a_better"] < 0.001
    assert verdict.kind == "equivalent"
    assert "a smaller difference, in favour of A, is seen" in verdict.sentence


def test_crossing_says_where_each_is_ahead() -> None:
    verdict = compare(even(0.30, 0.02, 300), even(0.30, 0.06, 300), names=("narrow", "wide"))
    assert verdict.kind == "crossing"
    a, b = verdict.evidence.a, verdict.evidence.b
    assert a.lead_at is not None
    assert b.lead_at is not None
    assert b.lead_at < 0.30 < a.lead_at
    assert (
        f"the EDF of wide is {100 * b.lead:.3g} points above at the error {100 * b.lead_at:.3g} %" in verdict.sentence
    )


def test_a_proven_reversal_bars_majorisation_even_within_the_margin() -> None:
    # B has 5 % of very good networks: less than the margin, but with so many networks beyond doubt.
    a, b = even(0.30, 0.02, 4000), even(0.35, 0.02, 4000)
    b[::20] = 0.1
    verdict = compare(a, b)
    assert verdict.p_values["a_not_worse"] < 0.05
    assert verdict.p_values["a_better"] < 0.025
    assert verdict.kind == "crossing"


@pytest.mark.parametrize("n", [32, 150])
def test_equal_spaces_stay_undecided_for_want_of_networks_and_the_sentence_says_how_many(n: int) -> None:
    verdict = compare(even(0.30, 0.02, n), even(0.301, 0.02, n))
    assert verdict.kind == "undecided"
    assert f"{n} and {n} networks show neither" in verdict.sentence
    assert (
        "too few for equivalence, which takes at least about 720 networks each even between equal" in verdict.sentence
    )


def test_a_small_p_value_that_is_not_small_enough_is_told_with_what_was_asked_of_it() -> None:
    a, b = even(0.300, 0.05, 100), even(0.315, 0.05, 100)
    assert compare(a, b).kind == "a_majorises"
    careful = compare(a, b, level=0.99)
    assert careful.kind == "undecided"
    assert "the errors of A are lower (p = 0.021, above the 0.005 that is asked for) nor" in careful.sentence


def test_the_number_of_networks_that_would_decide_does() -> None:
    verdict = compare(even(0.300, 0.05, 100), even(0.312, 0.05, 100))
    assert verdict.kind == "undecided"
    assert "A looks better by 1.2 points in the median" in verdict.sentence
    needed = verdict.evidence.networks_to_decide
    assert needed is not None
    assert re.search(r"about \d+0 networks each would decide", verdict.sentence)
    assert compare(even(0.300, 0.05, needed), even(0.312, 0.05, needed)).kind == "a_majorises"
    # At 80 % power the figure leaves some luck to spare; half of it does not.
    assert compare(even(0.300, 0.05, needed // 3), even(0.312, 0.05, needed // 3)).kind == "undecided"


@pytest.mark.parametrize("n", [1, 2, 500])
def test_where_all_failed_there_is_nothing_to_compare(n: int) -> None:
    verdict = compare([math.inf] * n, [math.inf] * n)
    assert verdict.kind == "undecided"
    assert "every network of both failed" in verdict.sentence
    assert verdict.evidence.median_difference is None
    assert all(effect.difference is None for effect in verdict.evidence.effects)


def test_a_space_that_always_fails_is_majorised() -> None:
    verdict = compare(np.full(100, 0.1), np.full(100, math.inf))
    assert verdict.kind == "a_majorises"
    assert "median 10 % against failure" in verdict.sentence


def test_populations_of_one_value() -> None:
    assert compare([0.1], [0.1]).kind == "undecided"
    assert compare([0.1] * 500, [0.1] * 500).kind == "equivalent"
    assert compare([0.1] * 500, [0.2] * 500).kind == "a_majorises"


@pytest.mark.parametrize(
    ("errors_a", "errors_b", "options", "sentence"),
    [
        ([], [0.1], {}, "errors_a must hold at least one"),
        ([0.1], [0.2, math.nan], {}, r"errors_b\[1\] \(=nan\)"),
        ([0.1, 0.2, 1.5], [0.2], {}, r"errors_a\[2\] \(=1.5\) must be an error in \[0, 1\]"),
        ([-0.1], [0.2], {}, r"errors_a\[0\] \(=-0.1\)"),
        ([0.1], [0.2], {"margin": 0.0}, r"margin \(=0.0\) must lie between 0 and 1"),
        ([0.1], [0.2], {"margin": 10}, r"margin \(=10\)"),
        ([0.1], [0.2], {"median_margin": math.nan}, r"median_margin \(=nan\)"),
        ([0.1], [0.2], {"level": 95}, r"level \(=95\) must lie between 0.5 and 1"),
        ([0.1], [0.2], {"names": ("A", "A")}, "two different names"),
    ],
)
def test_impossible_questions_are_refused_in_a_sentence(
    errors_a: list[float], errors_b: list[float], options: dict[str, float], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        compare(errors_a, errors_b, **options)  # type: ignore[arg-type]


def test_bands_stand_around_both_edfs() -> None:
    verdict = compare([0.1, 0.2, math.inf], even(0.3, 0.05, 100))
    band_a, band_b = verdict.bands
    assert band_a.errors == (0.1, 0.2)
    assert band_a.shares == pytest.approx((1 / 3, 2 / 3))
    assert len(band_b.errors) == 100
    assert band_b.upper[49] - band_b.lower[49] == pytest.approx(2 * 0.1358, abs=1e-3)


def test_a_verdict_is_a_value() -> None:
    first, second = (compare(even(0.3, 0.05, 40), even(0.4, 0.05, 40)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
