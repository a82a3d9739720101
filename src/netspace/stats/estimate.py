"""A number with its limits, and limits from leaving out one network at a time."""

import math
from dataclasses import dataclass

import scipy

from netspace.stats.edf import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, and the limits between which the true one lies with the confidence that was asked for."""

    value: float
    low: float
    high: float


def jackknife_half_width(leave_one_out: FloatArray, level: float) -> float:
    """Return half the width of an interval around a statistic, from its values without each network: (networks,).

    The statistic should be on a scale on which it varies evenly, such as a correlation's inverse hyperbolic tangent.
    Nothing is assumed of the distribution of the networks. Source: Tukey 1958; Miller 1974.
    """
    n = leave_one_out.size
    spread = float(leave_one_out.std(ddof=0)) * math.sqrt(n - 1)
    return float(scipy.stats.t.ppf((1.0 + level) / 2.0, n - 1)) * spread
