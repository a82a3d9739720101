"""Verdicts of two measurements about the same pairs: the same, opposite, or open."""

import numpy as np
import pytest

from netspace.errors import InputError
from netspace.stats import PairAgreement, VerdictKind, agreement, claim, compare, compare_all

LOW, HIGH = np.linspace(0.1, 0.2, 60), np.linspace(0.3, 0.4, 60)
SOME = np.random.default_rng(0).random(60)


def about(a, b):
    return (compare(a, b),)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (about(LOW, HIGH), about(LOW, HIGH), PairAgreement.SAME),
        (about(LOW, HIGH), about(HIGH, LOW), PairAgreement.OPPOSITE),
        (about(LOW, HIGH), about(SOME, SOME), PairAgreement.OPEN),
        (about(SOME, SOME), about(SOME, SOME), PairAgreement.BOTH_OPEN),
        (about(LOW, HIGH), about(np.tile(LOW, 20), np.tile(LOW, 20)), PairAgreement.DIFFERENT),
    ],
)
def test_two_verdicts(first, second, expected):
    found = agreement(first, second)
    assert found.found == (expected,)
    assert found.count(expected) == 1
    assert agreement(second, first) == found


def test_lower_errors_speak_for_a_space_before_it_majorises():
    verdict = compare(np.linspace(0.1, 0.3, 14), np.linspace(0.2, 0.4, 14), margin=0.01)
    assert verdict.kind is VerdictKind.UNDECIDED
    assert claim(verdict) is VerdictKind.A_MAJORISES


def test_other_pairs_are_refused():
    with pytest.raises(InputError, match="the same pairs"):
        agreement(compare_all({"x": LOW, "y": HIGH}), compare_all({"x": LOW, "z": HIGH}))
