"""Whether a cheap measurement ranks networks like a dear one, beside the ceiling that chance sets.

Both measure the same networks. Only ranks are compared, so that a failed network (`inf`) is the worst, and no scale
matters.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from netspace.errors import InputError
from netspace.stats.edf import FloatArray, checked_errors
from netspace.stats.estimate import Estimate, jackknife_half_width

FEWEST = 20
"""Networks below which no correlation is told: its limits would be so far apart that they decide nothing."""

FEWEST_FOR_TOP = 50
"""Networks below which the best tenth is fewer than five, and a recall of it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How alike two measurements rank the same networks.

    `spearman` and `kendall` (tau-b) lie in [-1, 1]. `top_recall` is the share of the dear measurement's best tenth,
    `top` networks, that is in the cheap one's; None for fewer than `FEWEST_FOR_TOP` networks.
    """

    networks: int
    failed_cheap: int
    failed_dear: int
    spearman: Estimate
    kendall: Estimate
    top: int
    top_recall: Estimate | None

    @property
    def same_order(self) -> Estimate:
        """The share of pairs of networks that both put into the same order, a tie counting half."""
        tau = self.kendall
        return Estimate(value=(1 + tau.value) / 2, low=(1 + tau.low) / 2, high=(1 + tau.high) / 2)


def fidelity(
    cheap: ArrayLike, dear: ArrayLike, *, spaces: ArrayLike | None = None, level: float = 0.95
) -> Fidelity | None:
    """Return how alike two measurements rank networks; `cheap` and `dear` (networks,) in [0, 1], `inf` for a failure.

    With `spaces` (networks,), a label each, only networks of one space are ordered: that one space is better than
    another, which is easily seen, then says nothing of how its networks are ranked.

    None where there are fewer than `FEWEST` networks, or one measurement finds all of them alike.
    Raises: InputError for errors that cannot be, for unequal numbers of them, or a level outside (0, 1).
    Source: Kendall 1945 (tau-b); limits by the jackknife on Fisher's scale, and never narrower than those of normal
    measurements (Fieller, Hartley and Pearson 1957; Bonett and Wright 2000). Recall: Clopper and Pearson 1934.

    >>> cheap = np.linspace(0.1, 0.5, 60)
    >>> found = fidelity(cheap, cheap**2)
    >>> found.kendall.value, found.top_recall.value, found.kendall.low > 0.9
    (1.0, 1.0, True)
    """
    a, b = checked_errors(cheap, "cheap"), checked_errors(dear, "dear")
    if a.size != b.size:
        raise InputError(f"cheap holds {a.size} errors and dear {b.size}; both must measure the same networks")
    if not 0.0 < level < 1.0:
        raise InputError(f"level (={level}) must lie between 0 and 1, such as 0.95")
    n = a.size
    if n < FEWEST or np.unique(a).size == 1 or np.unique(b).size == 1:
        return None
    labels = np.zeros(n) if spaces is None else np.asarray(spaces)
    if labels.shape != (n,):
        raise InputError(f"spaces (shape {labels.shape}) must hold one label for each of the {n} networks")
    together = labels[None, :] == labels[:, None]
    signs_a, signs_b = _signs(a) * together, _signs(b) * together
    if not signs_a.any() or not signs_b.any():
        return None
    rho, rho_without = _spearman(signs_a, signs_b)
    tau, tau_without = _kendall(signs_a, signs_b)
    top = math.ceil(n / 10)
    return Fidelity(
        networks=n,
        failed_cheap=int(np.isinf(a).sum()),
        failed_dear=int(np.isinf(b).sum()),
        spearman=_correlation(rho, rho_without, math.sqrt((1 + rho * rho / 2) / (n - 3)), level),
        kendall=_correlation(tau, tau_without, math.sqrt(0.437 / (n - 4)), level),
        top=top,
        top_recall=_share(float(_in_top(a, top) @ _in_top(b, top)), top, level) if n >= FEWEST_FOR_TOP else None,
    )


def noise_ceiling(cheap_repeats: float, dear_repeats: float = 1.0) -> float:
    """Return the rank correlation that chance leaves possible, where both would rank alike but for it.

    Each argument is the correlation of two runs of one measurement from different seeds; 1 for one without noise, so
    that a measurement whose noise is not known makes the ceiling no lower. 0 where runs do not agree at all.
    Source: Spearman 1904, "correction for attenuation".

    >>> round(noise_ceiling(0.81), 2), round(noise_ceiling(0.81, 0.64), 2)
    (0.9, 0.72)
    """
    return math.sqrt(max(cheap_repeats, 0.0) * max(dear_repeats, 0.0))


def _signs(errors: FloatArray) -> FloatArray:
    """Return how each pair of networks is ordered: (networks, networks), 1, 0 or -1."""
    ranks = scipy.stats.rankdata(errors)
    return np.asarray(np.sign(ranks[None, :] - ranks[:, None]), dtype=np.float64)


def _kendall(a: FloatArray, b: FloatArray) -> tuple[float, FloatArray]:
    """Return tau-b, and without each network: (networks,)."""
    both, only_a, only_b = a * b, np.abs(a), np.abs(b)
    tau = both.sum() / math.sqrt(only_a.sum() * only_b.sum())
    left = [part.sum() - 2.0 * part.sum(axis=0) for part in (both, only_a, only_b)]
    return float(tau), _ratio(left[0], left[1] * left[2])


def _spearman(a: FloatArray, b: FloatArray) -> tuple[float, FloatArray]:
    """Return Spearman's correlation, and without each network: (networks,)."""
    whole_a, whole_b = a.sum(axis=0), b.sum(axis=0)  # twice the ranks, about their mean
    rho = whole_a @ whole_b / math.sqrt((whole_a @ whole_a) * (whole_b @ whole_b))
    # Without network i, the rank of each other one loses its comparison with i; row i is that sample.
    rest_a, rest_b = whole_a - a, whole_b - b
    np.fill_diagonal(rest_a, 0.0)
    np.fill_diagonal(rest_b, 0.0)
    covariance = (rest_a * rest_b).sum(axis=1)
    return float(rho), _ratio(covariance, np.square(rest_a).sum(axis=1) * np.square(rest_b).sum(axis=1))


def _ratio(covariance: FloatArray, variances: FloatArray) -> FloatArray:
    """Return correlations; 0 where one of the two no longer varies."""
    return np.divide(covariance, np.sqrt(variances), out=np.zeros_like(covariance), where=variances > 0.0)


def _correlation(value: float, without: FloatArray, normal: float, level: float) -> Estimate:
    """Return a correlation with limits: by the jackknife, and no narrower than `normal`, the deviation on z's scale."""
    n = without.size
    most = 1.0 - 2.0 / (n * (n - 1))  # as if half of one pair were out of order: a perfect sample is no perfect truth
    z, each = (np.arctanh(np.clip(x, -most, most)) for x in (value, without))
    half = max(jackknife_half_width(each, level), float(scipy.stats.norm.ppf((1.0 + level) / 2.0)) * normal)
    return Estimate(value=value, low=float(np.tanh(z - half)), high=max(float(np.tanh(z + half)), value))


def _in_top(errors: FloatArray, top: int) -> FloatArray:
    """Return the chance of each network to be among the `top` best, ties broken by lot: (networks,)."""
    cut = np.sort(errors)[top - 1]
    below, tied = errors < cut, errors == cut
    return np.asarray(below + tied * (top - below.sum()) / tied.sum(), dtype=np.float64)


def _share(hits: float, trials: int, level: float) -> Estimate:
    tail = (1.0 - level) / 2.0
    low = 0.0 if hits <= 0.0 else float(scipy.stats.beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits >= trials else float(scipy.stats.beta.ppf(1.0 - tail, hits + 1, trials - hits))
    return Estimate(value=hits / trials, low=low, high=high)
