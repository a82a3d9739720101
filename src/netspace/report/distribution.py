"""The figure that everything else explains: the distribution of errors of each space, as exact steps."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from netspace.findings import readings
from netspace.report.look import QUIET, RULE, TEXT_SIZE, space_look
from netspace.report.scales import error_scale
from netspace.report.sheet import SAMPLE_WIDTH, Sheet
from netspace.report.wording import counted, short
from netspace.stats import EDF
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _TOP, _BOTTOM = 44.0, 34.0, 44.0
_LABEL_WIDTH, _LABEL_HEIGHT = 196.0, 35.0
_LEADER, _BAR_STEP = 22.0, 13.0


def draw_distributions(populations: Sequence[Population], width: float, height: float, *, beside: bool) -> Sheet:
    """Return a sheet with the EDFs; `height` is that of the drawing without labels that stand under it."""
    under = 0.0 if beside else _LABEL_HEIGHT * len(populations)
    sheet = Sheet.blank(width, height + under)
    edfs = [readings.distribution(population) for population in populations]
    gaps = [position for position, edf in enumerate(edfs) if edf is not None and edf.num_failed]
    beyond = _BAR_STEP * (len(gaps) + 1) if gaps else 0.0
    across = width - _LEFT - beyond - (_LABEL_WIDTH if beside else 4.0)
    up = height - _TOP - _BOTTOM
    axes = sheet.add_axes(_LEFT, _BOTTOM + under, across, up)
    scale = error_scale(readings.error_span(edf.errors for edf in edfs if edf is not None), spacing=40.0 / across)
    scale.apply(axes, "x")
    _frame(axes, "validation error" + (", logarithmic axis" if scale.is_log else ""))
    sheet.write(0.0, sheet.height - 12.0, "share of networks with at most this error")
    for position, edf in enumerate(edfs):
        if edf is not None:
            _draw(axes, edf, position, scale.high)
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
            _label(sheet, right + beyond + _LEADER, y, populations[position], edf, position)
    else:
        for position, edf in enumerate(edfs):
            y = under - _LABEL_HEIGHT * (position + 0.4)
            _label(sheet, 0.0, y, populations[position], edf, position)
    return sheet


def _end(edf: EDF | None) -> float:
    """Return how high a curve reaches: the share of the networks that did not fail."""
    return 0.0 if edf is None else 1.0 - edf.num_failed / edf.n


def _frame(axes: "Axes", words: str) -> None:
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], labels=["0", "25 %", "50 %", "75 %", "100 %"])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(words, labelpad=6.0)


def _draw(axes: "Axes", edf: EDF, position: int, right: float) -> None:
    """Draw an EDF: up at each error, level in between, and level from the last one to the right edge."""
    errors, shares = edf.steps
    if not errors.size:
        return
    look = space_look(position)
    lower, upper = edf.band()
    edges = np.append(100.0 * errors, right)
    limits = np.append(lower, lower[-1]), np.append(upper, upper[-1])
    axes.fill_between(edges, *limits, step="post", color=look.colour, alpha=0.07, linewidth=0.0)
    for limit in limits:
        axes.step(edges, limit, where="post", color=look.colour, alpha=0.35, linewidth=0.7)
    axes.step(
        np.concatenate((edges[:1], edges)),
        np.concatenate(([0.0], shares, shares[-1:])),
        where="post",
        color=look.colour,
        linestyle=look.dash,
        linewidth=2.0,
        clip_on=False,
        zorder=3,
        gid=f"edf-{position}",
    )


def _spread(targets: Sequence[float], edfs: Sequence[EDF | None], ceiling: float) -> list[float]:
    """Return heights for labels near their targets without overlap, the better median above at equal ends."""
    medians = [math.inf if edf is None else edf.median for edf in edfs]
    heights = list(targets)
    for position in sorted(range(len(targets)), key=lambda k: (-targets[k], medians[k], k)):
        heights[position] = min(heights[position], ceiling)
        ceiling = heights[position] - _LABEL_HEIGHT
    lift = max(0.0, _LABEL_HEIGHT / 2 - min(heights, default=math.inf))
    return [height + lift for height in heights]


def _label(sheet: Sheet, x: float, y: float, population: Population, edf: EDF | None, position: int) -> None:
    look = space_look(position)
    words = "no network trained yet"
    if edf is not None:
        words = counted(edf.n, "network") + (f", {edf.num_failed} failed" if edf.num_failed else "")
    sheet.sample(x, y + 8.0, look, mark=False)
    text = x + SAMPLE_WIDTH + 8.0
    sheet.headline(text, y + 8.0, short(population.name, 20), color=look.colour)
    sheet.write(text, y - 6.0, words, size=TEXT_SIZE - 1.0, color=QUIET)
