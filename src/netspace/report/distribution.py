"""The figure that everything else explains: the distribution of errors of each space, as exact steps."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from netspace.findings import readings
from netspace.report.curves import Curve, curves
from netspace.report.look import QUIET, RULE, TEXT_SIZE, space_look
from netspace.report.scales import error_scale
from netspace.report.sheet import SAMPLE_WIDTH, Sheet
from netspace.report.wording import counted, short
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _TOP, _BOTTOM = 44.0, 34.0, 44.0
_LABEL_WIDTH, _LABEL_HEIGHT = 196.0, 35.0
_LEADER, _BAR_STEP = 22.0, 13.0


def draw_distributions(
    populations: Sequence[Population], width: float, height: float, *, beside: bool, weighing: str = "networks"
) -> Sheet:
    """Return a sheet with the EDFs; `height` is that of the drawing without labels that stand under it.

    A few errors far beyond all others are counted beside the name of their space, and do not stretch the axis.
    """
    under = 0.0 if beside else _LABEL_HEIGHT * len(populations)
    sheet = Sheet.blank(width, height + under)
    edfs = curves(populations, weighing)
    gaps = [position for position, edf in enumerate(edfs) if edf is not None and edf.num_failed]
    beyond = _BAR_STEP * (len(gaps) + 1) if gaps else 0.0
    across = width - _LEFT - beyond - (_LABEL_WIDTH if beside else 4.0)
    up = height - _TOP - _BOTTOM
    axes = sheet.add_axes(_LEFT, _BOTTOM + under, across, up)
    scale = error_scale(readings.usual_span([population.errors for population in populations]), spacing=40.0 / across)
    outside = [readings.num_beyond(population, scale.high / 100.0) for population in populations]
    scale.apply(axes, "x")
    _frame(axes, readings.error_name(populations) + (", logarithmic axis" if scale.is_log else ""))
    alike = "" if weighing == "networks" else f", each level of {weighing} counted alike"
    sheet.write(0.0, sheet.height - 12.0, f"share of networks with at most this error{alike}")
    for position, edf in enumerate(edfs):
        if edf is not None:
            draw_curve(axes, edf, position, (scale.low, scale.high))
    if all(edf is None for edf in edfs):
        sheet.write(_LEFT + across / 2, _BOTTOM + under + up / 2, "no network trained yet", ha="center")
    right = _LEFT + across
    for place, position in enumerate(gaps, start=1):
        x, end = right + _BAR_STEP * place, _BOTTOM + under + up * _end(edfs[position])
        style = {"linewidth": 5.0, "solid_capstyle": "butt", "gid": f"failed-{position}"}
        sheet.line([x, x], [end, _BOTTOM + under + up], color=space_look(position).colour, **style)
    if gaps:
        sheet.write(right + beyond - 4.0, sheet.height - 12.0, "failed", ha="right")
        sheet.line([right + 6.0, right + beyond], [_BOTTOM + under] * 2, color=RULE, linewidth=1.0)
    if beside:
        heights = _spread([_BOTTOM + up * _end(edf) for edf in edfs], edfs, sheet.height - _LABEL_HEIGHT / 2)
        for position, (edf, y) in enumerate(zip(edfs, heights, strict=True)):
            if edf is not None and edf.num_failed < edf.n:
                colour = space_look(position).colour
                end = _BOTTOM + up * _end(edf)
                xs = [right, right + beyond + 2.0, right + beyond + _LEADER - 3.0]
                sheet.line(xs, [end, end, y + 8.0], color=colour, linewidth=0.8, alpha=0.6)
            _label(sheet, right + beyond + _LEADER, y, populations[position], edf, outside[position], position)
    else:
        for position, edf in enumerate(edfs):
            y = under - _LABEL_HEIGHT * (position + 0.4)
            _label(sheet, 0.0, y, populations[position], edf, outside[position], position)
    return sheet


def _end(edf: Curve | None) -> float:
    return 0.0 if edf is None else edf.end


def _frame(axes: "Axes", words: str) -> None:
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], labels=["0", "25 %", "50 %", "75 %", "100 %"])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(words, labelpad=6.0)


def draw_curve(axes: "Axes", edf: Curve, position: int, limits: tuple[float, float]) -> None:
    """Draw an EDF: up at each error, level in between, and level from the last one to the right edge.

    Its band begins at the left edge, where no network was as good: one that is drawn next may be.
    """
    look, errors = space_look(position), 100.0 * edf.errors
    inside = int(np.searchsorted(errors, limits[1], side="right"))
    if not inside:
        return
    errors, shares = errors[:inside], edf.shares[:inside]
    lower, upper = (np.append(limit[: inside + 1], limit[inside]) for limit in edf.band)
    edges = np.concatenate((limits[:1], errors, limits[1:]))
    axes.fill_between(edges, lower, upper, step="post", color=look.colour, alpha=0.07, linewidth=0.0)
    for limit in (lower, upper):
        axes.step(edges, limit, where="post", color=look.colour, alpha=0.35, linewidth=0.7)
    axes.step(
        np.concatenate((errors[:1], errors, limits[1:])),
        np.concatenate(([0.0], shares, shares[-1:])),
        where="post",
        color=look.colour,
        linestyle=look.dash,
        linewidth=2.0,
        clip_on=False,
        zorder=3,
        gid=f"edf-{position}",
    )


def _spread(targets: Sequence[float], edfs: Sequence[Curve | None], ceiling: float) -> list[float]:
    """Return heights for labels near their targets without overlap, the better median above at equal ends."""
    medians = [_median(edf) for edf in edfs]
    heights = list(targets)
    for position in sorted(range(len(targets)), key=lambda k: (-targets[k], medians[k], k)):
        heights[position] = min(heights[position], ceiling)
        ceiling = heights[position] - _LABEL_HEIGHT
    lift = max(0.0, _LABEL_HEIGHT / 2 - min(heights, default=math.inf))
    return [height + lift for height in heights]


def _median(edf: Curve | None) -> float:
    if edf is None or edf.end < 0.5:
        return math.inf
    return float(edf.errors[np.searchsorted(edf.shares, 0.5)])


def _label(
    sheet: Sheet, x: float, y: float, population: Population, edf: Curve | None, outside: int, position: int
) -> None:
    look = space_look(position)
    words = "no network trained yet"
    if edf is not None:
        parts = [(outside, "beyond"), (edf.num_failed, "failed")]
        words = ", ".join([counted(edf.n, "network"), *(f"{count} {word}" for count, word in parts if count)])
    sheet.sample(x, y + 8.0, look, mark=False)
    text = x + SAMPLE_WIDTH + 8.0
    sheet.headline(text, y + 8.0, short(population.name, 20), color=look.colour)
    sheet.write(text, y - 6.0, words, size=TEXT_SIZE - 1.0, color=QUIET)
