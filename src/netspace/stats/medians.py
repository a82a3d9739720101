"""How far apart two medians are, with an interval from order statistics alone.

No density is estimated and nothing is drawn: the interval is the same at every call, it holds for ties, and a
failed network (`inf`) is one more order statistic.
"""

import functools
import math

from scipy import stats

from netspace.stats.edf import FloatArray


def median_interval(errors: FloatArray, confidence: float) -> tuple[float, float]:
    """Return limits that each hold the median of the space, one-sidedly, with this confidence.

    `errors` (networks,) are sorted. Where too few networks are there, the limits are 0 and `inf`.
    Source: the sign test; David and Nagaraja 2003, section 7.1.
    """
    rank = _limit_rank(errors.size, confidence)
    if rank < 1:
        return 0.0, math.inf
    return float(errors[rank - 1]), float(errors[-rank])


def median_difference(a: FloatArray, b: FloatArray, confidence: float) -> tuple[float | None, float, float]:
    """Return median(A) - median(B) and limits that each hold the true one, one-sidedly, with this confidence.

    `a` and `b` (networks,) are sorted. Where one median is a failure the difference is `inf` or `-inf`; where
    both are there is none, and the limits are infinite: two failures are neither apart nor near.
    Source: the limits of both medians joined as independent (MOVER), Zou and Donner 2008.
    """
    median_a, median_b = float(a[(a.size - 1) // 2]), float(b[(b.size - 1) // 2])
    (low_a, high_a), (low_b, high_b) = median_interval(a, confidence), median_interval(b, confidence)
    if math.isfinite(median_a) and math.isfinite(median_b):
        difference = median_a - median_b
        below = math.hypot(median_a - low_a, high_b - median_b)
        above = math.hypot(high_a - median_a, median_b - low_b)
        return difference, difference - below, difference + above
    if math.isinf(median_a) and math.isinf(median_b):
        return None, -math.inf, math.inf
    lower = -math.inf if math.isinf(high_b) else low_a - high_b
    upper = math.inf if math.isinf(high_a) else high_a - low_b
    return median_a - median_b, lower, upper


@functools.lru_cache(maxsize=1024)
def _limit_rank(n: int, confidence: float) -> int:
    """Return the largest k for which P(fewer than k of n errors lie below the median) <= 1 - confidence."""
    return int(stats.binom.ppf(1.0 - confidence, n, 0.5))
