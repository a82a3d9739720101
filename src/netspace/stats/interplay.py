"""Whether groups of parameters act independently: how much of what they explain is their interplay.

The errors are taken as a smooth function of each group (of all depths together, of all widths, ...), plus a smooth
interplay of pairs of groups, plus noise: three kinds of Gaussian processes, whose variances are estimated by
restricted maximum likelihood. The share of the interplay in what is explained has the limits of its likelihood profile.
Small populations do for it, where trees and other general models need thousands of networks to see an interplay.
Source: Patterson and Thompson 1971 (restricted likelihood); Durrande et al. 2013 (centred kernels for main effects and
interactions); the share as in the variance components of quantitative genetics (Lynch and Walsh 1998, chapter 27).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy import linalg, optimize, special
from threadpoolctl import threadpool_limits

from netspace.errors import InputError
from netspace.stats.columns import checked_columns
from netspace.stats.edf import FloatArray, checked_errors
from netspace.stats.estimate import Estimate

FEWEST = 48
"""Networks below which nothing is told: simulated limits then reach from nothing to nearly everything."""

MOST = 300
"""Networks that are looked at, the first ones: more take minutes, and move the limits little."""

REACH = 0.4
"""How far a smooth effect reaches, in ranks of a parameter from 0 to 1."""

SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The shares of interplay at which the likelihood is asked; limits are widened to the next of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interplay:
    """`share` of the explained spread is interplay of groups; `explained` of all spread is explained, noise the rest.

    `networks` were looked at. `losses` are the negative logarithms of the likelihood at each of `SHARES`.
    """

    networks: int
    share: Estimate
    explained: float
    losses: tuple[float, ...]


def interplay(groups: Mapping[str, ArrayLike], errors: ArrayLike, *, level: float = 0.95) -> Interplay | None:
    """Return how much of what groups of parameters explain of the errors is their interplay.

    `groups` are columns (networks,) or (networks, parameters), NaN for a network without the parameter, which counts
    as a value of its own; `errors` (networks,) in [0, 1], `inf` for a failure. Columns stand for their ranks and
    errors for normal scores of theirs, ties sharing one: a scale on which errors are spread normally, and on which
    a failure is the worst and not infinitely far.
    None where there are fewer than `FEWEST` networks, all errors are equal, or fewer than two groups vary.
    Raises: InputError for columns, errors or a level that cannot be.

    >>> rng = np.random.default_rng(0)
    >>> depth, width = rng.random(80), rng.random(80)
    >>> errors = (depth**2 + width) / 4 + 0.05 * rng.random(80)
    >>> found = interplay({"depth": depth, "width": width}, errors)
    >>> found.share.value <= 0.05, found.explained > 0.8
    (True, True)
    """
    checked = checked_errors(errors, "errors")
    columns = checked_columns(groups, checked.size)
    if not 0.0 < level < 1.0:
        raise InputError(f"level (={level}) must lie between 0 and 1, such as 0.95")
    n = min(checked.size, MOST)
    kept = [part[:n] for part in columns.values()]
    varying = [part for part in kept if np.any(part != part[0])]
    if n < FEWEST or np.unique(checked[:n]).size == 1 or len(varying) < 2:
        return None
    scores = special.ndtri((scipy.stats.rankdata(checked[:n]) - 0.5) / n)
    scores = (scores - scores.mean()) / scores.std()
    kernels = _kernels(varying)
    # From one share to the next the other variances change little, so that each fit begins at the last one.
    variances = np.log(np.full(len(kernels), 0.5 / (len(kernels) - 1)))
    losses = np.zeros(len(SHARES))
    fits = []
    with threadpool_limits(limits=1, user_api="blas"):  # beside a study, threads that wait for one another take minutes
        for i, share in enumerate(SHARES):
            losses[i], variances = _fitted(scores, kernels, share, variances)
            fits.append(variances)
    best = fits[int(losses.argmin())]
    explained, noise = math.fsum(np.exp(best[:-1])), math.exp(best[-1])
    return Interplay(
        networks=n,
        share=_most_likely(losses, level),
        explained=explained / (explained + noise),
        losses=tuple(losses.tolist()),
    )


def common_interplay(found: Sequence[Interplay], *, level: float = 0.95) -> Estimate:
    """Return the share of interplay that several populations of different networks have in common.

    Their likelihoods are multiplied, as if the share were the same in all. Raises: InputError for none.
    """
    if not found:
        raise InputError("found must hold the interplay of at least one population")
    return _most_likely(np.sum([one.losses for one in found], axis=0), level)


def _most_likely(losses: FloatArray, level: float) -> Estimate:
    """Return the most likely of `SHARES`, with the limits of the likelihood's profile."""
    inside = np.flatnonzero(losses - losses.min() <= scipy.stats.chi2.ppf(level, 1) / 2.0)
    low, high = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, len(SHARES) - 1)
    return Estimate(value=SHARES[int(losses.argmin())], low=SHARES[low], high=SHARES[high])


def _kernels(groups: list[FloatArray]) -> FloatArray:
    """Return how alike networks are in each group, and in the interplay of pairs: (groups + 1, networks, networks)."""
    mains = []
    for columns in groups:
        ranks = scipy.stats.rankdata(columns, axis=0) / len(columns)
        apart = np.square(ranks[:, None] - ranks[None]).mean(axis=2)
        mains.append(_centred(np.exp(-apart / (2.0 * REACH**2))))
    pairs = sum(one * other for one, other in itertools.combinations(mains, 2))
    return np.stack([*mains, _centred(np.asarray(pairs))])


def _centred(kernel: FloatArray) -> FloatArray:
    """Return a kernel whose functions have the mean 0 over the networks, and the expected variance 1."""
    centred = kernel - kernel.mean(axis=0)
    centred -= centred.mean(axis=1)[:, None]
    return np.asarray(centred * (len(kernel) - 1) / np.trace(centred))


def _fitted(scores: FloatArray, kernels: FloatArray, share: float, start: FloatArray) -> tuple[float, FloatArray]:
    """Return the negative logarithm of the restricted likelihood at its best with this share, and where that is.

    What is fitted are the logarithms of the variances of each group (with its part in the interplay) and of the noise.
    """
    mains, pairs = kernels[:-1], kernels[-1]
    mixed = (1.0 - share) * mains + share * pairs

    def loss(logs: FloatArray) -> tuple[float, FloatArray]:
        weights = np.exp(logs)
        covariance = np.tensordot(weights[:-1], mixed, 1)
        covariance[np.diag_indices_from(covariance)] += weights[-1]
        factor = np.linalg.cholesky(covariance)
        inverse = linalg.cho_solve((factor, True), np.eye(len(scores)))
        sums = inverse.sum(axis=1)
        inverse -= np.outer(sums, sums) / sums.sum()  # the mean is not known
        solved = inverse @ scores
        logdet = 2.0 * np.log(np.diag(factor)).sum() + math.log(sums.sum())
        slopes = [np.vdot(inverse, one) - solved @ one @ solved for one in mixed]
        slopes.append(np.trace(inverse) - solved @ solved)
        return 0.5 * (logdet + float(scores @ solved)), 0.5 * np.array(slopes) * weights

    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-9.0, 3.0)] * start.size)
    return float(found.fun), found.x
