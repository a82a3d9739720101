"""How much of the errors' spread is chance: the same networks trained from several seeds; and an EDF without it.

All is reckoned in log-odds of the error, ln(e / (1 - e)): there chance is about as large for good networks as for bad
ones, where in errors it grows with them.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy import special

from netspace.errors import InputError
from netspace.stats.edf import EDF, FloatArray, checked_errors
from netspace.stats.estimate import Estimate, jackknife_half_width

FEWEST = 10
"""Networks with errors from every seed below which no split is told: simulated limits are too narrow on fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedNoise:
    """What trainings of the same networks from several seeds say; deviations are in log-odds of the error.

    `between` is the standard deviation of what networks have of their own, `seed` that of chance in one training, and
    `reliability` the share of a single training's variance that is the networks' own, which is also the correlation
    of two trainings. `failed` networks of all `networks` failed from some seed and are not in these; `sometimes` of
    them finished from another. `rank_repeat` is the rank correlation of two trainings, failures included as the
    worst; None where all errors of a seed are alike.
    """

    networks: int
    seeds: int
    failed: int
    sometimes: int
    between: float
    seed: Estimate
    reliability: Estimate
    rank_repeat: float | None

    def points(self, error: float) -> float:
        """Return the standard deviation of chance as an error in [0, 1], around an error: to first order."""
        return self.seed.value * error * (1.0 - error)


def seed_noise(replicates: ArrayLike, *, level: float = 0.95) -> SeedNoise | None:
    """Return how much of the spread of errors is chance, from errors (networks, seeds), `inf` for a failure.

    None where fewer than `FEWEST` networks finished from every seed, or all errors are alike.
    Raises: InputError for a single seed, or errors that cannot be.
    Source: one-way random effects, Searle et al. 1992, chapter 3; limits by the jackknife on the logarithm of the
    ratio of mean squares, which normal errors need not be for (Arvesen and Schmitz 1970).

    >>> rng = np.random.default_rng(0)
    >>> own = rng.normal(-3.0, 0.8, 60)
    >>> found = seed_noise(special.expit(own[:, None] + rng.normal(0.0, 0.4, (60, 3))))
    >>> round(found.reliability.value, 1), round(found.seed.value, 1)
    (0.8, 0.4)
    """
    given = np.asarray(replicates, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] < 2:
        raise InputError(f"replicates (shape {given.shape}) must be (networks, seeds) with at least two seeds")
    if not 0.0 < level < 1.0:
        raise InputError(f"level (={level}) must lie between 0 and 1, such as 0.95")
    if given.size == 0:
        return None
    checked = checked_errors(given.ravel(), "replicates").reshape(given.shape)
    finished = np.isfinite(checked)
    whole = finished.all(axis=1)
    if whole.sum() < FEWEST or np.unique(checked[whole]).size == 1:
        return None
    odds = log_odds(checked[whole].ravel()).reshape(-1, given.shape[1])
    n, seeds = odds.shape
    means, within = odds.mean(axis=1), odds.var(axis=1, ddof=1)
    above, below = seeds * float(means.var(ddof=1)), float(within.mean())
    above_without = seeds * _variances_without(means)
    below_without = (within.sum() - within) / (n - 1)
    return SeedNoise(
        networks=len(checked),
        seeds=seeds,
        failed=int((~whole).sum()),
        sometimes=int((~whole & finished.any(axis=1)).sum()),
        between=math.sqrt(max(above - below, 0.0) / seeds),
        seed=_root(below, below_without, level),
        reliability=_reliability(above, below, above_without, below_without, seeds, level),
        rank_repeat=_rank_repeat(checked),
    )


def without_noise(errors: ArrayLike, noise: SeedNoise) -> EDF | None:
    """Return the EDF that errors of single trainings would have without chance; failures stay what they are.

    The deviations of the log-odds from their mean are shrunk until their variance has lost the part of chance. That
    is exact where both the networks' own log-odds and chance are normal, and keeps the shape that is seen otherwise.
    None where fewer than `FEWEST` networks finished, or chance is as large as all of the spread.
    Raises: InputError for errors that cannot be.
    Source: Louis 1984 (estimates whose spread, not each of which, is right).
    """
    checked = checked_errors(errors, "errors")
    finished = np.isfinite(checked)
    if finished.sum() < FEWEST:
        return None
    odds = log_odds(checked[finished])
    kept = 1.0 - noise.seed.value**2 / max(float(odds.var(ddof=1)), 1e-300)
    if kept <= 0.0:
        return None
    checked[finished] = special.expit(odds.mean() + math.sqrt(kept) * (odds - odds.mean()))
    return EDF(errors=checked)


def log_odds(errors: FloatArray) -> FloatArray:
    """Return ln(e / (1 - e)) of finite errors (n,); 0 and 1 stand for half as near to them as the nearest other error.

    >>> log_odds(np.array([0.0, 0.02, 0.5])).round(2).tolist()
    [-4.6, -3.89, 0.0]
    """
    inner = errors[(errors > 0.0) & (errors < 1.0)]
    low = float(inner.min()) if inner.size else 0.5
    high = float(inner.max()) if inner.size else 0.5
    return np.asarray(special.logit(np.clip(errors, low / 2, (1.0 + high) / 2)))


def _variances_without(values: FloatArray) -> FloatArray:
    """Return the variance of the others, without each value: (n,)."""
    n = values.size
    squares = np.square(values - values.mean())
    return np.asarray((squares.sum() - squares * n / (n - 1)) / (n - 2))


def _root(value: float, without: FloatArray, level: float) -> Estimate:
    """Return the root of a mean square, with limits on its logarithm's scale."""
    if value == 0.0:
        return Estimate(value=0.0, low=0.0, high=0.0)
    factor = math.exp(jackknife_half_width(_logs(without), level) / 2.0)
    root = math.sqrt(value)
    return Estimate(value=root, low=root / factor, high=root * factor)


def _reliability(
    above: float, below: float, above_without: FloatArray, below_without: FloatArray, seeds: int, level: float
) -> Estimate:
    if below == 0.0:
        return Estimate(value=1.0, low=1.0, high=1.0)
    half = jackknife_half_width(_logs(above_without) - _logs(below_without), level)
    low, value, high = (
        max(ratio - 1.0, 0.0) / (ratio - 1.0 + seeds) for ratio in above / below * np.exp([-half, 0.0, half])
    )
    return Estimate(value=float(value), low=float(low), high=float(high))


def _logs(squares: FloatArray) -> FloatArray:
    """Return logarithms, those of 0 as of something tiny: one network may be all the difference there is."""
    return np.log(np.maximum(squares, 1e-12))


def _rank_repeat(errors: FloatArray) -> float | None:
    """Return the mean rank correlation of two seeds."""
    ranks = scipy.stats.rankdata(errors, axis=0)
    if (ranks == ranks[0]).all(axis=0).any():
        return None
    return float(
        np.mean([np.corrcoef(ranks[:, i], ranks[:, j])[0, 1] for i, j in combinations(range(ranks.shape[1]), 2)])
    )
