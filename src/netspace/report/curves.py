"""The curves that a page shows: EDFs with their bands, as many steps of each as a screen can tell apart.

A curve may count each network alike, or each level of complexity alike: then a space that drew more of the large
networks gains nothing by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspace.findings import readings
from netspace.findings.readings import FloatArray
from netspace.networks.complexity import MEASURES
from netspace.stats import EDF, complexity_weights, dkw_half_width
from netspace.storage.population import Population

MOST_STEPS = 1_000
"""Steps above which some are left out: what is drawn is then nowhere further than 1 / MOST_STEPS from the curve."""

WEIGHINGS = ("networks", *MEASURES)
"""What counts alike: each network, or each level of one measure of complexity."""

_LEVELS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """An EDF as it is drawn: `shares` after each of `errors`, both (steps,), and half the height of its 95 % band."""

    n: int
    num_failed: int
    effective_n: float
    errors: FloatArray
    shares: FloatArray
    half_width: float

    @property
    def band(self) -> tuple[FloatArray, FloatArray]:
        """The limits before the first error and after each: two arrays (steps + 1,)."""
        shares = np.concatenate(([0.0], self.shares))
        return np.maximum(shares - self.half_width, 0.0), np.minimum(shares + self.half_width, 1.0)

    @property
    def end(self) -> float:
        """How high the curve reaches: the share of what did not fail."""
        return float(self.shares[-1]) if self.shares.size else 0.0


def curves(populations: Sequence[Population], weighing: str = "networks") -> tuple[Curve | None, ...]:
    """Return the curve of each population, None where nothing is trained.

    `weighing` is one of `WEIGHINGS`. All are None where the complexities of all networks are equal, so that they have
    no levels.
    """
    if weighing == "networks":
        return tuple(map(_curve, map(readings.distribution, populations)))
    costs = [getattr(p.complexity, weighing)[list(p.trained)].astype(np.float64) for p in populations]
    known = np.concatenate([np.zeros(0), *costs])
    if np.unique(known).size < 2:
        return (None,) * len(populations)
    edges = np.geomspace(known.min(), known.max(), _LEVELS + 1)
    edges[0], edges[-1] = known.min(), known.max()
    return tuple(
        _curve(EDF(errors=population.errors, weights=complexity_weights(cost, edges))) if cost.size else None
        for population, cost in zip(populations, costs, strict=True)
    )


def _curve(edf: EDF | None) -> Curve | None:
    if edf is None:
        return None
    errors, shares = edf.steps
    if errors.size > MOST_STEPS:
        # The first step into each of equal intervals of shares: between two of them the curve stays in one interval.
        _, kept = np.unique(np.floor(shares * MOST_STEPS), return_index=True)
        kept = np.union1d(kept, [errors.size - 1])
        errors, shares = errors[kept], shares[kept]
    return Curve(
        n=edf.n,
        num_failed=edf.num_failed,
        effective_n=edf.effective_n,
        errors=errors,
        shares=shares,
        half_width=dkw_half_width(edf.effective_n),
    )
