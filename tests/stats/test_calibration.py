"""How often `compare` claims what is false, and finds what is true, measured on simulated populations.

Each rate is held against the stated level with the luck of the simulation (a one-sided 99 % limit); the seeds
are fixed, so that a test which passes keeps passing until the method changes.
"""

import math
from collections import Counter
from collections.abc import Callable
from zlib import crc32

import numpy as np
import pytest
from scipy import stats

from netspace.stats import EDF, VerdictKind, compare, compare_all, dkw_half_width
from netspace.stats.dominance import joint_steps, margin_p_values, not_worse_p_value
from netspace.stats.medians import median_difference
from netspace.stats.planning import networks_if_equal

Law = Callable[[np.random.Generator, int], np.ndarray]


def normal(centre: float, spread: float, decimals: int = 9) -> Law:
    return lambda rng, n: rng.normal(centre, spread, n).clip(0.0, 1.0).round(decimals)


def constant(value: float) -> Law:
    return lambda rng, n: np.full(n, value)


def mixture(share: float, first: Law, second: Law) -> Law:
    return lambda rng, n: np.where(rng.random(n) < share, first(rng, n), second(rng, n))


def failing(share: float, law: Law) -> Law:
    return mixture(share, constant(math.inf), law)


def rates(a: Law, b: Law, n: int, repeats: int, case: str, n_b: int | None = None) -> Counter[str]:
    """Count the verdicts on repeated draws; the seed belongs to the case."""
    rng = np.random.default_rng([crc32(case.encode()), n])
    return Counter(compare(a(rng, n), b(rng, n_b or n)).kind.value for _ in range(repeats))


def allowed(rate: float, repeats: int) -> int:
    return int(stats.binom.ppf(0.99, repeats, rate))


EQUAL = {
    "spread": normal(0.30, 0.05),
    "ties": normal(0.30, 0.05, decimals=2),
    "heavy ties": normal(0.10, 0.01, decimals=2),
    "two values": mixture(0.5, constant(0.1), constant(0.2)),
    "10 % failures": failing(0.10, normal(0.30, 0.05, decimals=2)),
    "60 % failures": failing(0.60, normal(0.30, 0.05)),
}


@pytest.mark.parametrize("case", EQUAL)
@pytest.mark.parametrize(("n", "repeats"), [(32, 1000), (100, 1000), (500, 300)])
def test_between_equals_a_false_claim_is_rare(case: str, n: int, repeats: int) -> None:
    kinds = rates(EQUAL[case], EQUAL[case], n, repeats, case)
    assert kinds["a_majorises"] + kinds["b_majorises"] + kinds["crossing"] <= allowed(0.05, repeats)
    # Neither direction may take more than its half.
    assert max(kinds["a_majorises"], kinds["b_majorises"]) <= allowed(0.025, repeats)


def test_between_equals_of_different_n_a_false_claim_is_rare() -> None:
    kinds = rates(EQUAL["ties"], EQUAL["ties"], 40, 1000, "different n", n_b=120)
    assert 1000 - kinds["undecided"] <= allowed(0.05, 1000)


# A is better nearly everywhere, but behind by exactly the margin of 10 points, or by more, somewhere.
CROSSING = {
    "B has 10 % great networks": (normal(0.30, 0.01), mixture(0.10, normal(0.10, 0.01), normal(0.50, 0.01))),
    "B has 10 % good networks": (normal(0.30, 0.05), mixture(0.10, normal(0.05, 0.01), normal(0.35, 0.05))),
    "A fails in 10 %": (failing(0.10, normal(0.10, 0.01)), normal(0.30, 0.01)),
    "A fails in 25 %, B in 15 %": (failing(0.25, normal(0.1, 0.01)), failing(0.15, normal(0.3, 0.01))),
    "B has 15 % great networks": (normal(0.30, 0.01), mixture(0.15, normal(0.10, 0.01), normal(0.50, 0.01))),
    "A is narrow, B wide": (normal(0.30, 0.03), normal(0.30, 0.06)),
}


@pytest.mark.parametrize("case", CROSSING)
@pytest.mark.parametrize(("n", "repeats"), [(32, 1000), (100, 1000), (500, 200)])
def test_where_curves_cross_by_the_margin_majorisation_is_rarely_claimed(case: str, n: int, repeats: int) -> None:
    kinds = rates(*CROSSING[case], n, repeats, case)
    assert kinds["a_majorises"] + kinds["b_majorises"] <= allowed(0.05, repeats)
    assert kinds["equivalent"] == 0


def test_where_curves_cross_clearly_it_is_found() -> None:
    assert rates(*CROSSING["A is narrow, B wide"], 500, 200, "found")["crossing"] >= 190


# The true curves, or the true medians, are exactly the margin apart: equivalence would be false.
EDGE = {
    "EDFs at the bottom": (normal(0.30, 0.005), mixture(0.1, normal(0.10, 0.01), normal(0.30, 0.005))),
    "EDFs in the middle": (
        mixture(0.25, normal(0.10, 0.01), mixture(2 / 3, constant(0.3), normal(0.50, 0.01))),
        mixture(0.35, normal(0.10, 0.01), mixture(8 / 13, constant(0.3), normal(0.50, 0.01))),
    ),
    "failures": (failing(0.15, normal(0.30, 0.005)), failing(0.05, normal(0.30, 0.005))),
    "medians, wide": (normal(0.30, 0.05), normal(0.305, 0.05)),
    "medians, narrow": (normal(0.30, 0.03), normal(0.305, 0.03)),
    "medians, ties": (normal(0.30, 0.05, decimals=3), normal(0.305, 0.05, decimals=3)),
}


@pytest.mark.parametrize("case", EDGE)
@pytest.mark.parametrize(("n", "repeats"), [(500, 300), (1500, 300)])
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
    limits = [median_difference(np.sort(law(rng, n)), np.sort(law(rng, n)), 0.95)[1:] for _ in range(repeats)]
    assert sum(lower > 0.0 for lower, _ in limits) <= allowed(0.05, repeats)
    assert sum(upper < 0.0 for _, upper in limits) <= allowed(0.05, repeats)
    assert sum(lower > 0.0 or upper < 0.0 for lower, upper in limits) >= 0.02 * repeats
