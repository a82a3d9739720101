"""The one sentence of a verdict: both spaces, both margins, the confidence, n, and the main numbers.

Errors are shown in per cent, differences (of errors, and of EDFs) in percentage points.
"""

import math

from netspace.stats.evidence import Criteria, Evidence, Side
from netspace.stats.planning import fewest_networks, rough

NO_IMPRESSION = 0.2
"""A p-value above which nobody should say that one space even looks better."""

USUAL_RISK = 0.05
"""A p-value up to which many take a claim for shown; several comparisons, or looks, ask for less."""


def majorises(better: Side, worse: Side, evidence: Evidence, criteria: Criteria) -> str:
    """Say that `better` majorises `worse`."""
    return (
        f"{better.name} majorises {worse.name} within the margin: its errors are lower "
        f"({_p(better.p_better)}; {_medians(better, worse)}; {_interval(better, evidence, criteria)}), "
        f"and its EDF is nowhere {_points(criteria.margin)} or more below ({_p(better.p_not_worse)}; "
        f"{_points(worse.lead)} at most in the samples); {_terms(evidence, criteria)}."
    )


def equivalent(evidence: Evidence, criteria: Criteria) -> str:
    """Say that the two are equivalent within both margins, and whether one is better all the same."""
    a, b = evidence.a, evidence.b
    better = [side for side in (a, b) if side.p_better <= criteria.alpha / 2]
    still = f"; a smaller difference, in favour of {better[0].name}, is seen" if better else ""
    return (
        f"{a.name} and {b.name} are equivalent within the margins: their EDFs are nowhere "
        f"{_points(criteria.margin)} or more apart ({_p(max(a.p_not_worse, b.p_not_worse))}; "
        f"{_points(max(a.lead, b.lead))} at most in the samples), nor are their medians "
        f"{_points(criteria.median_margin)} ({_medians(a, b)}; {_interval(a, evidence, criteria)}){still}; "
        f"{_terms(evidence, criteria)}."
    )


def crossing(evidence: Evidence, criteria: Criteria) -> str:
    """Say where each of the two is ahead."""
    a, b = evidence.a, evidence.b
    ahead = " and ".join(
        f"the EDF of {side.name} is {_points(side.lead)} above at the error {_percent(side.lead_at)} "
        f"({_p(side.p_somewhere_better)})"
        for side in (a, b)
    )
    return (
        f"{a.name} and {b.name} cross, so that neither majorises the other: {ahead}; {_medians(a, b)}; "
        f"{_interval(a, evidence, criteria)}; {_terms(evidence, criteria)}."
    )


def undecided(evidence: Evidence, criteria: Criteria) -> str:
    """Say what the samples look like, what they do not show, and about how many networks would."""
    a, b = evidence.a, evidence.b
    opening, terms = f"Undecided between {a.name} and {b.name}", _terms(evidence, criteria, "judged")
    if evidence.normalised is not None and not evidence.normalised.bins:
        nothing = f"no bin of {evidence.normalised.measure} holds networks of both"
        return f"{opening}: {nothing}, so that nothing compares them at like complexity; {terms}."
    if a.num_failed == a.n and b.num_failed == b.n:
        return f"{opening}: every network of both failed, which leaves nothing to compare; {terms}."
    leader, other = (a, b) if evidence.score >= 0.0 else (b, a)
    impression = _impression(leader, other, evidence)
    parts = [f"{opening}: {impression} {_missing(leader, other, evidence, criteria)}"]
    parts.extend(_too_few(evidence, criteria))
    if evidence.networks_to_decide is not None:
        about = rough(evidence.networks_to_decide)
        parts.append(f"about {about} networks each would decide if the present EDFs are the true ones")
    return f"{'; '.join(parts)}; {terms}."


def _impression(leader: Side, other: Side, evidence: Evidence) -> str:
    medians = _medians(leader, other)
    if leader.p_better > NO_IMPRESSION:
        return f"neither looks better ({_medians(evidence.a, evidence.b)});"
    if evidence.median_difference is None or leader.median >= other.median:
        return f"{leader.name} looks better by the ranks of its errors ({medians}), but"
    return f"{leader.name} looks better by {_points(evidence.median_difference)} in the median ({medians}), but"


def _missing(leader: Side, other: Side, evidence: Evidence, criteria: Criteria) -> str:
    margin = _points(criteria.margin)
    networks = f"{leader.n} and {other.n} networks"
    p_not_apart = max(leader.p_not_worse, other.p_not_worse)
    if leader.p_better <= criteria.alpha / 2:
        return (
            f"{networks} that show its errors to be lower ({_p(leader.p_better)}) do not show that its EDF is "
            f"nowhere {margin} or more below ({_missed(leader.p_not_worse, criteria.alpha)})"
        )
    lower = f"that the errors of {leader.name} are lower ({_missed(leader.p_better, criteria.alpha / 2)})"
    if p_not_apart <= criteria.alpha:
        return (
            f"{networks} show only that the EDFs are less than {margin} apart ({_p(p_not_apart)}), neither {lower} "
            f"nor that the medians are less than {_points(criteria.median_margin)} apart "
            f"({_interval(leader, evidence, criteria)})"
        )
    apart = f"that the EDFs are less than {margin} apart ({_missed(p_not_apart, criteria.alpha)})"
    return f"{networks} show neither {lower} nor {apart}"


def _too_few(evidence: Evidence, criteria: Criteria) -> list[str]:
    """Say which claims this many networks cannot win, or hardly can, whatever their errors are."""
    a, b, margin = evidence.a, evidence.b, _points(criteria.margin)
    fewest = fewest_networks(criteria.margin, criteria.alpha)
    if min(a.effective_n, b.effective_n) < fewest:
        return [f"not enough data, since no claim within {margin} can be won below {fewest} networks each"]
    if min(a.n, b.n) < evidence.networks_if_equal and max(a.p_not_worse, b.p_not_worse) > criteria.alpha:
        about = rough(evidence.networks_if_equal)
        return [f"too few for equivalence, which takes at least about {about} networks each even between equal spaces"]
    return []


def _terms(evidence: Evidence, criteria: Criteria, how: str = "won") -> str:
    a, b = evidence.a, evidence.b
    return (
        f"margins {_points(criteria.margin)} of EDF and {_points(criteria.median_margin)} of median error, "
        f"{_percent(criteria.level)} confidence{_together(criteria, how)}, n = {a.n} and {b.n} "
        f"({a.num_failed} and {b.num_failed} failed){_alike(evidence)}"
    )


def _alike(evidence: Evidence) -> str:
    """Say by what the two were made alike, what their networks then count for, and what was left out."""
    how, a, b = evidence.normalised, evidence.a, evidence.b
    if how is None or not how.bins:
        return ""
    bins = "1 bin" if how.bins == 1 else f"{how.bins} bins that count the same"
    left = "no network left out"
    if any(how.left_out):
        left = (
            f"{how.left_out[0]} and {how.left_out[1]} networks left out, in bins where the other space has next to none"
        )
    return (
        f"; normalised by {how.measure}: {bins}, in which these count for "
        f"{math.floor(a.effective_n)} and {math.floor(b.effective_n)}, {left}"
    )


def _together(criteria: Criteria, how: str) -> str:
    """Say what the confidence holds for, where that is more than this one test."""
    look, pairs = criteria.look, criteria.comparisons
    if look is None:
        return f" over all {pairs} comparisons (Bonferroni)" if pairs > 1 else ""
    looks = len(look.planned)
    over = f"{pairs} comparisons (Bonferroni) and {looks} looks" if pairs > 1 else f"{looks} looks"
    return f" over all {over}, {how} at look {look.number} of {looks} (its level {100.0 * criteria.alpha:.2g} %)"


def _medians(first: Side, second: Side) -> str:
    return f"median {_percent(first.median)} against {_percent(second.median)}"


def _interval(first: Side, evidence: Evidence, criteria: Criteria) -> str:
    """Show the limits of the difference of medians, `first` minus the other."""
    lower, upper = evidence.median_interval
    if first is evidence.b:
        lower, upper = -upper, -lower
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return "difference without limits"
    confidence = "over 99.9 %" if criteria.alpha < 0.00025 else _percent(1.0 - 2.0 * criteria.alpha)
    return f"difference {_number(lower)} to {_number(upper)} points with {confidence} confidence"


def _percent(share: float | None) -> str:
    return "failure" if share is None or math.isinf(share) else f"{_number(share)} %"


def _points(difference: float) -> str:
    """Show the size of a difference; its direction is in the words around it."""
    text = _number(abs(difference))
    return f"{text} point" if text == "1" else f"{text} points"


def _number(share: float) -> str:
    # Adding 0 turns -0 into 0.
    return f"{round(100.0 * share, 3) + 0.0:.3g}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def _missed(value: float, asked: float) -> str:
    """Show a p-value that is above what was asked of it, and that too where a reader would wonder."""
    wonder = asked < value <= USUAL_RISK
    return f"{_p(value)}, above the {asked:.2g} that is asked for" if wonder else _p(value)
