"""All that two populations say about one another, in numbers: measured once, judged elsewhere."""

import math
from dataclasses import dataclass, replace

import numpy as np

from netspace.errors import InputError
from netspace.stats.dominance import (
    JointSteps,
    joint_steps,
    not_worse_p_value,
    rank_test,
    somewhere_better_p_value,
)
from netspace.stats.edf import EDF
from netspace.stats.effects import Effect
from netspace.stats.looks import Look
from netspace.stats.normalisation import Normalisation
from netspace.stats.planning import (
    MOST,
    fewest_networks,
    networks_for_median,
    networks_if_equal,
    networks_to_majorise,
)
from netspace.stats.quantiles import quantile_difference
from netspace.stats.weighted import weighted_rank_test, weighted_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What counts as a difference, and how sure a claim must be.

    `margin` [share of networks] bounds the EDFs, `median_margin` [error] the medians. `comparisons` were made
    together at `level`, and share evenly the risk that it leaves (Bonferroni). `look` says which of several planned
    looks at a growing sample this is; None where there is but one.
    Raises: InputError for a value out of its range.
    """

    margin: float = 0.10
    median_margin: float = 0.005
    level: float = 0.95
    comparisons: int = 1
    look: Look | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.margin < 1.0:
            raise InputError(f"margin (={self.margin}) must lie between 0 and 1: a share of networks, such as 0.10")
        if not 0.0 < self.median_margin < 1.0:
            rule = "must lie between 0 and 1: a difference of errors, such as 0.005"
            raise InputError(f"median_margin (={self.median_margin}) {rule}")
        if not 0.5 < self.level < 1.0:
            raise InputError(f"level (={self.level}) must lie between 0.5 and 1, such as 0.95")

    @property
    def alpha(self) -> float:
        """The risk of a false claim that this comparison may take, at this look."""
        risk = (1.0 - self.level) / self.comparisons
        return risk if self.look is None else self.look.alpha(risk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One space's part: its errors in short (`inf` for a failure), and what speaks for it against the other.

    `lead` is the largest amount [share of networks] by which its EDF exceeds the other's, at the error `lead_at`; 0 and
    None where it never does. `effective_n` is below n where networks have weights.
    """

    name: str
    n: int
    num_failed: int
    median: float
    best_decile: float
    minimum: float
    finite_mean: float
    lead: float
    lead_at: float | None
    p_better: float
    p_somewhere_better: float
    p_not_worse: float
    effective_n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two sides, their differences (A minus B, in errors; None where a failure leaves none), and rough sizes.

    `median_interval` holds the true difference of medians: each limit errs with probability alpha at most.
    `score` is the rank test's, positive where A's errors are lower. `networks_to_decide`: per space, if the
    present EDFs are the true ones; None where no such figure is to be had. `networks_if_equal`: per space, to
    show that equal spaces are equivalent in their EDFs. `effects` are all differences with two-sided limits at this
    comparison's confidence, which a verdict adds. `normalised` says how complexity was made alike, None where it was
    not.
    """

    a: Side
    b: Side
    score: float
    median_difference: float | None
    median_interval: tuple[float, float]
    networks_to_decide: int | None
    networks_if_equal: int
    effects: tuple[Effect, ...] = ()
    normalised: Normalisation | None = None


def gather(
    a: EDF, b: EDF, names: tuple[str, str], criteria: Criteria, normalised: Normalisation | None = None
) -> Evidence:
    """Measure two EDFs against one another; where they were normalised, by the tests for weighted networks."""
    if normalised is None:
        steps = joint_steps(a.errors, b.errors)
        score, p_a_better, p_b_better = rank_test(a.errors, b.errors)
    else:
        steps = weighted_steps(a, b)
        score, p_a_better, p_b_better = weighted_rank_test(a, b)
    side_a = _side(names[0], a, steps, p_a_better, criteria.margin)
    side_b = _side(names[1], b, steps.swapped, p_b_better, criteria.margin)
    difference, lower, upper = quantile_difference(a, b, 0.5, 1.0 - criteria.alpha)
    if_equal = networks_if_equal(criteria.margin, criteria.alpha)
    # Plans are made in effective numbers, and told in networks of the present weights.
    each = max(a.n / a.effective_n, b.n / b.effective_n)
    to_decide = _networks_to_decide(steps, score, (lower, upper), if_equal, criteria)
    return Evidence(
        a=side_a,
        b=side_b,
        score=score,
        median_difference=difference if difference is not None and math.isfinite(difference) else None,
        median_interval=(lower, upper),
        networks_to_decide=None if to_decide is None else math.ceil(each * to_decide),
        networks_if_equal=math.ceil(each * if_equal),
        normalised=normalised,
    )


def without_claims(evidence: Evidence) -> Evidence:
    """Return the evidence of two spaces that cannot be compared: their own numbers, and nothing shown by them."""
    a, b = (replace(side, p_better=1.0, p_somewhere_better=1.0, p_not_worse=1.0) for side in (evidence.a, evidence.b))
    return replace(evidence, a=a, b=b, networks_to_decide=None)


def _side(name: str, edf: EDF, steps: JointSteps, p_better: float, margin: float) -> Side:
    lead = steps.lead
    index = int(np.argmax(lead)) if lead.size else -1
    leads = index >= 0 and lead[index] > 0.0
    return Side(
        name=name,
        n=edf.n,
        num_failed=edf.num_failed,
        median=edf.median,
        best_decile=edf.quantile(0.1),
        minimum=edf.minimum,
        finite_mean=edf.finite_mean,
        lead=float(lead[index]) if leads else 0.0,
        lead_at=float(steps.errors[index]) if leads else None,
        p_better=p_better,
        p_somewhere_better=somewhere_better_p_value(steps),
        p_not_worse=not_worse_p_value(steps, margin),
        effective_n=edf.effective_n,
    )


def _networks_to_decide(
    steps: JointSteps, score: float, interval: tuple[float, float], if_equal: int, criteria: Criteria
) -> int | None:
    """Return the smaller of what majorisation by the present leader and what equivalence would take."""
    if min(steps.n_a, steps.n_b) < fewest_networks(criteria.margin, criteria.alpha):
        return None
    leader = steps if score > 0.0 else steps.swapped
    sizes = [networks_to_majorise(leader, abs(score), criteria.margin, criteria.alpha)]
    if all(map(math.isfinite, interval)) and float(np.abs(steps.lead).max()) < criteria.margin:
        n = 2.0 / (1.0 / steps.n_a + 1.0 / steps.n_b)
        centre, half_width = sum(interval) / 2, (interval[1] - interval[0]) / 2
        for_median = networks_for_median(n, centre, half_width, criteria.median_margin, criteria.alpha)
        sizes.append(None if for_median is None else max(for_median, if_equal))
    smallest = min((size for size in sizes if size is not None), default=None)
    # Below what is there already, the figure says that the samples were unlucky, not what is missing; above
    # what anyone trains, that the difference is too small to speak of.
    return smallest if smallest is not None and min(steps.n_a, steps.n_b) < smallest <= MOST else None
