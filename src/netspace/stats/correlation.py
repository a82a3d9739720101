"""Whether two numbers of a network go together, by ranks alone."""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy import special

from netspace.errors import InputError

FEWEST = 10
"""Pairs below which no correlation is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Spearman's correlation, from -1 to 1, with limits at 95 % and the two-sided p-value of none."""

    value: float
    low: float
    high: float
    p_value: float
    n: int


def rank_correlation(x: ArrayLike, y: ArrayLike) -> RankCorrelation | None:
    """Return how two columns (networks,) go together; None for fewer than `FEWEST`, or a column that is all equal.

    Both may hold `inf`, which ranks above everything; ties share the middle of their ranks.
    Raises: InputError for a NaN, or columns of different lengths.
    Source: Spearman 1904; limits by Fisher's z with the variance of Bonett and Wright 2000.

    >>> found = rank_correlation(range(30), [value % 10 + value / 3 for value in range(30)])
    >>> round(found.value, 2), round(found.low, 2), round(found.high, 2), found.p_value < 0.001
    (0.8, 0.58, 0.91, True)
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(f"x (shape {first.shape}) and y (shape {second.shape}) must hold a number per network each")
    if np.isnan(first).any() or np.isnan(second).any():
        raise InputError("x and y must be numbers; one of them holds a NaN")
    n = first.size
    if n < FEWEST or np.unique(first).size == 1 or np.unique(second).size == 1:
        return None
    value = float(np.corrcoef(scipy.stats.rankdata(first), scipy.stats.rankdata(second))[0, 1])
    # At 1 exactly z would be infinite.
    value = min(max(value, -1.0), 1.0)
    z = math.atanh(min(max(value, -1.0 + 1e-12), 1.0 - 1e-12))
    reach = float(special.ndtri(0.975)) * math.sqrt((1.0 + value**2 / 2.0) / (n - 3.0))
    t = abs(value) * math.sqrt((n - 2.0) / max(1.0 - value**2, 1e-300))
    p_value = min(1.0, 2.0 * float(special.stdtr(n - 2.0, -t)))
    return RankCorrelation(value=value, low=math.tanh(z - reach), high=math.tanh(z + reach), p_value=p_value, n=n)
