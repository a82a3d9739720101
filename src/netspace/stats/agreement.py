"""Whether verdicts about the same pairs of spaces, from two ways of measuring, say the same.

A verdict speaks for a space when that space majorises, or when its errors alone are shown to be lower: the second is
what majorisation claims at first, and takes fewer networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from netspace.errors import InputError
from netspace.stats.verdict import Verdict, VerdictKind


class PairAgreement(StrEnum):
    """What two verdicts about a pair say together."""

    SAME = "the same"
    OPPOSITE = "opposite"
    DIFFERENT = "different claims"
    OPEN = "one is undecided"
    BOTH_OPEN = "both are undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How verdicts of two measurements agree: one `PairAgreement` for each of `pairs`."""

    pairs: tuple[tuple[str, str], ...]
    found: tuple[PairAgreement, ...]

    def count(self, kind: PairAgreement) -> int:
        """Return how many pairs agree in this way."""
        return self.found.count(kind)


def agreement(first: Sequence[Verdict], second: Sequence[Verdict]) -> Agreement:
    """Return how the verdicts of two measurements agree; of each there is one per pair, named alike in both.

    Claims that differ without being opposite (one majorises, equivalent) may both be true: a margin lies between.
    Raises: InputError where the pairs are not the same.
    """
    pairs = tuple(verdict.names for verdict in first)
    if pairs != tuple(verdict.names for verdict in second):
        raise InputError("first and second must be verdicts about the same pairs of spaces, in the same order")
    return Agreement(pairs=pairs, found=tuple(_agree(a, b) for a, b in zip(first, second, strict=True)))


def claim(verdict: Verdict) -> VerdictKind:
    """Return what a verdict claims; one that is undecided, but shows lower errors, speaks for that space too."""
    evidence, alpha = verdict.evidence, verdict.criteria.alpha
    if verdict.kind is not VerdictKind.UNDECIDED:
        return verdict.kind
    if evidence.a.p_better <= alpha / 2:
        return VerdictKind.A_MAJORISES
    return VerdictKind.B_MAJORISES if evidence.b.p_better <= alpha / 2 else VerdictKind.UNDECIDED


def _agree(first: Verdict, second: Verdict) -> PairAgreement:
    one, other = claim(first), claim(second)
    if VerdictKind.UNDECIDED in (one, other):
        return PairAgreement.BOTH_OPEN if one is other else PairAgreement.OPEN
    if one is other:
        return PairAgreement.SAME
    leads = {VerdictKind.A_MAJORISES, VerdictKind.B_MAJORISES}
    return PairAgreement.OPPOSITE if {one, other} == leads else PairAgreement.DIFFERENT
