"""Axes that say what they hold: limits around the data, few ticks, and words on them."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

_LOG_STEPS = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`, logarithmic or not, with `ticks` and the words for them."""

    low: float
    high: float
    is_log: bool
    ticks: tuple[float, ...]
    words: tuple[str, ...]

    def share(self, at: FloatArray) -> FloatArray:
        """Return how far along the axis numbers stand: 0 at `low`, 1 at `high`."""
        if self.is_log:
            return np.asarray(np.log(at / self.low) / math.log(self.high / self.low))
        return np.asarray((at - self.low) / (self.high - self.low))

    def at(self, share: FloatArray) -> FloatArray:
        """Return the numbers that stand so far along the axis: the opposite of `share`."""
        if self.is_log:
            return np.asarray(self.low * (self.high / self.low) ** share)
        return np.asarray(self.low + share * (self.high - self.low))

    def apply(self, axes: "Axes", which: Literal["x", "y"]) -> None:
        """Give one axis of a panel these limits and ticks."""
        from matplotlib.ticker import NullLocator

        axis = axes.xaxis if which == "x" else axes.yaxis
        if self.is_log:
            (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_minor_locator(NullLocator())
        axis.set_ticks(list(self.ticks), labels=list(self.words))
        (axes.set_xlim if which == "x" else axes.set_ylim)(self.low, self.high)


def scale_of(
    span: tuple[float, float],
    words: Callable[[float], str],
    *,
    log_above: float = math.inf,
    base: Literal[2, 10] = 10,
    margin: float = 0.05,
    floor: float = -math.inf,
    spacing: float = 0.07,
) -> Scale:
    """Return the scale of data between two numbers: logarithmic where their ratio exceeds `log_above`.

    `margin` [share of the axis] is left free on both sides, but nothing below `floor`; ticks stand at least
    `spacing` [share of the axis] apart.

    >>> scale_of((8.0, 80.0), "{:g} %".format, log_above=4.0).words
    ('10 %', '15 %', '20 %', '30 %', '40 %', '50 %', '70 %')
    >>> scale_of((8.0, 12.0), "{:g}".format, log_above=4.0).words
    ('8', '9', '10', '11', '12')
    """
    low, high = span
    if low == high:
        room = 0.1 * abs(low) or 1.0
        low, high = low - room, high + room
    is_log = low > 0.0 and high / low > log_above
    if is_log:
        room_ratio = (high / low) ** margin
        low, high = low / room_ratio, high * room_ratio
    else:
        room = margin * (high - low)
        low, high = max(low - room, floor), high + room
    ticks = [tick for tick in _ticks(low, high, is_log, base, spacing) if low <= tick <= high]
    return Scale(low=low, high=high, is_log=is_log, ticks=tuple(ticks), words=tuple(words(tick) for tick in ticks))


def error_scale(span: tuple[float, float] | None, *, spacing: float = 0.07) -> Scale:
    """Return the scale [%] of errors in [0, 1]; logarithmic where they differ more than fourfold."""
    low, high = span or (0.0, 1.0)
    words = "{:.4g}\N{NO-BREAK SPACE}%".format
    return scale_of((100.0 * low, 100.0 * high), words, log_above=4.0, floor=0.0, spacing=spacing)


def places(choices: Sequence[float]) -> Scale:
    """Return a scale on which each of a few values has a place of its own, at 0, 1, 2 ..."""
    return Scale(
        low=-0.6,
        high=len(choices) - 0.4,
        is_log=False,
        ticks=tuple(float(i) for i in range(len(choices))),
        words=tuple(f"{choice:.4g}" for choice in choices),
    )


def _ticks(low: float, high: float, is_log: bool, base: int, spacing: float) -> list[float]:
    most = int(1.0 / spacing)
    if is_log and base == 2:
        exponents = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
        return [2.0**e for e in exponents][:: 1 + len(exponents) // min(most, 6)]
    if is_log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        nearest = math.exp(spacing * math.log(high / low))
        for steps in _LOG_STEPS:
            ticks = [round(step * 10.0**decade, 12) for decade in decades for step in steps]
            inside = [tick for tick in ticks if low <= tick <= high]
            if len(inside) >= 3 and all(b / a >= nearest for a, b in itertools.pairwise(inside)):
                return inside
    from matplotlib.ticker import MaxNLocator

    locator = MaxNLocator(nbins=min(most, 5), steps=[1, 2, 2.5, 5, 10])
    return [float(tick) for tick in locator.tick_values(low, high)]
