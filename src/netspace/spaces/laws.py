"""The law of one parameter: a finite set of values on a closed range, each with its exact probability.

A law maps a uniform number in [0, 1) to a value by its inverse distribution function, so that one uniform
number is one draw, on any machine.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from netspace.checks import number
from netspace.errors import SpaceError
from netspace.networks.spec import FloatArray, IntArray

MOST_VALUES = 2**20
"""The most values of a law."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """A closed range [low, high] of which a law takes some values."""

    low: float
    high: float

    kind: ClassVar[str]

    def narrow(self, low: float, high: float) -> "Law":
        """Return this law conditioned on [low, high]. Raises: SpaceError where that is not inside."""
        if low > high:
            raise SpaceError(f"range [{low:g}, {high:g}] is upside down; the nearest is [{high:g}, {low:g}]")
        if low < self.low or high > self.high:
            near = (min(max(low, self.low), self.high), max(min(high, self.high), self.low))
            raise SpaceError(
                f"range [{low:g}, {high:g}] must lie inside [{self.low:g}, {self.high:g}]; "
                f"nearest: [{near[0]:g}, {near[1]:g}]"
            )
        return replace(self, low=low, high=high)  # type: ignore[return-value]

    def describe(self) -> str:
        """Return the law in a few words."""
        return f"{self.low:g}..{self.high:g}, {self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stepped(_Range):
    """The multiples of `step` in [low, high]."""

    step: float = 1.0

    def __post_init__(self) -> None:
        for field in ("low", "high", "step"):
            number(self, field, SpaceError, above=field == "step")
        # Equal laws have one digest, whether a file says 8 or 8.0.
        object.__setattr__(self, "step", int(self.step) if self.step.is_integer() else self.step)
        if (self.high - self.low) / self.step >= MOST_VALUES:
            raise SpaceError(
                f"range [{self.low:g}, {self.high:g}] in steps of {self.step:g} has more than {MOST_VALUES:,} values; "
                "take larger steps"
            )
        for field in ("low", "high"):
            bound = float(getattr(self, field))
            near = round(bound / self.step) * self.step
            if abs(near - bound) > 1e-9 * max(1.0, abs(bound)):
                raise SpaceError(
                    f"{field} (={bound:g}) must be a multiple of the step {self.step:g}; nearest: {near:g}"
                )
            object.__setattr__(self, field, bound)
        if not self.step <= self.low <= self.high:
            raise SpaceError(
                f"range [{self.low:g}, {self.high:g}] must be the right way up and begin at {self.step:g} or above"
            )

    def describe(self) -> str:
        """Return the law in a few words."""
        return _Range.describe(self) + (f" in steps of {self.step:g}" if self.step != 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform(_Stepped):
    """Every multiple of `step` in [low, high] with the same probability."""

    kind: ClassVar[str] = "uniform"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogUniform(_Stepped):
    """x log-uniform on (low - min(step, low/2), high], rounded up to a multiple of `step`.

    So v has the probability ln(v / max(v - step, l)) / ln(high / l) with l = low - min(step, low/2).
    Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3.2, and the released sampler.
    """

    kind: ClassVar[str] = "log-uniform"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowersOfTwo(_Range):
    """The powers of two in [low, high], each with the same probability."""

    kind: ClassVar[str] = "powers of two"

    def __post_init__(self) -> None:
        for field in ("low", "high"):
            number(self, field, SpaceError, minimum=1, maximum=2.0**62)
            bound = getattr(self, field)
            if not math.log2(bound).is_integer():
                raise SpaceError(
                    f"{field} (={bound:g}) must be a power of two; nearest: {2 ** round(math.log2(bound))}"
                )
        if self.low > self.high:
            raise SpaceError(f"range [{self.low:g}, {self.high:g}] is upside down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Each of the listed values with the same probability."""

    options: tuple[float, ...]

    def __post_init__(self) -> None:
        options = finite_numbers(self.options, "options")
        object.__setattr__(self, "options", options)
        if not options or len(set(options)) != len(options) or list(options) != sorted(options):
            raise SpaceError(f"options (={options}) must be at least one value, rising, each once")

    def narrow(self, low: float, high: float) -> "Choice":
        """Return the law conditioned on [low, high]. Raises: SpaceError where no option is inside."""
        kept = tuple(option for option in self.options if low <= option <= high)
        if not kept:
            raise SpaceError(f"range [{low:g}, {high:g}] holds none of the options {self.describe()}")
        return Choice(options=kept)

    def describe(self) -> str:
        """Return the law in a few words."""
        return "one of " + ", ".join(f"{option:g}" for option in self.options)


Law = Uniform | LogUniform | PowersOfTwo | Choice


@functools.cache
def law_values(law: Law) -> FloatArray:
    """Return the values of a law, rising; shape (values,), read-only."""
    grid: FloatArray
    if isinstance(law, Choice):
        grid = np.array(law.options, dtype=np.float64)
    elif isinstance(law, PowersOfTwo):
        grid = np.exp2(np.arange(round(math.log2(law.low)), round(math.log2(law.high)) + 1, dtype=np.float64))
    else:
        first, last = round(law.low / law.step), round(law.high / law.step)
        # Rounding gives the decimal that was meant: 3 * 0.1 is not 0.3.
        grid = np.round(np.arange(first, last + 1) * law.step, 10).astype(np.float64)
    grid.flags.writeable = False
    return grid


@functools.cache
def probabilities(law: Law) -> FloatArray:
    """Return the probability of each value of a law; shape (values,), read-only, sum 1.

    >>> probabilities(LogUniform(low=1, high=4)).round(3).tolist()
    [0.333, 0.333, 0.195, 0.138]
    """
    grid = law_values(law)
    if isinstance(law, LogUniform):
        floor = law.low - min(law.step, law.low / 2)
        chances = np.log(grid / np.maximum(grid - law.step, floor)) / math.log(law.high / floor)
    else:
        chances = np.full(len(grid), 1.0 / len(grid))
    chances.flags.writeable = False
    return chances


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Inverse:
    """The inverse distribution functions of s states over v values, as lookups.

    A uniform number falls into one of `cells` equal cells; `guide` says with which value the search begins there, and
    `corrections` steps at most lead to the right one. So a draw costs a few lookups instead of a binary search.
    Source: Chen and Asau 1974, AIIE Transactions 6(2), 163-166.
    """

    cumulative: FloatArray
    guide: IntArray
    cells: int
    corrections: int
    num_values: int

    @classmethod
    def of(cls, weights: FloatArray) -> "Inverse":
        """Return the inverses of weights of shape (s, v); a row of zeros is never asked for."""
        num_states, num_values = weights.shape
        cumulative = np.cumsum(weights, axis=1)
        cumulative /= np.where(cumulative[:, -1:] > 0, cumulative[:, -1:], 1.0)
        # From the last value that can be drawn on: no uniform number below 1 goes past it.
        cumulative[cumulative >= cumulative[:, -1:]] = np.inf
        cells = 64
        while True:
            edges = np.arange(cells + 1) / cells
            first = np.stack([np.searchsorted(row, edges, side="right") for row in cumulative])
            last = np.stack([np.searchsorted(row, edges[1:], side="left") for row in cumulative])
            corrections = int((last - first[:, :-1]).max(initial=0))
            if corrections <= 1 or cells * num_states >= 2**15:
                break
            cells *= 2
        guide = first[:, :-1] + np.arange(num_states)[:, None] * num_values
        return cls(
            cumulative=cumulative.ravel(),
            guide=guide.ravel(),
            cells=cells,
            corrections=corrections,
            num_values=num_values,
        )

    def __call__(self, uniform: FloatArray, state: IntArray | None = None) -> IntArray:
        """Return the index of the value that each uniform number in [0, 1) falls on; shapes (n,)."""
        cell = (uniform * self.cells).astype(np.int64)
        if state is None or len(self.guide) == self.cells:
            index = self.guide.take(cell)
            offset: IntArray | int = 0
        else:
            index = self.guide.take(cell + state * self.cells)
            offset = state * self.num_values
        if self.corrections:
            index += self.cumulative.take(index) <= uniform
        if self.corrections > 1:  # rarely needed: where a cell holds many improbable values
            rest = np.flatnonzero(self.cumulative.take(index) <= uniform)
            while len(rest):
                index[rest] += 1
                rest = rest[self.cumulative.take(index[rest]) <= uniform[rest]]
        return index - offset


@functools.lru_cache(maxsize=512)
def inverse(law: Law) -> Inverse:
    """Return the inverse distribution function of a law; one state."""
    return Inverse.of(probabilities(law)[None, :])


def draw(law: Law, uniform: FloatArray) -> FloatArray:
    """Return the values of a law at uniform numbers in [0, 1); the shape of `uniform`, (n,)."""
    return law_values(law).take(inverse(law)(uniform))


def as_range(given: Any) -> tuple[float, float]:
    """Return (low, high) of a range written as [low, high] or as one number. Raises: SpaceError."""
    bounds = finite_numbers(given if isinstance(given, list | tuple) else (given, given), "range")
    if len(bounds) != 2:
        raise SpaceError(f"range {list(bounds)} must be one number or [low, high]")
    return bounds[0], bounds[1]


def finite_numbers(given: Any, what: str) -> tuple[float, ...]:
    """Return numbers as floats. Raises: SpaceError where one is not a finite number."""
    try:
        numbers = tuple(float(one) for one in given)
    except (TypeError, ValueError):
        raise SpaceError(f"{what} (={given!r}) must be numbers") from None
    if not all(map(math.isfinite, numbers)):
        raise SpaceError(f"{what} (={given!r}) must be finite numbers")
    return numbers
