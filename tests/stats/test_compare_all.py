"""Every pair of several populations, with one confidence for all of the claims."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from netspace.errors import InputError
from netspace.stats import VerdictKind, compare, compare_all


def even(centre: float, spread: float, n: int) -> np.ndarray:
    """The quantiles of a normal law: a sample without luck."""
    return np.asarray(stats.norm.ppf((np.arange(n) + 0.5) / n, centre, spread))


def test_every_pair_is_judged_in_order_and_named() -> None:
    spaces = {name: even(centre, 0.02, 200) for name, centre in (("a", 0.30), ("b", 0.34), ("c", 0.38))}
    verdicts = compare_all(spaces)
    assert [verdict.names for verdict in verdicts] == list(itertools.combinations("abc", 2))
    assert {verdict.kind for verdict in verdicts} == {VerdictKind.A_MAJORISES}
    assert all("95 % confidence over all 3 comparisons (Holm)" in verdict.sentence for verdict in verdicts)


def test_holm_is_stricter_than_one_comparison_and_milder_than_bonferroni() -> None:
    # Alone, 0.01 <= p < 0.025 is won; beside two clear pairs it is the last open one, and won as well; beside
    # two more that are not clear it is not.
    close = {"a": even(0.300, 0.05, 500), "b": even(0.307, 0.05, 500)}
    p = compare(*close.values()).p_values["a_better"]
    assert 0.025 / 3 < p < 0.025
    clear = compare_all({**close, "c": even(0.5, 0.05, 500)})
    assert [verdict.kind for verdict in clear] == [VerdictKind.A_MAJORISES] * 3
    assert [verdict.criteria.sharing for verdict in clear] == [1, 3, 3]
    unclear = compare_all({**close, "c": even(0.3035, 0.05, 500)})
    assert [verdict.kind for verdict in unclear] == [VerdictKind.UNDECIDED] * 3
    assert {verdict.criteria.sharing for verdict in unclear} == {3}


def test_two_populations_at_least_are_compared() -> None:
    with pytest.raises(InputError, match="at least two populations"):
        compare_all({"a": [0.1]})
    with pytest.raises(InputError, match=r"b\[0\] \(=nan\)"):
        compare_all({"a": [0.1], "b": [math.nan]})
