"""The tests of a verdict where networks have weights, as those of a survey do.

What `dominance` counts among n networks is, with weights, a share of the effective number of them. The ranks are those
among all networks in their weights, and their spread is the one that the weights leave.
"""

import math

import numpy as np
from scipy import special

from netspace.stats.dominance import JointSteps
from netspace.stats.edf import EDF, FloatArray


def weighted_steps(a: EDF, b: EDF) -> JointSteps:
    """Return two weighted EDFs on their common steps, as counts of their effective numbers of networks.

    Source: Kish 1965, section 11.7 (effective numbers), as used for shares by Korn and Graubard 1998.
    """
    both = np.concatenate((a.errors, b.errors))
    points = np.unique(both[np.isfinite(both)])
    n_a, n_b = a.effective_n, b.effective_n
    return JointSteps(errors=points, counts_a=a(points) * n_a, counts_b=b(points) * n_b, n_a=n_a, n_b=n_b)


def weighted_rank_test(a: EDF, b: EDF) -> tuple[float, float, float]:
    """Test the nulls "A is nowhere better" and "B is nowhere better" by the ranks of weighted networks.

    Returns what `rank_test` does, and for equal n and weights the same but for its correction for steps. A network's
    rank is the middle between the shares below it and up to it, averaged over both EDFs.
    Source: Lumley and Scott 2013, "Two-sample rank tests under complex sampling".
    """
    ranks_a, ranks_b = (0.5 * (_middle(a, edf.errors) + _middle(b, edf.errors)) for edf in (a, b))
    weights_a, weights_b = _weights(a), _weights(b)
    difference = float(weights_b @ ranks_b - weights_a @ ranks_a)
    spread = float(np.square(weights_a * (ranks_a - 0.5)).sum() + np.square(weights_b * (ranks_b - 0.5)).sum())
    if spread == 0.0:
        return 0.0, 1.0, 1.0
    n = a.effective_n + b.effective_n
    score = difference / math.sqrt(spread * n / (n - 1.0))
    return score, float(special.ndtr(-score)), float(special.ndtr(score))


def _middle(edf: EDF, at: FloatArray) -> FloatArray:
    """Return the middle of F just before each error and at it: (errors,)."""
    middle: FloatArray = 0.5 * (edf(np.nextafter(at, -np.inf)) + edf(at))
    return middle


def _weights(edf: EDF) -> FloatArray:
    return np.full(edf.n, 1.0 / edf.n) if edf.weights is None else edf.weights
