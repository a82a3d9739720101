"""How far apart two quantiles are, with limits from order statistics alone.

No density is estimated and nothing is drawn: the limits are the same at every call, they hold for ties, and a failed
network (`inf`) is one more order statistic. Where networks have weights, the effective number of them stands for n.
"""

import functools
import math

import scipy

from netspace.stats.edf import EDF


def quantile_interval(edf: EDF, share: float, confidence: float) -> tuple[float, float]:
    """Return limits that each hold the space's quantile at `share`, one-sidedly, with this confidence.

    Where too few networks are there, the lower limit is 0, below which no error lies, and the upper one `inf`.
    Source: the sign test; David and Nagaraja 2003, section 7.1; with weights, Woodruff 1952.
    """
    n = math.floor(edf.effective_n)
    low, high = _limit_ranks(n, share, confidence)
    return edf.quantile(low / n) if low >= 1 else 0.0, edf.quantile(high / n) if high <= n else math.inf


def quantile_difference(a: EDF, b: EDF, share: float, confidence: float) -> tuple[float | None, float, float]:
    """Return A's quantile less B's, and limits that each hold the true one, one-sidedly, with this confidence.

    Failures count as in `joined_limits`.

    >>> a, b = EDF(errors=[0.2, 0.3, 0.4]), EDF(errors=[0.1, 0.1, float("inf")])
    >>> quantile_difference(a, b, 0.5, 0.95)
    (0.19999999999999998, -inf, inf)
    """
    return joined_limits(
        (a.quantile(share), *quantile_interval(a, share, confidence)),
        (b.quantile(share), *quantile_interval(b, share, confidence)),
    )


def joined_limits(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float | None, float, float]:
    """Return the difference A - B of two quantiles with its limits, from each quantile with its own two.

    Where one of the two is a failure the difference is `inf` or `-inf`; where both are there is none, and the limits
    are infinite: two failures are neither apart nor near.
    Source: the limits of both joined as independent (MOVER), Zou and Donner 2008.
    """
    (at_a, low_a, high_a), (at_b, low_b, high_b) = a, b
    if math.isfinite(at_a) and math.isfinite(at_b):
        difference = at_a - at_b
        below = math.hypot(at_a - low_a, high_b - at_b)
        above = math.hypot(high_a - at_a, at_b - low_b)
        return difference, difference - below, difference + above
    if math.isinf(at_a) and math.isinf(at_b):
        return None, -math.inf, math.inf
    lower = -math.inf if math.isinf(high_b) else low_a - high_b
    upper = math.inf if math.isinf(high_a) else high_a - low_b
    return at_a - at_b, lower, upper


@functools.lru_cache(maxsize=4096)
def _limit_ranks(n: int, share: float, confidence: float) -> tuple[int, int]:
    """Return the ranks of the errors that limit a quantile: below 1, or above n, where there is none.

    The lower is the largest k with P(fewer than k of n errors are at most the quantile) <= 1 - confidence.
    """
    return int(scipy.stats.binom.ppf(1.0 - confidence, n, share)), int(scipy.stats.binom.ppf(confidence, n, share)) + 1
