"""Which values of a parameter the best networks have: a range for one population, a trend across budgets.

The range is the empirical bootstrap of the best value: draw a share of the networks with replacement, keep the value
of the best one, repeat. How often each network would be that best one is known in closed form, so that nothing is
drawn here: the limits are those of infinitely many repeats.
Source: Radosavovic et al. 2020, section 3 (25 % of the networks, 10^4 repeats, 95 % of the best values).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from netspace.errors import InputError
from netspace.stats.edf import FloatArray, checked_errors

SHARE = 0.25
LEVEL = 0.95

FEWEST = 10
"""Networks with an error below which no range is told: the best of so few may have any value."""

# Sums of chances may miss a limit by a rounding; a quantile must not jump a value for it.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class BestRange:
    """The best value of a parameter: median, and limits that hold the middle `level` of the bootstrap's values.

    `networks` have the parameter and a result, failures included; `holds` is the share of them that have a value
    within the limits. Where it is near 1, the best networks have no values of their own.
    """

    low: float
    median: float
    high: float
    networks: int
    holds: float
    share: float
    level: float


def best_range(
    parameter: ArrayLike, errors: ArrayLike, *, share: float = SHARE, level: float = LEVEL
) -> BestRange | None:
    """Return where the best value of a parameter lies; None where fewer than `FEWEST` networks have an error.

    `parameter` (networks,), NaN for a network that has no such parameter, which is left out; `errors` (networks,) in
    [0, 1], `inf` for a failure, which is drawn but never the best.
    Raises: InputError for values, errors, a share or a level that cannot be.

    >>> found = best_range(range(100), [abs(width - 60) / 100 for width in range(100)])
    >>> found.low, found.median, found.high
    (54.0, 60.0, 66.0)
    """
    values, checked = _checked(parameter, errors, share, level)
    if _too_few(checked):
        return None
    chances = best_chances(checked, share=share)
    risk = (1.0 - level) / 2.0
    low, median, high = _quantiles(values, chances, (risk, 0.5, 1.0 - risk))
    holds = float(np.mean((low <= values) & (values <= high)))
    return BestRange(low=low, median=median, high=high, networks=values.size, holds=holds, share=share, level=level)


def best_chances(errors: FloatArray, *, share: float = SHARE) -> FloatArray:
    """Return how likely each network is to be the best of `share` of them, drawn with replacement: (networks,).

    Of networks with equal errors each is as likely as the other. Draws that hold only failures have no best network
    and do not count; the chances sum to 1.

    >>> best_chances(np.array([0.3, 0.1, 0.3, np.inf]), share=0.5).round(3).tolist()
    [0.267, 0.467, 0.267, 0.0]
    """
    draws = max(round(share * errors.size), 1)
    _, group, sizes = np.unique(errors, return_inverse=True, return_counts=True)
    # The best is worse than the first r networks if all draws miss those r.
    missed = (1.0 - np.concatenate(([0], np.cumsum(sizes))) / errors.size) ** draws
    chances = ((missed[:-1] - missed[1:]) / sizes)[group]
    chances[np.isinf(errors)] = 0.0
    finite: FloatArray = chances / chances.sum()
    return finite


class Direction(StrEnum):
    """What a trend was shown to be."""

    RISING = "rising"
    FALLING = "falling"
    FLAT = "flat"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrend:
    """How the best value moves as the budget doubles: the median slope and its limits, per doubling."""

    direction: Direction
    slope: float
    low: float
    high: float
    budgets: tuple[float, ...]
    repeats: int


def best_trend(
    populations: Sequence[tuple[float, ArrayLike, ArrayLike]],
    *,
    flat_within: float | None = None,
    share: float = SHARE,
    level: float = LEVEL,
    repeats: int = 10_000,
    seed: int = 0,
) -> BestTrend | None:
    """Return how a parameter's best value moves with the budget; None where a population is too small for a range.

    Each population is its budget [multiply-adds, say], the parameter (networks,) and the errors (networks,), as for
    `best_range`. In each repeat every budget gives one best value, and a line is laid through them by least squares,
    over the logarithm of the budget. The trend is rising or falling where the limits of the slopes exclude 0, flat
    where they lie within `flat_within` [parameter's unit per doubling], and undecided otherwise.
    Raises: InputError for fewer than two budgets, and as `best_range` does.
    """
    budgets = np.array([budget for budget, _, _ in populations], dtype=np.float64)
    if np.unique(budgets).size < 2 or not (np.isfinite(budgets) & (budgets > 0.0)).all():
        raise InputError(f"budgets (={budgets.tolist()}) must be at least two different positive numbers")
    if flat_within is not None and not flat_within > 0.0:
        raise InputError(f"flat_within (={flat_within}) must be above 0: a slope too small to matter")
    if repeats < 1:
        raise InputError(f"repeats (={repeats}) must be at least 1")
    checked = [_checked(parameter, errors, share, level) for _, parameter, errors in populations]
    if any(_too_few(errors) for _, errors in checked):
        return None
    rng = np.random.default_rng(seed)
    best = [rng.choice(values, repeats, p=best_chances(errors, share=share)) for values, errors in checked]
    doublings = np.log2(budgets) - np.log2(budgets).mean()
    slopes = doublings @ np.stack(best) / np.square(doublings).sum()
    risk = (1.0 - level) / 2.0
    low, slope, high = (float(limit) for limit in np.quantile(slopes, (risk, 0.5, 1.0 - risk)))
    return BestTrend(
        direction=_direction(low, high, flat_within),
        slope=slope,
        low=low,
        high=high,
        budgets=tuple(budgets.tolist()),
        repeats=repeats,
    )


def _direction(low: float, high: float, flat_within: float | None) -> Direction:
    # A slope that does not matter is flat, however surely it is seen.
    if flat_within is not None and -flat_within < low and high < flat_within:
        return Direction.FLAT
    if low > 0.0:
        return Direction.RISING
    return Direction.FALLING if high < 0.0 else Direction.UNDECIDED


def _checked(parameter: ArrayLike, errors: ArrayLike, share: float, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the values and errors of the networks that have the parameter."""
    if not 0.0 < share <= 1.0:
        raise InputError(f"share (={share}) must be above 0 and at most 1, such as {SHARE}")
    if not 0.5 <= level < 1.0:
        raise InputError(f"level (={level}) must be at least 0.5 and below 1, such as {LEVEL}")
    checked = checked_errors(errors, "errors")
    values = np.asarray(parameter, dtype=np.float64)
    if values.shape != checked.shape:
        raise InputError(f"parameter (shape {values.shape}) must hold one value for each of the {checked.size} errors")
    if np.isinf(values).any():
        raise InputError("parameter holds an infinite value; a network without the parameter has NaN")
    has = ~np.isnan(values)
    return values[has], checked[has]


def _too_few(errors: FloatArray) -> bool:
    return int(np.isfinite(errors).sum()) < FEWEST


def _quantiles(values: FloatArray, chances: FloatArray, shares: Sequence[float]) -> list[float]:
    """Return the smallest value whose chances and those of all below it reach each share."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(chances[order])
    reached[-1] = 1.0
    places = np.searchsorted(reached, np.asarray(shares) - _ROUNDING, side="left")
    return [float(value) for value in values[order][places]]
