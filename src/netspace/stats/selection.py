"""What the error of the best of many networks is worth: limits, which others may be the best, what to expect again.

Whoever picks the lowest of n measured errors picks luck too, the more the larger n.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, optimize, special

from netspace.errors import InputError
from netspace.stats.edf import FloatArray, checked_errors
from netspace.stats.noise import FEWEST, SeedNoise, log_odds


def error_limits(
    errors: ArrayLike, images: float, *, level: float = 0.95, together: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest true error that go with each measured one: two arrays (networks,).

    `images` judged each network. With `together` networks the limits hold for all of them at once (Bonferroni), and
    so for whichever of them was picked. Limits of a failure are `inf`.
    Raises: InputError for errors or a level that cannot be, and fewer than one image.
    Source: Clopper and Pearson 1934; exact for a share of images.

    >>> low, high = error_limits([0.0, 0.1], 100)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.049], [0.036, 0.176])
    """
    checked = checked_errors(errors, "errors")
    _check(level)
    if not images >= 1:
        raise InputError(f"images (={images}) must be at least 1")
    if together < 1:
        raise InputError(f"together (={together}) must be at least 1")
    tail = (1.0 - level) / 2.0 / together
    wrong = np.where(np.isfinite(checked), checked, 0.0) * images
    right = images - wrong
    low, high = np.zeros_like(checked), np.ones_like(checked)
    some = wrong > 0.0
    low[some] = special.betaincinv(wrong[some], right[some] + 1.0, tail)
    some = right > 0.0
    high[some] = special.betaincinv(wrong[some] + 1.0, right[some], 1.0 - tail)
    failed = np.isinf(checked)
    low[failed] = high[failed] = math.inf
    return low, high


def may_be_best(
    errors: ArrayLike, *, noise: SeedNoise | None = None, images: float | None = None, level: float = 0.95
) -> NDArray[np.bool_]:
    """Return which networks cannot be told apart from the best: (networks,); the true best is among them at `level`.

    Chance is that between trainings where `noise` is known, alike in log-odds of the error. Otherwise it is that of
    `images` alone, alike in arcsines of the root of the error, as if each network had been judged by images of its
    own. Failures are not among them.
    Raises: InputError for errors or a level that cannot be, neither noise nor images, and nothing but failures.
    Source: Gupta 1965 (a subset that holds the best); Hsu 1981 (as comparisons with the best).

    >>> may_be_best([0.10, 0.11, 0.16, float("inf")], images=1000).tolist()
    [True, True, False, False]
    """
    checked = checked_errors(errors, "errors")
    finished = np.isfinite(checked)
    if not finished.any():
        raise InputError("errors must hold at least one of a network that finished, and all failed")
    if noise is not None:
        scale: Callable[[FloatArray], FloatArray] = log_odds
        deviation = noise.seed.value
    elif images is not None and images >= 1:
        scale, deviation = _arcsines, 1.0 / math.sqrt(images)
    else:
        raise InputError(f"images (={images}) must be at least 1 where the noise between trainings is not known")
    scores = np.full(checked.size, math.inf)
    scores[finished] = scale(checked[finished])
    return np.asarray(scores <= scores.min() + reach_of_best(checked.size, level) * deviation)


@functools.lru_cache(maxsize=64)
def reach_of_best(n: int, level: float = 0.95) -> float:
    """Return by how many deviations of chance the true best of n may lie above the lowest of n measured scores.

    P(X_1, ..., X_(n-1) >= X_0 - reach) = level for independent normal X of deviation 1 and one mean, the worst case.
    Raises: InputError unless n >= 1 and 0 < level < 1.

    >>> [round(reach_of_best(n), 2) for n in (1, 2, 10, 100)]
    [0.0, 2.33, 3.42, 4.31]
    """
    _check(level)
    if n < 1:
        raise InputError(f"n (={n}) must be at least 1")
    if n == 1:
        return 0.0

    def chance(reach: float) -> float:
        """Return how probable it is that the best lies within a reach."""
        found, _ = integrate.quad(
            lambda z: math.exp((n - 1) * special.log_ndtr(z + reach) - z * z / 2.0) / math.sqrt(2.0 * math.pi),
            -12.0,
            12.0,
            limit=200,
        )
        return float(found)

    return float(optimize.brentq(lambda reach: chance(reach) - level, -12.0, 24.0, xtol=1e-9))


def expected_again(errors: ArrayLike, noise: SeedNoise) -> FloatArray | None:
    """Return the error that each network is expected to have when it is trained from another seed: (networks,).

    The log-odds of the errors are drawn towards their mean by the share of their variance that is chance; so the
    lowest errors rise, which is what being picked for them owes to luck. Failures stay `inf`. None where fewer than
    `FEWEST` networks finished.
    Raises: InputError for errors that cannot be.
    Source: the linear predictor with the least squared error, Robinson 1991; immune to selection, Efron 2011.
    """
    checked = checked_errors(errors, "errors")
    finished = np.isfinite(checked)
    if finished.sum() < FEWEST:
        return None
    odds = log_odds(checked[finished])
    own = max(0.0, 1.0 - noise.seed.value**2 / max(float(odds.var(ddof=1)), 1e-300))
    checked[finished] = special.expit(odds.mean() + own * (odds - odds.mean()))
    return checked


def _arcsines(errors: FloatArray) -> FloatArray:
    """Return 2 arcsin(sqrt(e)), whose standard deviation is 1 / sqrt(images) whatever the error."""
    return np.asarray(2.0 * np.arcsin(np.sqrt(errors)))


def _check(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputError(f"level (={level}) must lie between 0 and 1, such as 0.95")
