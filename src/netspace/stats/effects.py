"""By how much two spaces differ: in the mean, the median, the best tenth, the best of a few and the minimum.

Each difference has two-sided limits by the method that needs the least for it. Quantiles, the median and the best tenth
among them, have limits from order statistics, in which a failure is the worst error. The mean is that of the errors
there are, with Welch's limits. The minimum of a space is bounded by the best network found, from above only: whatever n
is, networks too rare for the sample may be better than all of it. So the limits of a difference of minima are sure, and
wide. What a sample can say besides is how good the best of a *few* networks is: the median of that is a quantile again,
and the few are as many as leave it two limits.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from netspace.stats.edf import EDF
from netspace.stats.quantiles import quantile_difference

OF_MINIMUM = "limits are sure but wide: either space may hold better networks, too rare for any sample to show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A quantity `of` the errors of both spaces, and their difference, A minus B.

    `a` and `b` are `inf` for failures, and then the difference is None. Both limits together hold the true difference
    with probability `confidence`; they are infinite where none is to be had, and `note` may say why.
    """

    of: str
    a: float
    b: float
    difference: float | None
    low: float
    high: float
    confidence: float
    note: str = ""


def effects(a: EDF, b: EDF, confidence: float) -> tuple[Effect, ...]:
    """Return how A differs from B in the mean of what did not fail, in three quantiles, and in the minimum.

    The best of a few networks is left out where there are too few for it.

    >>> found = effects(EDF(errors=np.linspace(0.1, 0.3, 100)), EDF(errors=np.linspace(0.2, 0.4, 100)), 0.95)
    >>> [(effect.of, round(effect.low, 3), round(effect.high, 3)) for effect in found[:2]]
    [('mean', -0.116, -0.084), ('median', -0.13, -0.07)]
    """
    found = [_mean(a, b, confidence), _quantile("median", 0.5, a, b, confidence)]
    found.append(_quantile("best tenth", 0.1, a, b, confidence))
    few = best_of_how_many(min(a.effective_n, b.effective_n), confidence)
    if few >= 2:
        found.append(_quantile(f"best of {few}", 1.0 - 0.5 ** (1.0 / few), a, b, confidence))
    # A minimum lies between 0 and the best network found, which is one of the space's.
    found.append(_effect("minimum", a.minimum, b.minimum, (-b.minimum, a.minimum), confidence, OF_MINIMUM))
    return tuple(found)


def best_of_how_many(n: float, confidence: float) -> int:
    """Return the largest k for which the median of the best of k networks has two limits, from n networks.

    That median is the quantile which a network undercuts with probability q, where (1 - q)^k = 1/2; below the smallest
    of n errors it lies with probability (1 - q)^n, which may be half of 1 - `confidence`.

    >>> [best_of_how_many(n, 0.95) for n in (32, 100, 500)]
    [6, 18, 93]
    """
    return math.floor(n * math.log(2.0) / math.log(2.0 / (1.0 - confidence)))


def _quantile(of: str, share: float, a: EDF, b: EDF, confidence: float) -> Effect:
    each = (1.0 + confidence) / 2.0
    _, low, high = quantile_difference(a, b, share, each)
    return _effect(of, a.quantile(share), b.quantile(share), (low, high), confidence)


def _mean(a: EDF, b: EDF, confidence: float) -> Effect:
    """Return the difference of the means of the finite errors. Source: Welch 1947."""
    (mean_a, variance_a, n_a), (mean_b, variance_b, n_b) = _moments(a), _moments(b)
    limits, note = (-math.inf, math.inf), ""
    failed = "; failures do not count here" if a.num_failed or b.num_failed else ""
    if min(n_a, n_b) < 2.0 or variance_a + variance_b == 0.0:
        note = "none: errors that all are equal, or single, do not show how they spread"
    else:
        variance = variance_a + variance_b
        share = variance_a / variance
        freedom = 1.0 / (share**2 / (n_a - 1.0) + (1.0 - share) ** 2 / (n_b - 1.0))
        reach = float(special.stdtrit(freedom, (1.0 + confidence) / 2.0)) * math.sqrt(variance)
        limits = (mean_a - mean_b - reach, mean_a - mean_b + reach)
    return _effect("mean", mean_a, mean_b, limits, confidence, note + failed if note else failed[2:])


def _moments(edf: EDF) -> tuple[float, float, float]:
    """Return the mean of the finite errors, the variance of that mean, and the (effective) number of them."""
    finite = np.isfinite(edf.errors)
    errors = edf.errors[finite]
    if not errors.size:
        return math.inf, 0.0, 0.0
    weights = np.full(errors.size, 1.0 / errors.size)
    if edf.weights is not None:
        weights = edf.weights[finite] / edf.weights[finite].sum()
    n = float(1.0 / np.square(weights).sum())
    mean = float(weights @ errors)
    if n < 2.0 or errors[0] == errors[-1]:
        return mean, 0.0, n
    return mean, float(np.square(weights * (errors - mean)).sum()) * n / (n - 1.0), n


def _effect(of: str, a: float, b: float, limits: tuple[float, float], confidence: float, note: str = "") -> Effect:
    difference = a - b if math.isfinite(a) and math.isfinite(b) else None
    return Effect(
        of=of, a=a, b=b, difference=difference, low=limits[0], high=limits[1], confidence=confidence, note=note
    )
