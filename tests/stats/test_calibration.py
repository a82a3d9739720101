"""How often `compare` claims what is false, and finds what is true, measured on simulated populations.

Each rate is held against the stated level with the luck of the simulation (a one-sided 99 % limit); the seeds
are fixed, so that a test which passes keeps passing until the method changes.
"""

from collections import Counter
from zlib import crc32

import numpy as np
import pytest
from scipy import stats

from netspace.stats import EDF, VerdictKind, compare, compare_all, dkw_half_width
from netspace.stats.dominance import joint_steps, margin_p_values, not_worse_p_value
from netspace.stats.effects import best_of_how_many, effects
from netspace.stats.planning import networks_if_equal
from netspace.stats.quantiles import quantile_difference
from tests.stats.laws import (
    CROSSING,
    CROSSING_ALIKE,
    EDGE,
    EDGE_ALIKE,
    EQUAL,
    EQUAL_ALIKE,
    EVEN,
    LARGE,
    SMALL,
    Law,
    LawAlike,
    failing,
    normal,
    sized,
)


def rates(a: Law, b: Law, n: int, repeats: int, case: str, n_b: int | None = None) -> Counter[str]:
    """Count the verdicts on repeated draws; the seed belongs to the case."""
    rng = np.random.default_rng([crc32(case.encode()), n])
    return Counter(compare(a(rng, n), b(rng, n_b or n)).kind.value for _ in range(repeats))


def rates_alike(laws: tuple[LawAlike, LawAlike], n: int, repeats: int, case: str) -> Counter[str]:
    """Count the verdicts on repeated draws made alike in complexity."""
    rng, found = np.random.default_rng([crc32(case.encode()), n]), Counter[str]()
    for _ in range(repeats):
        (a, size_a), (b, size_b) = (law(rng, n) for law in laws)
        found[compare(a, b, complexity=(size_a, size_b)).kind.value] += 1
    return found


def allowed(rate: float, repeats: int) -> int:
    return int(stats.binom.ppf(0.99, repeats, rate))


@pytest.mark.parametrize("case", EQUAL)
@pytest.mark.parametrize(("n", "repeats"), [(32, 600), (100, 600), (500, 300)])
def test_between_equals_a_false_claim_is_rare(case: str, n: int, repeats: int) -> None:
    kinds = rates(EQUAL[case], EQUAL[case], n, repeats, case)
    assert kinds["a_majorises"] + kinds["b_majorises"] + kinds["crossing"] <= allowed(0.05, repeats)
    # Neither direction may take more than its half.
    assert max(kinds["a_majorises"], kinds["b_majorises"]) <= allowed(0.025, repeats)


def test_between_equals_of_different_n_a_false_claim_is_rare() -> None:
    kinds = rates(EQUAL["ties"], EQUAL["ties"], 40, 1000, "different n", n_b=120)
    assert 1000 - kinds["undecided"] <= allowed(0.05, 1000)


@pytest.mark.parametrize("case", CROSSING)
@pytest.mark.parametrize(("n", "repeats"), [(32, 600), (100, 600), (500, 200)])
def test_where_curves_cross_by_the_margin_majorisation_is_rarely_claimed(case: str, n: int, repeats: int) -> None:
    kinds = rates(*CROSSING[case], n, repeats, case)
    assert kinds["a_majorises"] + kinds["b_majorises"] <= allowed(0.05, repeats)
    assert kinds["equivalent"] == 0


def test_where_curves_cross_clearly_it_is_found() -> None:
    assert rates(*CROSSING["A is narrow, B wide"], 500, 200, "found")["crossing"] >= 190


@pytest.mark.parametrize("case", EDGE)
@pytest.mark.parametrize(("n", "repeats"), [(500, 300), (1500, 150)])
def test_at_the_edge_of_a_margin_equivalence_is_rarely_claimed(case: str, n: int, repeats: int) -> None:
    assert rates(*EDGE[case], n, repeats, case)["equivalent"] <= allowed(0.05, repeats)


def test_equivalence_is_won_by_many_networks_only() -> None:
    law = normal(0.30, 0.02)
    assert rates(law, law, 150, 300, "few")["equivalent"] == 0
    assert rates(law, law, 1500, 100, "many")["equivalent"] >= 97


def test_the_planned_number_shows_equal_curves_equivalent_in_four_of_five_cases() -> None:
    rng, n = np.random.default_rng(3), networks_if_equal(0.10, 0.05)
    won = 0
    for _ in range(300):
        steps = joint_steps(np.sort(rng.random(n)), np.sort(rng.random(n)))
        won += max(not_worse_p_value(steps, 0.10), not_worse_p_value(steps.swapped, 0.10)) <= 0.05
    assert 0.75 <= won / 300 <= 0.92


@pytest.mark.parametrize(
    ("shift", "n", "repeats", "power"), [(0.01, 500, 200, 0.75), (0.025, 100, 300, 0.8), (0.05, 32, 300, 0.5)]
)
def test_a_shift_is_found(shift: float, n: int, repeats: int, power: float) -> None:
    kinds = rates(normal(0.30, 0.05), normal(0.30 + shift, 0.05), n, repeats, "shift")
    assert kinds["a_majorises"] >= power * repeats
    assert kinds["b_majorises"] == 0


def test_three_equal_spaces_are_told_apart_in_5_percent_of_the_families() -> None:
    rng, law, repeats = np.random.default_rng(4), EQUAL["spread"], 400
    families = [compare_all({name: law(rng, 100) for name in "abc"}) for _ in range(repeats)]
    wrong = sum(any(verdict.kind is not VerdictKind.UNDECIDED for verdict in family) for family in families)
    assert wrong <= allowed(0.05, repeats)


@pytest.mark.parametrize(("n", "repeats"), [(32, 2000), (100, 2000), (500, 500)])
def test_the_band_covers_the_whole_law(n: int, repeats: int) -> None:
    rng, missed = np.random.default_rng(n), 0
    for _ in range(repeats):
        edf = EDF(errors=rng.random(n))
        lower, upper = edf.band(0.95)
        # The uniform law is F(e) = e: within a step it is lowest at its error, highest just before the next.
        upper_before = np.concatenate(([dkw_half_width(n)], upper[:-1]))
        missed += not np.all((lower <= edf.errors) & (edf.errors <= upper_before))
    assert missed <= allowed(0.05, repeats)
    # Massart's constant is sharp: a band that covers far more often is too wide.
    assert missed >= 0.025 * repeats


@pytest.mark.parametrize("margin", [0.05, 0.10, 0.20])
@pytest.mark.parametrize(("n_1", "n_2"), [(29, 29), (32, 32), (64, 64), (100, 100), (32, 100), (100, 32)])
def test_the_level_of_the_score_test_enumerated(margin: float, n_1: int, n_2: int) -> None:
    counts_1, counts_2 = np.meshgrid(np.arange(n_1 + 1), np.arange(n_2 + 1), indexing="ij")
    p_values = margin_p_values(counts_1.ravel(), n_1, counts_2.ravel(), n_2, margin)
    rejected = (p_values <= 0.05).reshape(counts_1.shape).astype(float)
    shares = np.linspace(0.0, 1.0 - margin, 91)
    chances_1 = stats.binom.pmf(np.arange(n_1 + 1)[:, None], n_1, shares + margin)
    chances_2 = stats.binom.pmf(np.arange(n_2 + 1)[:, None], n_2, shares)
    level = np.sum(chances_1 * (rejected @ chances_2), axis=0)
    assert 0.03 <= level.max() <= 0.0503


@pytest.mark.parametrize("law", [normal(0.30, 0.05), failing(0.3, normal(0.30, 0.05, decimals=2))])
def test_each_limit_of_the_median_difference_holds(law: Law) -> None:
    rng, repeats, n = np.random.default_rng(5), 2000, 100
    spaces = ((EDF(errors=law(rng, n)), EDF(errors=law(rng, n))) for _ in range(repeats))
    limits = [quantile_difference(a, b, 0.5, 0.95)[1:] for a, b in spaces]
    assert sum(lower > 0.0 for lower, _ in limits) <= allowed(0.05, repeats)
    assert sum(upper < 0.0 for _, upper in limits) <= allowed(0.05, repeats)
    assert sum(lower > 0.0 or upper < 0.0 for lower, upper in limits) >= 0.02 * repeats


@pytest.mark.parametrize("case", EQUAL_ALIKE)
@pytest.mark.parametrize(("n", "repeats"), [(32, 100), (100, 250), (500, 120)])
def test_between_equals_at_like_complexity_a_false_claim_is_rare(case: str, n: int, repeats: int) -> None:
    kinds = rates_alike(EQUAL_ALIKE[case], n, repeats, case)
    assert repeats - kinds["undecided"] - kinds["equivalent"] <= allowed(0.05, repeats)


@pytest.mark.parametrize("case", CROSSING_ALIKE)
@pytest.mark.parametrize(("n", "repeats"), [(100, 150), (500, 100)])
def test_where_curves_cross_at_like_complexity_majorisation_is_rarely_claimed(case: str, n: int, repeats: int) -> None:
    kinds = rates_alike(CROSSING_ALIKE[case], n, repeats, case)
    assert kinds["a_majorises"] + kinds["b_majorises"] <= allowed(0.05, repeats)


@pytest.mark.parametrize("case", EDGE_ALIKE)
def test_at_the_edge_of_a_margin_at_like_complexity_equivalence_is_rarely_claimed(case: str) -> None:
    assert rates_alike(EDGE_ALIKE[case], 1500, 60, case)["equivalent"] <= allowed(0.05, 60)


def test_a_space_that_wins_by_its_size_alone_wins_only_without_normalisation() -> None:
    laws, rng, plain = EQUAL_ALIKE["A has larger networks"], np.random.default_rng(7), Counter[str]()
    for _ in range(20):
        plain[compare(laws[0](rng, 500)[0], laws[1](rng, 500)[0]).kind.value] += 1
    assert plain["a_majorises"] == 20


def test_a_shift_is_found_at_like_complexity_even_where_size_hides_it() -> None:
    """A's networks are better at each size, and mostly small: B looks better until the two are made alike."""
    laws = (sized(SMALL, normal(0.30, 0.03), 0.15), sized(LARGE, normal(0.33, 0.03), 0.15))
    rng = np.random.default_rng(8)
    assert compare(laws[0](rng, 500)[0], laws[1](rng, 500)[0]).kind == "b_majorises"
    assert rates_alike(laws, 500, 40, "hidden")["a_majorises"] >= 32
    even = (sized(EVEN, normal(0.30, 0.05)), sized(EVEN, normal(0.31, 0.05)))
    assert rates_alike(even, 500, 60, "even")["a_majorises"] >= 42


@pytest.mark.parametrize("other", ["shifted", "normal"])
@pytest.mark.parametrize(("n", "repeats"), [(32, 400), (100, 400), (500, 150)])
def test_the_limits_of_every_effect_hold_the_true_difference(other: str, n: int, repeats: int) -> None:
    """Both laws are quantile functions, so that the true values are known; A's is skewed."""

    def law_a(at: np.ndarray) -> np.ndarray:
        return np.asarray(0.05 + 0.04 * np.exp(0.6 * stats.norm.ppf(at))).clip(0.0, 0.9)

    def law_b(at: np.ndarray) -> np.ndarray:
        return law_a(at) + 0.02 if other == "shifted" else np.asarray(stats.norm.ppf(at, 0.30, 0.05)).clip(0.0, 1.0)

    few = best_of_how_many(n, 0.95)
    shares = {"median": 0.5, "best tenth": 0.1, f"best of {few}": 1.0 - 0.5 ** (1.0 / few)}
    true = {of: float(law_a(np.array(share)) - law_b(np.array(share))) for of, share in shares.items()}
    grid = (np.arange(100_000) + 0.5) / 100_000
    true["mean"] = float(law_a(grid).mean() - law_b(grid).mean())
    rng, missed = np.random.default_rng([n, len(other)]), Counter[str]()
    for _ in range(repeats):
        for effect in effects(EDF(errors=law_a(rng.random(n))), EDF(errors=law_b(rng.random(n))), 0.95)[:-1]:
            missed[effect.of] += not effect.low <= true[effect.of] <= effect.high
    assert set(missed) == set(true)
    assert max(missed.values()) <= allowed(0.05, repeats)
    # Limits so wide that they always hold would say nothing.
    assert missed["mean"] >= 0.01 * repeats
