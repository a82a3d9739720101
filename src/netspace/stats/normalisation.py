"""Populations made alike in complexity, so that a space does not win by having the larger networks.

Networks are binned by complexity, with the same edges for all populations, and every bin counts the same. A bin that
one of the populations leaves empty, or nearly so, says next to nothing about the difference, and in equal weight would
drown the others: its networks are left out, and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netspace.errors import InputError
from netspace.stats.edf import EDF, FloatArray, checked_errors, complexity_weights

MOST_BINS = 10
PER_BIN = 10
"""Networks of the smallest population per bin, below which there are fewer bins: weights of few networks vary much."""

LEAST = 0.2
"""The share of the networks due to a population in a bin, by its size, below which the bin is not shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """How populations were made alike: so many `bins` of `measure` are shared, of those between the `edges`.

    A bin is shared if it holds, of every population, at least the share `LEAST` of what is due to it. `left_out` counts
    the networks of each population in other bins.
    """

    measure: str
    edges: tuple[float, ...]
    bins: int
    left_out: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alike:
    """Populations made alike: `weights[k]` (networks,) of population k, 0 for a network that is left out.

    Those of a population sum to 1; there are none where no bin is shared.
    """

    weights: tuple[FloatArray, ...]
    how: Normalisation


def make_alike(
    complexities: Sequence[ArrayLike],
    *,
    names: Sequence[str] | None = None,
    measure: str = "complexity",
    bins: int | None = None,
) -> Alike:
    """Return weights under which every bin of complexity counts the same in all populations: (networks,) of each.

    The bins hold equally many networks of all populations together, as far as ties allow; `bins` says how many, or
    follows from the smallest population. A value on an edge belongs to the bin above it, the largest to the last bin.
    Raises: InputError for complexities that are not positive numbers, or fewer than one bin.
    Source: Radosavovic et al. 2019, "Controlling for complexity"; for leaving out what hardly overlaps, Crump et al.
    2009, of whose rule (a tenth of the units, between two groups of a size) `LEAST` is the form for groups of any size.

    >>> alike = make_alike([[1e6, 2e6, 3e6], [2e6, 3e6, 9e6]], bins=3)
    >>> [weights.tolist() for weights in alike.weights], alike.how.bins, alike.how.left_out
    ([[0.0, 0.5, 0.5], [0.5, 0.25, 0.25]], 2, (1, 0))
    """
    names = names or [str(position) for position in range(len(complexities))]
    columns = [
        _checked(complexity, f"{measure} of {name}") for complexity, name in zip(complexities, names, strict=True)
    ]
    # Once to find where they overlap, and once more to divide that part finely: within a bin sizes may still differ.
    kept = [np.ones(column.size, dtype=np.bool_) for column in columns]
    for _ in range(2):
        inside = [column[keep] for column, keep in zip(columns, kept, strict=True)]
        if not all(column.size for column in inside):
            break
        edges = _edges(inside, bins)
        shared = _shared(inside, edges)
        for keep, column in zip(kept, inside, strict=True):
            keep[keep] = shared[_bins(column, edges)]
    weights = [np.zeros(column.size) for column in columns]
    if shared.any():
        for weight, column, keep in zip(weights, columns, kept, strict=True):
            weight[keep] = complexity_weights(column[keep], edges)
    left_out = tuple(int((~keep).sum()) for keep in kept)
    how = Normalisation(measure=measure, edges=tuple(edges.tolist()), bins=int(shared.sum()), left_out=left_out)
    return Alike(weights=tuple(weights), how=how)


def normalised_edf(errors: ArrayLike, weights: FloatArray, name: str = "errors") -> EDF | None:
    """Return the EDF of the networks that have a weight; None where none has.

    Raises: InputError for errors that cannot be, or of another number than the weights.
    """
    checked = checked_errors(errors, name)
    if checked.size != weights.size:
        raise InputError(
            f"complexity of {name} (={weights.size} numbers) must hold one for each of {checked.size} errors"
        )
    kept = weights > 0.0
    return EDF(errors=checked[kept], weights=weights[kept]) if kept.any() else None


def _bins(column: FloatArray, edges: FloatArray) -> NDArray[np.int64]:
    return np.searchsorted(edges[1:-1], column, side="right")


def _shared(columns: Sequence[FloatArray], edges: FloatArray) -> NDArray[np.bool_]:
    """Return which bins hold of every population what is due to it, or nearly: (bins,)."""
    counts = np.array([np.bincount(_bins(column, edges), minlength=edges.size - 1) for column in columns])
    sizes = counts.sum(axis=1, keepdims=True)
    due = sizes * counts.sum(axis=0) / sizes.sum()
    shared: NDArray[np.bool_] = ((counts > 0) & (counts >= LEAST * due)).all(axis=0)
    return shared


def _edges(columns: Sequence[FloatArray], bins: int | None) -> FloatArray:
    if bins is None:
        bins = max(1, min(MOST_BINS, min(column.size for column in columns) // PER_BIN))
    if bins < 1:
        raise InputError(f"bins (={bins}) must be at least 1")
    edges = np.unique(np.quantile(np.concatenate(columns), np.linspace(0.0, 1.0, bins + 1)))
    # Networks that are all of one complexity fill one bin.
    return edges if edges.size > 1 else np.append(edges, np.nextafter(edges[-1], np.inf))


def _checked(complexity: ArrayLike, name: str) -> FloatArray:
    values = np.asarray(complexity, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"{name} (shape {values.shape}) must be a list of at least one number")
    for index in np.flatnonzero(~((values > 0.0) & np.isfinite(values)))[:1]:
        raise InputError(f"{name}[{index}] (={values[index]:g}) must be a positive, finite number")
    return values
