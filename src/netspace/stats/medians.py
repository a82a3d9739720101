"""How far apart two medians are: the second margin of a verdict is about them."""

from netspace.stats.edf import EDF, FloatArray
from netspace.stats.quantiles import quantile_difference


def median_difference(a: FloatArray, b: FloatArray, confidence: float) -> tuple[float | None, float, float]:
    """Return median(A) - median(B) and limits that each hold the true one, one-sidedly, with this confidence.

    `a` and `b` (networks,) are errors. See `quantile_difference`.
    """
    return quantile_difference(EDF(errors=a), EDF(errors=b), 0.5, confidence)
