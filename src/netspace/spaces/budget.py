"""Bands of complexity: which networks a study can afford."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.errors import ContradictionError, SpaceError
from netspace.networks.complexity import MEASURES, Complexity
from netspace.spaces.laws import finite_numbers

_SUFFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Closed bands of flops [multiply-adds], params and activations [numbers]; None: no band.

    A band is two numbers (low, high), or text such as `"360M..400M"`, which becomes two numbers.
    """

    flops: Any = None
    params: Any = None
    activations: Any = None

    def __post_init__(self) -> None:
        for measure, given in self.bands().items():
            band = parse_band(given) if isinstance(given, str) else given
            if not isinstance(band, list | tuple) or len(band) != 2:
                raise SpaceError(f"{measure} (={given!r}) must be a band: two numbers, or text such as '360M..400M'")
            low, high = finite_numbers(band, measure)
            object.__setattr__(self, measure, (low, high))
            if low < 0:
                raise SpaceError(f"{measure} (={[low, high]}) must be two finite numbers of at least 0")
            if low > high:
                raise SpaceError(
                    f"{measure} (={show_band(low, high)}) is upside down; the nearest is {show_band(high, low)}"
                )

    def bands(self) -> dict[str, tuple[float, float]]:
        """Return the bands that are set."""
        return {m: band for m in MEASURES if (band := getattr(self, m)) is not None}

    def meets(self, complexity: Complexity) -> npt.NDArray[np.bool_]:
        """Return which networks lie in every band; shape (n,)."""
        inside = np.ones(np.shape(complexity.flops), dtype=bool)
        for measure, (low, high) in self.bands().items():
            value = getattr(complexity, measure)
            inside &= (value >= low) & (value <= high)
        return inside

    def meet(self, other: "Budget") -> "Budget":
        """Return the bands that both allow. Raises: SpaceError where they have nothing in common."""
        both = self.bands()
        for measure, (low, high) in other.bands().items():
            before = both.get(measure, (low, high))
            both[measure] = (max(low, before[0]), min(high, before[1]))
            if both[measure][0] > both[measure][1]:
                raise ContradictionError(
                    f"{measure} in {show_band(*before)} and in {show_band(low, high)} contradict each other: "
                    "the bands have nothing in common"
                )
        return Budget(**both)

    def describe(self) -> str:
        """Return the bands in a few words.

        >>> Budget(flops=(2e6, 8e6)).describe()
        'flops in 2M..8M'
        """
        bands = self.bands().items()
        return ", ".join(f"{m} in {show_band(*band)}" for m, band in bands) or "no band"


def show_number(number: float) -> str:
    """Return a count with a suffix k, M, G or T and three digits.

    >>> show_number(360e6), show_number(1602850792), show_number(64), show_number(999_999)
    ('360M', '1.6G', '64', '1M')
    """
    for suffix, unit in reversed(_SUFFIXES.items()):
        if float(f"{number:.3g}") >= unit:
            return f"{float(f'{number / unit:.3g}'):g}{suffix}"
    return f"{number:.3g}"


def show_band(low: float, high: float) -> str:
    """Return a band as `360M..400M`."""
    return f"{show_number(low)}..{show_number(high)}"


def parse_number(text: str) -> float:
    """Return the number of a text such as `360M`, `1.6G` or `2e6`. Raises: SpaceError.

    >>> parse_number("360M"), parse_number("2e6")
    (360000000.0, 2000000.0)
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([kMGT]?)F?\s*", text)
    try:
        return float(match[1]) * _SUFFIXES[match[2]]  # type: ignore[index]
    except (TypeError, ValueError):
        raise SpaceError(f"{text!r} is not a number such as 2e6, 360M or 1.6G") from None


def parse_band(text: str) -> tuple[float, float]:
    """Return (low, high) of a text such as `360M..400M`. Raises: SpaceError."""
    low, dots, high = text.partition("..")
    if not dots:
        raise SpaceError(f"{text!r} is not a band such as 360M..400M")
    return parse_number(low), parse_number(high)
