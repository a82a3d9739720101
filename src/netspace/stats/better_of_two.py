"""How often the better of two networks of one space beats the better of two of another, weighted networks included.

Whoever uses a space takes its good networks, and of these it has few enough to care. A network against a network counts
bad ones as much; the better of two counts good ones most, and sees a shift of all errors with fewer networks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netspace.stats.edf import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BetterOfTwo:
    """P(the better of two of A has the lower error) + P(both have the same) / 2; 1/2 between equals.

    `pull_a` (networks_a,) and `pull_b` (networks_b,) say how far each network's error moves `share`, per unit of its
    weight and up to a constant.
    """

    share: float
    pull_a: FloatArray
    pull_b: FloatArray


def better_of_two(
    errors_a: FloatArray, weights_a: FloatArray, errors_b: FloatArray, weights_b: FloatArray
) -> BetterOfTwo:
    """Return it for errors (networks,), `inf` for a failure, and weights that sum to 1 and need not be positive.

    The two of a space are different networks: with weights that are equal it is the U-statistic (Hoeffding 1948), and
    its mean is that of the spaces, however many networks there are.

    >>> even = np.full(3, 1 / 3)
    >>> better_of_two(np.array([0.1, 0.2, 0.3]), even, np.array([0.2, 0.4, 0.5]), even).share
    0.8888888888888888
    """
    steps = np.unique(np.concatenate((errors_a, errors_b)))
    at_a, at_b = np.searchsorted(steps, errors_a), np.searchsorted(steps, errors_b)
    (one_a, both_a), (one_b, both_b) = _above(at_a, weights_a, steps.size), _above(at_b, weights_b, steps.size)
    share = float(((both_a[:-1] - both_a[1:]) * (both_b[:-1] + both_b[1:])).sum() / 2)
    return BetterOfTwo(share=share, pull_a=_pull(one_a, both_b)[at_a], pull_b=-_pull(one_b, both_a)[at_b])


def _above(at: NDArray[np.intp], weights: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """Return how likely one network, and two different ones, are worse than each step (1 + steps,); before all: 1."""
    one, twice = (
        given.sum() - np.concatenate(([0.0], np.cumsum(np.bincount(at, given, minlength=steps))))
        for given in (weights, np.square(weights))
    )
    return one, (np.square(one) - twice) / (1.0 - twice[0])  # `twice`: that both are the same network


def _pull(one: FloatArray, both: FloatArray) -> FloatArray:
    """Return by how much a network at each step (steps,) moves the share, from the two sides' chances to be worse."""
    return np.concatenate(([0.0], np.cumsum(one[1:-1] * (both[2:] - both[:-2]))))
