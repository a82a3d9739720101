"""A band of latency: which networks are fast enough on this device, found by measuring a shortlist.

Nothing here measures: whoever asks passes a function that does, and remembers what it found.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from netspace.checks import whole
from netspace.errors import SpaceError
from netspace.networks.spec import NetworkSpec

Latency = tuple[float, float]
"""How long a network takes for one batch [ms]: the median call, and the noise, as `measure` defines it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyBand:
    """A closed band of latency [ms], decided by the median that `measure` finds.

    Latency is no property of a network alone: a sample by latency is of one device, and a network within its noise
    of a bound may fall on the other side the next time, unless `measure` remembers. Only networks inside the budget
    are measured, `most` of them at most.
    """

    low: float
    high: float
    measure: Callable[[NetworkSpec], Latency]
    most: int = 2000

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low < 0:
            raise SpaceError(f"latency (={[self.low, self.high]}) must be two finite numbers of at least 0 [ms]")
        if self.low > self.high:
            raise SpaceError(
                f"latency (={self.low:g}..{self.high:g} ms) is upside down; the nearest is {self.high:g}..{self.low:g}"
            )
        whole(self, "most", SpaceError)

    def holds(self, latency: Latency) -> bool:
        """Return whether the median lies in the band."""
        return self.low <= latency[0] <= self.high

    def describe(self) -> str:
        """Return the band in a few words."""
        return f"latency in {self.low:g}..{self.high:g} ms"
