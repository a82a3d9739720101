"""Every pair of several populations, with one confidence for all of the claims."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from netspace.errors import InputError
from netspace.stats import VerdictKind, compare, compare_all, compare_at_looks


def even(centre: float, spread: float, n: int) -> np.ndarray:
    """The quantiles of a normal law: a sample without luck."""
    return np.asarray(stats.norm.ppf((np.arange(n) + 0.5) / n, centre, spread))


def test_every_pair_is_judged_in_order_and_named() -> None:
    spaces = {name: even(centre, 0.02, 200) for name, centre in (("a", 0.30), ("b", 0.34), ("c", 0.38))}
    verdicts = compare_all(spaces)
    assert [verdict.names for verdict in verdicts] == list(itertools.combinations("abc", 2))
    assert {verdict.kind for verdict in verdicts} == {VerdictKind.A_MAJORISES}
    assert all("95 % confidence over all 3 comparisons (Bonferroni)" in verdict.sentence for verdict in verdicts)


def test_a_pair_is_held_to_its_part_of_the_risk_whatever_the_others_say() -> None:
    # Alone, 0.025 / 3 < p < 0.025 is won; beside others it is not, even where these are clear.
    close = {"a": even(0.300, 0.05, 500), "b": even(0.307, 0.05, 500)}
    p = compare(*close.values()).p_values["a_better"]
    assert 0.025 / 3 < p < 0.025
    assert compare(*close.values()).kind is VerdictKind.A_MAJORISES
    for other in (even(0.5, 0.05, 500), even(0.3035, 0.05, 500)):
        first = compare_all({**close, "c": other})[0]
        assert first.kind is VerdictKind.UNDECIDED
        assert first.criteria.alpha == pytest.approx(0.05 / 3)


def test_chosen_pairs_alone_are_judged_and_share_the_risk() -> None:
    close = {"a": even(0.300, 0.05, 500), "b": even(0.307, 0.05, 500), "c": even(0.5, 0.05, 500)}
    (one,) = compare_all(close, pairs=[("b", "a")])
    assert one.names == ("b", "a")
    assert one.criteria.alpha == pytest.approx(0.05)
    assert one.kind is VerdictKind.B_MAJORISES
    # A pair that has no results yet keeps its part of the risk, so that later results change no verdict.
    (same,) = compare_all(close, pairs=[("b", "a"), ("a", "not yet")])
    assert same.criteria.alpha == pytest.approx(0.025)
    at_looks = compare_at_looks(close, (250, 500), pairs=[("a", "c")])
    assert [verdict.names for verdict in at_looks] == [("a", "c")]


def test_two_neighbours_at_the_edge_of_the_margin_are_seldom_called_equivalent() -> None:
    # The outer two are told apart surely, which must not make it easier to err about the inner ones.
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        spaces = {name: rng.normal(0.295 + 0.005 * i, 0.05, 2600) for i, name in enumerate("abc")}
        wrong += any(verdict.kind is VerdictKind.EQUIVALENT for verdict in compare_all(spaces))
    assert wrong <= 8


def test_two_populations_at_least_are_compared() -> None:
    with pytest.raises(InputError, match="at least two populations"):
        compare_all({"a": [0.1]})
    with pytest.raises(InputError, match=r"b\[0\] \(=nan\)"):
        compare_all({"a": [0.1], "b": [math.nan]})
