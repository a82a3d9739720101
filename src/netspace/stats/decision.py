"""Whether a refinement of a space is to be taken, by the verdict between fresh networks of the two.

A refined space is smaller and easier to understand, so it need not be better: it is taken once a loss beyond the margin
is ruled out. To be sure of that takes many networks; what is neither ruled out nor shown stays undecided.
"""

import functools
import math
from dataclasses import dataclass
from enum import StrEnum

from scipy import special

from netspace.stats.evidence import Side
from netspace.stats.planning import POWER, fewest_networks, rough
from netspace.stats.verdict import Verdict, VerdictKind


class DecisionKind(StrEnum):
    """What becomes of a refinement."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision and its reason in words.

    `networks` are about as many as would decide it, on each side; None where it is decided, or none can be named.
    """

    kind: DecisionKind
    reason: str
    networks: int | None = None


def decide(verdict: Verdict) -> Decision:
    """Decide on a refinement by the verdict of (the space as it is, the refined space).

    - *accept*: the two are equivalent, the refined one majorises, or it is nowhere behind by the margin.
    - *reject*: the unrefined one majorises, or is surely better by ranks or at some errors.
    - *undecided*: neither is shown.

    With the risk alpha of the verdict's criteria, a refinement is accepted with probability alpha at most where it
    costs the margin or more at some error, and rejected with probability alpha at most where it costs nothing.

    >>> from netspace.stats.verdict import compare
    >>> decide(compare([0.3 + 0.01 * i for i in range(40)], [0.01 * i for i in range(40)])).kind.value
    'accept'
    """
    present, refined, criteria = verdict.evidence.a, verdict.evidence.b, verdict.criteria
    margin = f"{100.0 * criteria.margin:.3g} points of EDF"
    if verdict.kind is VerdictKind.B_MAJORISES:
        return Decision(kind=DecisionKind.ACCEPT, reason="a gain: the refined space majorises")
    if verdict.kind is VerdictKind.EQUIVALENT:
        return Decision(kind=DecisionKind.ACCEPT, reason="no loss: the two are equivalent within the margins")
    loss = _loss(verdict.kind, present, criteria.alpha / 2)
    if loss:
        return Decision(kind=DecisionKind.REJECT, reason=f"a loss: {loss}")
    if refined.p_not_worse <= criteria.alpha:
        reason = f"no loss within the margin: the refined space is nowhere {margin} or more behind"
        return Decision(kind=DecisionKind.ACCEPT, reason=f"{reason} ({_p(refined.p_not_worse)})")
    shown = "neither a loss nor its absence is shown"
    if_true, if_harmless = verdict.evidence.networks_to_decide, networks_if_harmless(criteria.margin, criteria.alpha)
    if if_true is not None and if_true < if_harmless:
        reason = f"{shown}; about {rough(if_true):,} networks a side would decide if the present EDFs are the true ones"
        return Decision(kind=DecisionKind.UNDECIDED, reason=reason, networks=rough(if_true))
    if min(present.n, refined.n) < if_harmless:
        reason = f"{shown}; about {rough(if_harmless):,} networks a side would accept what changes nothing"
        return Decision(kind=DecisionKind.UNDECIDED, reason=reason, networks=rough(if_harmless))
    reason = f"{shown} ({_p(refined.p_not_worse)} for less than {margin} behind)"
    return Decision(kind=DecisionKind.UNDECIDED, reason=reason)


@functools.lru_cache(maxsize=256)
def networks_if_harmless(margin: float, alpha: float) -> int:
    """Return how many networks a side accept a refinement that changes nothing, with the probability `POWER`.

    The refined space's lag moves as a Brownian bridge whose largest value exceeds x with probability exp(-2 x^2); the
    claim is won where that and the test's half-width stay within the margin, as in `networks_if_equal`.

    >>> networks_if_harmless(0.10, 0.05)
    592
    """
    reach = math.sqrt(-0.5 * math.log(1.0 - POWER)) + 0.5 * float(special.ndtri(1.0 - alpha))
    return max(math.ceil(2.0 * (reach / margin) ** 2), fewest_networks(margin, alpha))


def _loss(kind: VerdictKind, present: Side, risk: float) -> str:
    """Say how the unrefined space was shown to be better; empty where it was not."""
    if kind is VerdictKind.A_MAJORISES:
        return "the space without the relation majorises"
    if kind is VerdictKind.CROSSING:
        return "each of the two is surely better at some errors"
    if present.p_better <= risk:
        return f"errors are lower without the relation ({_p(present.p_better)})"
    if present.p_somewhere_better <= risk:
        return f"without the relation the EDF is surely higher somewhere ({_p(present.p_somewhere_better)})"
    return ""


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
