"""A refinement that costs is hardly ever accepted, one that does not is hardly ever rejected; and why, in words."""

import math
from collections import Counter
from zlib import crc32

import numpy as np
import pytest
from scipy import stats

from netspace.stats import DecisionKind, VerdictKind, compare, decide, networks_if_harmless

ACCEPT, REJECT, UNDECIDED = DecisionKind.ACCEPT, DecisionKind.REJECT, DecisionKind.UNDECIDED


def shifted(points):
    return lambda rng, n: rng.normal(0.30 + points / 100, 0.05, n).clip(0.0, 1.0)


def two_values(share):
    return lambda rng, n: np.where(rng.random(n) < share, 0.1, 0.2)


def failing(share):
    return lambda rng, n: np.where(rng.random(n) < share, math.inf, rng.normal(0.3, 0.05, n).clip(0.0, 1.0))


def decisions(present, refined, n, repeats, case, level=0.95):
    rng = np.random.default_rng([crc32(case.encode()), n])
    return Counter(decide(compare(present(rng, n), refined(rng, n), level=level)).kind for _ in range(repeats))


def allowed(rate, repeats):
    return int(stats.binom.ppf(0.99, repeats, rate))


COSTLY = {
    "2 points": (shifted(0.0), shifted(2.0)),
    "the margin at one error": (two_values(0.55), two_values(0.45)),
    "the margin in failures": (failing(0.10), failing(0.20)),
}


@pytest.mark.parametrize("case", COSTLY)
@pytest.mark.parametrize("n", [32, 100])
def test_a_relation_that_costs_the_margin_is_accepted_once_in_twenty_at_most(case, n):
    assert decisions(*COSTLY[case], n, 100, case)[ACCEPT] <= allowed(0.05, 100)


@pytest.mark.parametrize("case", ["equal", "ties", "failures", "better"])
@pytest.mark.parametrize("n", [32, 100])
def test_a_relation_that_costs_nothing_is_rejected_once_in_twenty_at_most(case, n):
    equal = {"ties": two_values(0.5), "failures": failing(0.2)}.get(case, shifted(0.0))
    better = shifted(-0.5) if case == "better" else equal
    assert decisions(equal, better, n, 100, case)[REJECT] <= allowed(0.05, 100)


@pytest.mark.parametrize("level", [0.95, 1 - 0.05 / 6])
def test_the_stated_number_of_networks_accepts_what_changes_nothing_in_four_of_five_cases(level):
    n = networks_if_harmless(0.10, 1 - level)
    won = decisions(shifted(0.0), shifted(0.0), n, 100, "harmless", level)[ACCEPT]
    assert 70 <= won <= 95
    fewer = decisions(shifted(0.0), shifted(0.0), n // 2, 100, "harmless", level)[ACCEPT]
    assert fewer < 60


def test_gains_and_losses_of_two_points_are_found_among_200():
    assert decisions(shifted(0.0), shifted(-2.0), 200, 50, "gain")[ACCEPT] >= 45
    assert decisions(shifted(0.0), shifted(2.0), 200, 50, "loss")[REJECT] >= 45


def spread(low, high, n=400):
    return np.linspace(low, high, n)


@pytest.mark.parametrize(
    ("present", "refined", "verdict", "kind", "reason"),
    [
        (spread(0.3, 0.5), spread(0.1, 0.3), VerdictKind.B_MAJORISES, ACCEPT, "a gain: the refined space majorises"),
        (spread(0.1, 0.3), spread(0.3, 0.5), VerdictKind.A_MAJORISES, REJECT, "without the relation majorises"),
        (spread(0.1, 0.101, 2000), spread(0.1, 0.101, 2000), VerdictKind.EQUIVALENT, ACCEPT, "equivalent within"),
        (spread(0.29, 0.31), spread(0.1, 0.5), VerdictKind.CROSSING, REJECT, "each of the two is surely better"),
        # The medians of so wide a spread are not known to half a point: no verdict, and still no loss.
        (spread(0.1, 0.9, 1200), spread(0.1, 0.9, 1200), VerdictKind.UNDECIDED, ACCEPT, "nowhere 10 points of EDF"),
        # Half of the networks lose, all that the others gain is too little to see.
        (spread(0.2, 0.4, 120), np.append(spread(0.19, 0.2, 40), spread(0.33, 0.4, 80)), None, REJECT, "a loss: "),
        (spread(0.1, 0.5, 60), spread(0.1, 0.5, 60), VerdictKind.UNDECIDED, UNDECIDED, "about 600 networks a side"),
    ],
    ids=range(7),
)
def test_a_decision_follows_the_verdict_and_says_why(present, refined, verdict, kind, reason):
    found = compare(present, refined)
    decision = decide(found)
    assert verdict in (None, found.kind)
    assert decision.kind is kind
    assert reason in decision.reason
    assert (decision.networks is not None) == (kind is UNDECIDED)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_few_or_failed_networks_decide_nothing_between_equals(n):
    for errors in (np.full(n, 0.3), np.full(n, math.inf)):
        decision = decide(compare(errors, errors))
        assert decision.kind is UNDECIDED
        assert "nan" not in decision.reason
