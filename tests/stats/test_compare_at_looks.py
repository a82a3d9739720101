"""Verdicts judged at planned looks: how often they claim what is false, and that they depend on counts alone."""

import math
from collections import Counter

import numpy as np
import pytest

from netspace.errors import InputError
from netspace.stats import VerdictKind, compare, compare_at_looks, planned_looks
from tests.stats.test_calibration import CROSSING, EQUAL, allowed, normal


def rates(a, b, n, repeats, seed, looks=5):
    """Count the verdicts on repeated draws, and the networks of each space that they took."""
    rng, planned = np.random.default_rng(seed), planned_looks(n, looks)
    kinds, networks = Counter(), []
    for _ in range(repeats):
        (verdict,) = compare_at_looks({"A": a(rng, n), "B": b(rng, n)}, planned)
        kinds[str(verdict.kind)] += 1
        networks.append(verdict.criteria.look.networks)
    return kinds, np.mean(networks)


@pytest.mark.parametrize("case", ["spread", "10 % failures"])
@pytest.mark.parametrize(("n", "repeats"), [(100, 200), (500, 100)])
def test_between_equals_a_false_claim_is_rare_at_all_looks_together(case, n, repeats):
    kinds, _ = rates(EQUAL[case], EQUAL[case], n, repeats, seed=n)
    assert repeats - kinds["undecided"] - kinds["equivalent"] <= allowed(0.05, repeats)


def test_looking_five_times_at_the_level_of_one_look_errs_too_often():
    """What the levels of the looks are for; and that these simulations would show it."""
    rng, repeats, law = np.random.default_rng(3), 150, EQUAL["spread"]
    wrong = 0
    for _ in range(repeats):
        a, b = law(rng, 500), law(rng, 500)
        wrong += any(compare(a[:n], b[:n]).kind is not VerdictKind.UNDECIDED for n in planned_looks(500, 5))
    assert wrong > 1.5 * allowed(0.05, repeats)


@pytest.mark.parametrize("case", ["B has 10 % great networks", "A fails in 25 %, B in 15 %"])
def test_where_curves_cross_by_the_margin_majorisation_is_rarely_claimed(case):
    kinds, _ = rates(*CROSSING[case], 500, 100, seed=5)
    assert kinds["a_majorises"] + kinds["b_majorises"] <= allowed(0.05, 100)
    assert kinds["equivalent"] == 0


def test_at_the_edge_of_a_margin_equivalence_is_rarely_claimed():
    kinds, _ = rates(normal(0.30, 0.03), normal(0.305, 0.03), 1500, 100, seed=6, looks=3)
    assert kinds["equivalent"] <= allowed(0.05, 100)
    assert kinds["a_majorises"] > 0


def test_a_shift_is_found_nearly_as_often_as_by_one_look_and_with_fewer_networks():
    kinds, networks = rates(normal(0.30, 0.05), normal(0.31, 0.05), 500, 100, seed=7)
    assert kinds["a_majorises"] >= 77
    assert kinds["b_majorises"] == 0
    assert networks < 400
    _, networks = rates(normal(0.30, 0.05), normal(0.35, 0.05), 500, 20, seed=8)
    assert networks < 150


@pytest.fixture
def three():
    rng = np.random.default_rng(9)
    return {name: normal(centre, 0.05)(rng, 300) for name, centre in (("a", 0.30), ("b", 0.35), ("c", 0.353))}


PLANNED = (60, 120, 200, 300)


def test_a_decided_pair_stays_as_it_was_judged(three):
    final = compare_at_looks(three, PLANNED)
    assert [verdict.names for verdict in final] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [verdict.criteria.look.number for verdict in final] == [2, 2, 4]
    assert {verdict.criteria.comparisons for verdict in final} == {3}
    for n in (120, 121, 199, 200, 299):
        for early, late in zip(compare_at_looks({k: v[:n] for k, v in three.items()}, PLANNED), final, strict=True):
            assert early.evidence.a.n == max(look for look in PLANNED if look <= min(n, late.evidence.a.n))
            assert early == late or early.kind is VerdictKind.UNDECIDED
    # Networks beyond the look, and those of other spaces, have no part in it.
    changed = {"a": np.r_[three["a"][:120], np.ones(9)], "b": np.r_[three["b"][:120], np.zeros(99)], "c": []}
    assert compare_at_looks(changed, PLANNED) == final[:1]


def test_sentences_say_at_which_look_and_how_strictly(three):
    a_b, _, b_c = (verdict.sentence for verdict in compare_at_looks(three, PLANNED))
    terms = "95 % confidence over all 3 comparisons (Bonferroni) and 4 looks"
    assert f"{terms}, won at look 2 of 4 (its level 0.17 %), n = 120 and 120" in a_b
    assert f"{terms}, judged at look 4 of 4 (its level 1.3 %), n = 300 and 300" in b_c
    assert b_c.startswith("Undecided between b and c")


def test_confidence_near_certainty_is_not_said_to_be_certainty(three):
    (verdict,) = compare_at_looks({"a": three["a"], "far": three["a"] + 0.2}, (200, 4000))
    assert verdict.kind is VerdictKind.A_MAJORISES
    assert verdict.criteria.alpha < 0.00025
    assert "with over 99.9 % confidence" in verdict.sentence
    assert "100 %" not in verdict.sentence


@pytest.mark.parametrize(
    "errors",
    [[0.2] * 10, [math.inf] * 10, [0.1] * 9 + [math.inf], [0.1, 0.2] * 5],
    ids=["equal", "failed", "one", "two"],
)
def test_little_or_dull_data_is_undecided(errors):
    (verdict,) = compare_at_looks({"a": errors, "b": errors}, (1, 2, 5, 10))
    assert verdict.kind is VerdictKind.UNDECIDED
    assert "nan" not in verdict.sentence


def test_what_cannot_be_judged():
    assert compare_at_looks({"a": [0.1], "b": []}, (1, 2)) == ()
    assert compare_at_looks({"a": [0.1] * 9, "b": [0.1] * 9}, (10, 20)) == ()
    with pytest.raises(InputError, match="at least two populations"):
        compare_at_looks({"a": [0.1]}, (1, 2))
    with pytest.raises(InputError, match=r"b\[0\] \(=nan\)"):
        compare_at_looks({"a": [0.1], "b": [math.nan]}, (1, 2))
    with pytest.raises(InputError, match=r"planned \(=\(2, 2\)\) must increase"):
        compare_at_looks({"a": [0.1], "b": [0.1]}, (2, 2))
    with pytest.raises(InputError, match=r"planned \(=\(\)\) must name at least one look"):
        compare_at_looks({"a": [0.1], "b": [0.1]}, ())
