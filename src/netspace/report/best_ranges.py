"""Where the best values of a parameter lie, drawn at the top of its panel: a bar per space, its median as a tick."""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netspace.findings.readings import Parameter
from netspace.report.look import INK, space_look
from netspace.report.wording import short
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIRST, _STEP = 4.0, 5.0
"""Points below the top of the axes of the first bar, and between bars."""

TELLING = 2 / 3
"""The share of the networks below which a range says something: without any effect it seldom holds fewer."""


@dataclass(frozen=True, slots=True)
class Range:
    """The best values of the space at a position: limits and median; `holds` is the share of networks inside."""

    position: int
    low: float
    median: float
    high: float
    holds: float


def ranges_of(parameter: Parameter, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Range]:
    """Return the ranges of a parameter; one that a space shares between stages stands at each of its stages."""
    found = []
    for row in rows:
        if row["best"] is not None and row["parameter"] in (parameter.title, parameter.group):
            best = row["best"]
            found.append(Range(names.index(row["space"]), *(best[key] for key in ("low", "median", "high", "holds"))))
    return found


def ranges_seen(parameter: Parameter, rows: Sequence[Mapping[str, Any]], populations: Sequence[Population]) -> str:
    """Return a sentence about what `draw_ranges` draws, empty where that is nothing."""
    found = ranges_of(parameter, rows, [population.name for population in populations])
    words = (f"{short(populations[r.position].name)} {r.low:g} to {r.high:g}, median {r.median:g}" for r in found)
    return f" Best values: {'; '.join(words)}." if found else ""


def draw_ranges(axes: "Axes", ranges: Sequence[Range], choices: Sequence[float] | None) -> None:
    """Draw each range, with a shade below where it is telling.

    `choices` are the values that have places of their own along the axis, if they do.
    """
    from matplotlib.transforms import ScaledTranslation

    for line, found in enumerate(ranges):
        low, median, high = found.low, found.median, found.high
        if choices is not None:
            low, median, high = (float(bisect.bisect_left(choices, limit)) for limit in (low, median, high))
            low, high = low - 0.45, high + 0.45
        colour, name = space_look(found.position).colour, f"best-{found.position}"
        down = ScaledTranslation(0.0, -(_FIRST + _STEP * line) / 72.0, axes.figure.dpi_scale_trans)
        top = axes.get_xaxis_transform() + down
        if found.holds < TELLING:
            axes.axvspan(low, high, color=colour, alpha=0.08, linewidth=0.0, zorder=0.5, gid=name)
        style: dict[str, Any] = {"transform": top, "clip_on": False, "zorder": 4, "gid": name}
        axes.plot([low, high], [1.0, 1.0], color=colour, linewidth=3.0, solid_capstyle="butt", **style)
        axes.plot([median], [1.0], color=INK, marker="|", markersize=7.0, markeredgewidth=1.6, **style)
