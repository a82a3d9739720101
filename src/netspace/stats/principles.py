"""What it costs to break a relation between stages, by two routes.

Within a space in which some networks obey it: do networks that break it at more steps have larger errors than those of
like complexity that break it at fewer? Between two spaces, one of which holds it and the other violates it: how far
apart are their distributions?
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netspace.errors import InputError
from netspace.stats.dominance import joint_steps, somewhere_better_p_value
from netspace.stats.edf import EDF, FloatArray, checked_errors
from netspace.stats.importance import IntArray, checked_complexity, strata_of
from netspace.stats.quantiles import quantile_difference

FEWEST = 10
"""Networks on either side below which nothing is told."""

LEVEL = 0.95
NOTHING = "nothing shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """By how much the error rises where a relation is broken, with limits at 95 % and the two-sided p-value.

    `rise` and its limits are infinite where failures decide them.
    """

    rise: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far the errors of a space that violates a relation lie from those of the one that holds it.

    `median` says the difference of the medians (None between failures). `lead` is the largest difference of the EDFs
    [share of networks], positive where the space that holds the relation is ahead, and `p_value` that of `lead`.
    """

    median: float | None
    low: float
    high: float
    lead: float
    p_value: float


def cost_per_step(
    broken: ArrayLike,
    errors: ArrayLike,
    complexity: ArrayLike,
    blocks: ArrayLike | None = None,
    *,
    repeats: int = 4000,
    seed: int = 0,
) -> Cost | None:
    """Return by how much the error rises with each step at which a relation is broken; None with too few networks.

    `broken` (networks,) counts the steps from a stage to the next, or is 0 and 1; `errors` and `complexity` as for
    `forest_importance`; `blocks` (networks,) are whole numbers that say of which space each network is. Compared are
    all pairs of networks of one space and one stratum of complexity that differ in `broken`. The rise is the median
    slope of those pairs; what it would be by chance follows from exchanging errors within strata. Too few are less
    than `FEWEST` networks that break it at more steps, or at fewer, than another one of their stratum.
    Raises: InputError for arrays that cannot be.
    Source: Theil 1950 and Sen 1968; for 0 and 1 this is the shift of Hodges and Lehmann 1963.

    >>> widths_fall = np.tile([0, 1, 2, 3], 10)
    >>> found = cost_per_step(widths_fall, 0.1 + 0.02 * widths_fall, np.repeat(range(10), 4))
    >>> round(found.rise, 3), found.p_value < 0.001
    (0.02, True)
    """
    checked = checked_errors(errors, "errors")
    steps = np.asarray(broken, dtype=np.float64)
    if steps.shape != checked.shape or not np.isfinite(steps).all():
        raise InputError(f"broken (shape {steps.shape}) must hold a number for each of the {checked.size} errors")
    if repeats < 100:
        raise InputError(f"repeats (={repeats}) must be at least 100")
    measure = checked_complexity(complexity, checked.size)
    stratum = _strata(measure, blocks)
    more, fewer = _pairs(steps, stratum)
    if min(np.unique(more).size, np.unique(fewer).size) < FEWEST:
        return None
    slopes = np.sort(_rises(checked, more, fewer) / (steps[more] - steps[fewer]))
    score = np.sign(slopes).sum()
    by_chance = _by_chance(checked, steps, stratum, repeats, np.random.default_rng(seed))
    p_value = float(1 + np.count_nonzero(np.abs(by_chance) >= abs(score))) / (1 + repeats)
    # The limits are the slopes that a test at this level would just not refuse.
    reach = float(np.quantile(np.abs(by_chance), LEVEL))
    place = int((slopes.size - reach) // 2)
    low, high = (-np.inf, np.inf) if place < 1 else (slopes[place - 1], slopes[-place])
    middle = slopes[[(slopes.size - 1) // 2, slopes.size // 2]]
    rise = middle.mean() if np.isfinite(middle).all() else middle[0]
    return Cost(rise=float(rise), low=float(low), high=float(high), p_value=p_value)


def shift(holds: ArrayLike, violates: ArrayLike) -> Shift | None:
    """Return how far the errors (networks,) of two spaces are apart; None with fewer than `FEWEST` networks of one.

    The p-value is twice the smaller of the one-sided Kolmogorov-Smirnov tests. Raises: InputError.

    >>> found = shift([0.01 * i for i in range(20)], [0.055 + 0.01 * i for i in range(20)])
    >>> round(found.median, 3), round(found.lead, 3), found.p_value > 0.05
    (0.055, 0.3, True)
    """
    a, b = np.sort(checked_errors(holds, "holds")), np.sort(checked_errors(violates, "violates"))
    if min(a.size, b.size) < FEWEST:
        return None
    median, low, high = quantile_difference(EDF(errors=b), EDF(errors=a), 0.5, (1.0 + LEVEL) / 2.0)
    steps = joint_steps(a, b)
    lead = float(steps.lead[np.argmax(np.abs(steps.lead))]) if steps.lead.size else 0.0
    p_value = min(1.0, 2.0 * min(somewhere_better_p_value(steps), somewhere_better_p_value(steps.swapped)))
    return Shift(median=median, low=low, high=high, lead=lead, p_value=p_value)


def two_routes(within: Cost | None, between: Shift | None) -> str:
    """Say whether breaking a relation was shown to cost anything by both routes, and where they disagree.

    >>> two_routes(Cost(rise=0.01, low=0.0, high=0.02, p_value=0.04), None)
    'within alone: it costs'
    """
    found = {}
    if within is not None:
        found["within"] = _shown(within.rise, within.p_value)
    if between is not None:
        found["between"] = _shown(between.lead, between.p_value)
    if not found:
        return "not enough data"
    if len(found) == 1:
        ((route, shown),) = found.items()
        return f"{route} alone: {shown}"
    if found["within"] == found["between"]:
        return f"agree: {found['within']}" if found["within"] != NOTHING else "neither shows anything"
    surely = [route for route, shown in found.items() if shown != NOTHING]
    if len(surely) == 1:
        return f"only {surely[0]} shows: {found[surely[0]]}"
    return f"disagree: within {found['within']}, between {found['between']}"


def _shown(direction: float, p_value: float) -> str:
    if p_value > 1.0 - LEVEL or direction == 0.0:
        return NOTHING
    return "it costs" if direction > 0.0 else "it helps"


def _strata(complexity: FloatArray, blocks: ArrayLike | None) -> IntArray:
    """Return the stratum of each network; those of each block are its own."""
    block = np.zeros(complexity.size, dtype=np.int64) if blocks is None else np.asarray(blocks)
    if block.shape != complexity.shape:
        raise InputError(f"blocks (shape {block.shape}) must hold a number for each of the {complexity.size} errors")
    stratum = np.zeros(complexity.size, dtype=np.int64)
    after = 0
    for one in np.unique(block):
        members = np.flatnonzero(block == one)
        stratum[members] = after + strata_of(complexity[members])
        after = int(stratum[members].max()) + 1
    return stratum


def _pairs(steps: FloatArray, stratum: IntArray) -> tuple[IntArray, IntArray]:
    """Return all pairs of a stratum of which one network breaks more steps than the other: two arrays (pairs,)."""
    more, fewer = np.nonzero((steps[:, None] > steps) & (stratum[:, None] == stratum))
    return more, fewer


def _rises(errors: FloatArray, more: IntArray, fewer: IntArray) -> FloatArray:
    """Return the differences of errors of pairs; two failures are no difference."""
    with np.errstate(invalid="ignore"):
        rises = errors[more] - errors[fewer]
    rises[np.isnan(rises)] = 0.0
    return rises


def _by_chance(
    errors: FloatArray, steps: FloatArray, stratum: IntArray, repeats: int, rng: np.random.Generator
) -> FloatArray:
    """Return rises less falls among all pairs (repeats,), when errors are exchanged within strata."""
    scores = np.zeros(repeats)
    for one in range(int(stratum.max()) + 1):
        members = np.flatnonzero(stratum == one)
        more, fewer = np.nonzero(steps[members][:, None] > steps[members])
        _, ranks = np.unique(errors[members], return_inverse=True)
        drawn: NDArray[np.int64] = rng.permuted(np.tile(ranks, (repeats, 1)), axis=1)
        scores += np.sign(drawn[:, more] - drawn[:, fewer]).sum(axis=1)
    return scores
