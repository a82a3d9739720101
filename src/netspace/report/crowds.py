"""Where networks are too many for a mark each: one mark for those near one another, as large as they are many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspace.findings.readings import FloatArray
from netspace.report.scales import Scale
from netspace.storage.population import Population

MOST_MARKS = 600
"""Networks of all spaces together above which marks stand for several."""

_COLUMNS, _ROWS = 36, 26
_SIZES = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
    """Marks of one size: `x` and `y` (marks,) are where the networks stand; `size` in (0, 1], of the largest mark."""

    size: float
    x: FloatArray
    y: FloatArray


def is_crowd(populations: Sequence[Population]) -> bool:
    """Whether marks stand for several networks."""
    return sum(population.count("finished") for population in populations) > MOST_MARKS


def crowds(x: FloatArray, y: FloatArray, x_scale: Scale, y_scale: Scale, most: int) -> list[Crowd]:
    """Return the marks of networks at `x`, `y` (networks,), the largest first; `most` networks have the largest mark.

    The area of a mark is the number of its networks, to the nearest of a few sizes.
    """
    places, counts = _cells(x, y, x_scale, y_scale)
    sizes = np.maximum(np.ceil(_SIZES * np.sqrt(counts / max(most, 1))), 1.0) / _SIZES
    found = []
    for size in np.unique(sizes)[::-1]:
        chosen = places[sizes == size]
        columns, rows = (chosen[:, 0] + 0.5) / _COLUMNS, (chosen[:, 1] + 0.5) / _ROWS
        found.append(Crowd(size=float(size), x=x_scale.at(columns), y=y_scale.at(rows)))
    return found


def largest(x: FloatArray, y: FloatArray, x_scale: Scale, y_scale: Scale) -> int:
    """Return how many networks stand in the fullest place, 0 where there are none."""
    return int(_cells(x, y, x_scale, y_scale)[1].max(initial=0))


def _cells(x: FloatArray, y: FloatArray, x_scale: Scale, y_scale: Scale) -> tuple[FloatArray, FloatArray]:
    """Return the occupied cells (cells, 2) of a grid over the axes, and their counts (cells,)."""
    grid = np.stack(
        (
            np.clip(np.floor(_COLUMNS * x_scale.share(x)), 0, _COLUMNS - 1),
            np.clip(np.floor(_ROWS * y_scale.share(y)), 0, _ROWS - 1),
        ),
        axis=1,
    )
    places, counts = np.unique(grid, axis=0, return_counts=True)
    return places, counts.astype(np.float64)
