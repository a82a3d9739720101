"""Planned numbers of networks, held against verdicts on populations drawn here, not by the planner."""

import math

import numpy as np
import pytest
from scipy import stats

from netspace.errors import InputError
from netspace.stats import Criteria, Plan, VerdictKind, compare, plan_equal, plan_from_pilot, plan_shift

REPEATS = 300
REACHED = int(stats.binom.ppf(0.01, REPEATS, 0.77))
MISSED = int(stats.binom.ppf(0.99, REPEATS, 0.70))


def won(draw_a, draw_b, n: int, claims: set[str]) -> int:
    """Count the verdicts on fresh populations of n networks each that are among the claims."""
    rng = np.random.default_rng([n, 11])
    return sum(compare(draw_a(rng, n), draw_b(rng, n)).kind.value in claims for _ in range(REPEATS))


def normal(centre: float, spread: float):
    return lambda rng, n: rng.normal(centre, spread, n)


@pytest.mark.parametrize(("shift", "spread"), [(0.03, 0.05), (0.01, 0.03), (0.05, 0.05)])
def test_the_number_planned_for_a_shift_finds_it_in_four_of_five_cases_and_seven_tenths_of_it_do_not(shift, spread):
    n = plan_shift(shift, spread).networks
    laws = normal(0.30, spread), normal(0.30 + shift, spread)
    assert won(*laws, n, {"a_majorises"}) >= REACHED
    assert won(*laws, round(0.7 * n), {"a_majorises"}) <= MISSED


def test_the_number_planned_for_equal_spaces_shows_them_equivalent_and_seven_tenths_of_it_do_not():
    n, law = plan_equal(0.03).networks, normal(0.30, 0.03)
    assert won(law, law, n, {"equivalent"}) >= REACHED
    assert won(law, law, round(0.7 * n), {"equivalent"}) <= MISSED


def test_the_number_planned_from_a_pilot_decides_if_its_distributions_are_the_true_ones():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.30, 0.05, 50).round(3), rng.normal(0.32, 0.05, 50).round(3)
    a[:3] = math.inf
    plan = plan_from_pilot(a, b)
    laws = (lambda rng, n: rng.choice(a, n)), (lambda rng, n: rng.choice(b, n))
    claims = {kind.value for kind in VerdictKind} - {"undecided"}
    assert won(*laws, plan.networks, claims) >= REACHED
    assert won(*laws, round(0.7 * plan.networks), claims) <= MISSED


@pytest.mark.parametrize("shift", [0.012, 0.02])
def test_the_figure_of_an_undecided_sentence_is_nearly_the_simulated_one(shift):
    quantiles = stats.norm.ppf((np.arange(60) + 0.5) / 60)
    a, b = 0.3 + 0.05 * quantiles, 0.3 + shift + 0.05 * quantiles
    about = compare(a, b).evidence.networks_to_decide
    assert plan_from_pilot(a, b).networks == pytest.approx(about, rel=0.2)


def test_a_stricter_question_takes_more_networks():
    wide = Criteria(margin=0.3)
    plain = plan_shift(0.03, 0.05, criteria=wide).networks
    assert plan_shift(0.03, 0.05, criteria=Criteria(margin=0.3, comparisons=3)).networks > 1.1 * plain
    assert plan_shift(0.03, 0.05, criteria=wide, power=0.95).networks > 1.2 * plain


def test_a_shift_within_both_margins_may_be_found_equivalent():
    kinds = dict(plan_shift(0.002, 0.02).chances)
    assert kinds[VerdictKind.EQUIVALENT] + kinds.get(VerdictKind.A_MAJORISES, 0.0) >= 0.75
    assert kinds[VerdictKind.EQUIVALENT] > 0.2


def test_pilots_that_cross_are_planned_to_be_found_crossing():
    quantiles = stats.norm.ppf((np.arange(40) + 0.5) / 40)
    plan = plan_from_pilot(0.3 + 0.02 * quantiles, 0.3 + 0.06 * quantiles)
    assert plan.chances[0][0] is VerdictKind.CROSSING
    assert plan.networks < 150


def test_what_nothing_decides_is_said():
    failed = [math.inf] * 20
    plan = plan_from_pilot(failed, failed)
    assert plan == Plan(networks=None, power=0.8, chances=((VerdictKind.UNDECIDED, 1.0),))
    assert plan_equal(0.2).networks is None


def test_a_pilot_of_nine_is_too_small():
    assert plan_from_pilot([0.1] * 9, np.linspace(0.5, 0.6, 40)) is None
    assert plan_from_pilot([0.1] * 10, np.linspace(0.5, 0.6, 40)).networks == 29


def test_a_seed_gives_one_plan_and_another_seed_nearly_the_same():
    quantiles = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    pilot = 0.3 + 0.05 * quantiles, 0.34 + 0.05 * quantiles
    first, again, other = (plan_from_pilot(*pilot, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert other.networks == pytest.approx(first.networks, rel=0.12)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: plan_shift(0.0, 0.05), r"shift \(=0\) must lie between 0 and 1.*equal spaces"),
        (lambda: plan_shift(-0.1, 0.05), r"shift \(=-0.1\) must lie"),
        (lambda: plan_shift(math.nan, 0.05), r"shift \(=nan\)"),
        (lambda: plan_shift(0.01, 0.0), r"spread \(=0\) must be above 0"),
        (lambda: plan_shift(0.01, -1.0), r"spread \(=-1\) must be above 0"),
        (lambda: plan_equal(5.0), r"spread \(=5\) must be above 0 and at most 0.5"),
        (lambda: plan_equal(0.05, power=0.0), r"power \(=0\) must be above 0"),
        (lambda: plan_equal(0.05, power=1.0), r"power \(=1\) must be above 0 and at most 0.99"),
        (lambda: plan_equal(0.05, power=math.nan), r"power \(=nan\)"),
        (lambda: plan_from_pilot([0.1, math.nan], [0.2]), r"errors_a\[1\] \(=nan\)"),
        (lambda: plan_from_pilot([0.1], []), "errors_b must hold at least one"),
    ],
)
def test_impossible_questions_are_refused_in_a_sentence(ask, sentence):
    with pytest.raises(InputError, match=sentence):
        ask()
