"""The Pareto front: the networks that no other beats in error without costing more."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netspace.errors import InputError
from netspace.stats.edf import checked_errors


def pareto_front(errors: ArrayLike, costs: ArrayLike) -> NDArray[np.bool_]:
    """Return which networks are on the front of error against cost, both the lower the better: (networks,).

    A network is on it unless another is at least as good in both and better in one; so networks that are equal in
    both are on it together. A failed network, whose error is `inf`, never is.
    Raises: InputError for errors that cannot be, and costs that are not finite.

    >>> pareto_front([0.30, 0.20, 0.25, 0.20, float("inf")], [1, 3, 2, 4, 0]).tolist()
    [True, True, True, False, False]
    """
    checked = checked_errors(errors, "errors")
    cost = np.asarray(costs, dtype=np.float64)
    if cost.shape != checked.shape:
        raise InputError(f"costs (shape {cost.shape}) must hold one for each of the {checked.size} errors")
    for index in np.flatnonzero(~np.isfinite(cost))[:1]:
        raise InputError(f"costs[{index}] (={cost[index]:g}) must be a finite number")
    order = np.lexsort((checked, cost))
    error, level = checked[order], cost[order]
    # The best error of what costs less: that of all before the first network of the same cost.
    best = np.concatenate(([np.inf], np.minimum.accumulate(error)))
    first = np.searchsorted(level, level)
    front = np.zeros(checked.size, dtype=bool)
    front[order] = (error < best[first]) & (error == error[first])
    return front
