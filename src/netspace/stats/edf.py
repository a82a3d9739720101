"""The empirical distribution of a population's errors, as exact steps.

A network that failed has the error `inf`: it stays in the distribution, as mass above every finite error, so
that a space cannot look better by breaking its bad networks.
"""

import math
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netspace.errors import InputError
from netspace.stats.bands import anytime_half_width, dkw_half_width

FloatArray = NDArray[np.float64]

# Sums of weights such as 1/3 + 1/6 may miss 1/2 by a rounding; a quantile must not jump a step for it.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EDF:
    """F(e) = the sum of the weights of the errors that are <= e; never interpolated.

    `errors` (networks,) lie in [0, 1], or are `inf` for a failed network; they are kept sorted. `weights`
    (networks,) go with `errors` as given and are positive; they are kept sorted likewise, with the sum 1.
    Without them each network weighs 1/n.
    Raises: InputError for no errors, a NaN, an error outside [0, 1], or weights that do not fit.
    Source: *Dive into Deep Learning*, 8.8 (Radosavovic et al. 2019 have `<` for `<=`).

    >>> edf = EDF(errors=[0.2, 0.1, 0.1, math.inf])
    >>> edf(0.1), edf(0.15), edf.median, edf.quantile(0.9)
    (0.5, 0.5, 0.1, inf)
    """

    errors: FloatArray
    weights: FloatArray | None = None
    # F just before the first error, then after each: (networks + 1,).
    _cumulative: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        errors = checked_errors(self.errors, "errors")
        order = np.argsort(errors, kind="stable")
        object.__setattr__(self, "errors", _read_only(errors[order]))
        if self.weights is None:
            cumulative = np.arange(errors.size + 1) / errors.size
        else:
            weights = _checked_weights(self.weights, errors.size)[order]
            object.__setattr__(self, "weights", _read_only(weights / weights.sum()))
            # Equal weights become exact ones here, and so exact counts.
            sums = np.cumsum(weights / weights.max())
            cumulative = np.concatenate(([0.0], sums / sums[-1]))
        object.__setattr__(self, "_cumulative", _read_only(cumulative))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EDF):
            return NotImplemented
        same = np.array_equal(self.errors, other.errors)
        return same and np.array_equal(self._cumulative, other._cumulative)

    def __hash__(self) -> int:
        return hash((self.errors.tobytes(), self._cumulative.tobytes()))

    @overload
    def __call__(self, error: float) -> float: ...
    @overload
    def __call__(self, error: FloatArray) -> FloatArray: ...
    def __call__(self, error: float | FloatArray) -> float | FloatArray:
        """Return F at an error, or at each of an array of errors (same shape).

        Raises: InputError for a NaN.
        """
        at = np.asarray(error, dtype=np.float64)
        if np.isnan(at).any():
            raise InputError("error (=nan) must be a number: an EDF has no value there")
        values = self._cumulative[np.searchsorted(self.errors, at, side="right")]
        return values if at.ndim else float(values)

    @property
    def n(self) -> int:
        """The number of networks, failed ones included."""
        return self.errors.size

    @property
    def num_failed(self) -> int:
        """The number of networks without a finite error."""
        return int(np.isinf(self.errors).sum())

    @property
    def effective_n(self) -> float:
        """1 / sum of the squared weights: the equally weighted networks that would tell as much (Kish)."""
        return float(self.n) if self.weights is None else float(1.0 / np.square(self.weights).sum())

    @property
    def steps(self) -> tuple[FloatArray, FloatArray]:
        """The distinct finite errors, sorted, and F after each: two arrays (steps,)."""
        distinct = np.unique(self.errors[np.isfinite(self.errors)])
        return distinct, self(distinct)

    def quantile(self, share: float) -> float:
        """Return the smallest error e with F(e) >= share; `inf` where only failures reach that share.

        Raises: InputError unless 0 < share <= 1.
        """
        if not 0.0 < share <= 1.0:
            raise InputError(f"share (={share}) must lie in (0, 1]")
        index = int(np.searchsorted(self._cumulative[1:], share - _ROUNDING, side="left"))
        return float(self.errors[index])

    @property
    def minimum(self) -> float:
        """The lowest error; `inf` when every network failed."""
        return float(self.errors[0])

    @property
    def median(self) -> float:
        """The smallest error that at least half of the networks reach; `inf` when more than half failed."""
        return self.quantile(0.5)

    @property
    def finite_mean(self) -> float:
        """The (weighted) mean of the finite errors, which says nothing of the failures; `inf` without any."""
        finite = np.isfinite(self.errors)
        if not finite.any():
            return math.inf
        weights = None if self.weights is None else self.weights[finite]
        return float(np.average(self.errors[finite], weights=weights))

    def area(self, up_to: float) -> float:
        """Return the exact integral of F from 0 to `up_to`: the larger, the lower the errors below `up_to`.

        Raises: InputError unless 0 <= up_to <= 1.
        """
        if not 0.0 <= up_to <= 1.0:
            raise InputError(f"up_to (={up_to}) must lie in [0, 1]")
        return float(np.average(np.maximum(up_to - self.errors, 0.0), weights=self.weights))

    def band(self, level: float = 0.95, *, anytime: bool = False) -> tuple[FloatArray, FloatArray]:
        """Return the lower and upper limits of a band around F at `steps`: two arrays (steps,), in [0, 1].

        With probability `level` at least, the true distribution lies inside everywhere at once; with `anytime`
        in all the bands of a growing sample, however often one looks. With weights the effective number of
        networks stands for n, which is an approximation.
        Source: Dvoretzky, Kiefer and Wolfowitz 1956, with the constant of Massart 1990; for `anytime`, Howard
        and Ramdas 2022.
        """
        half_width = (anytime_half_width if anytime else dkw_half_width)(self.effective_n, level)
        _, shares = self.steps
        return np.maximum(shares - half_width, 0.0), np.minimum(shares + half_width, 1.0)


def complexity_weights(complexity: ArrayLike, bins: int | ArrayLike = 10) -> FloatArray:
    """Return weights (networks,), summing to 1, under which every bin of complexity counts the same.

    Each network weighs 1 / (networks in its bin x bins that hold any). `bins` is a number of bins of equal
    ratio between the smallest and the largest complexity, or their edges, increasing; a value on an inner
    edge belongs to the bin above it, one on the last edge to the last bin. To compare two populations, give
    both the same edges.
    Raises: InputError for complexities that are not positive numbers, or that the edges do not hold.
    Source: Radosavovic et al. 2019, "Controlling for complexity".

    >>> complexity_weights([1e6, 2e6, 3e6, 9e6], bins=[1e6, 5e6, 1e7]).round(3).tolist()
    [0.167, 0.167, 0.167, 0.5]
    """
    values = np.asarray(complexity, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"complexity (shape {values.shape}) must be a list of at least one number")
    for index in np.flatnonzero(~((values > 0.0) & np.isfinite(values)))[:1]:
        raise InputError(f"complexity[{index}] (={values[index]}) must be a positive, finite number")
    edges = _bin_edges(values, bins)
    for index in np.flatnonzero((values < edges[0]) | (values > edges[-1]))[:1]:
        limits = f"[{edges[0]:g}, {edges[-1]:g}]"
        raise InputError(f"complexity[{index}] (={values[index]:g}) must lie within the edges of bins, {limits}")
    # Only the inner edges divide: neither end can then lose a value to rounding.
    members = np.searchsorted(edges[1:-1], values, side="right")
    counts = np.bincount(members)
    return 1.0 / (counts[members] * np.count_nonzero(counts))


def checked_errors(errors: ArrayLike, name: str) -> FloatArray:
    """Return errors as an array (networks,), refusing what is neither in [0, 1] nor `inf`.

    Raises: InputError that names `name`, the index and the value.
    """
    try:
        values = np.array(errors, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a list of numbers, one error per network") from None
    if values.ndim != 1:
        raise InputError(f"{name} (shape {values.shape}) must have one dimension: one error per network")
    if values.size == 0:
        raise InputError(f"{name} must hold at least one network's error, and it is empty")
    for index in np.flatnonzero(~((values >= 0.0) & ((values <= 1.0) | np.isposinf(values))))[:1]:
        value = float(values[index])
        near = f"; per cent are given as shares, {value / 100:g} here" if 1.0 < value <= 100.0 else ""
        rule = "must be an error in [0, 1], or inf for a network that failed"
        raise InputError(f"{name}[{index}] (={value:g}) {rule}{near}")
    return values


def _checked_weights(weights: ArrayLike, n: int) -> FloatArray:
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (n,):
        raise InputError(f"weights (shape {values.shape}) must hold one weight for each of the {n} errors")
    for index in np.flatnonzero(~((values > 0.0) & np.isfinite(values)))[:1]:
        raise InputError(f"weights[{index}] (={values[index]:g}) must be a positive, finite number")
    return values


def _bin_edges(values: FloatArray, bins: int | ArrayLike) -> FloatArray:
    if isinstance(bins, int | np.integer):
        if bins < 1:
            raise InputError(f"bins (={bins}) must be at least 1")
        edges = np.geomspace(values.min(), values.max(), int(bins) + 1)
        edges[0], edges[-1] = values.min(), values.max()
        return edges
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0.0):
        raise InputError(f"bins (={bins}) must be a number of bins, or at least two increasing edges")
    return edges


def _read_only(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array
