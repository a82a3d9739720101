"""Panels of two curves each: the pairs of spaces that a study asks about, side by side as in the chapter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspace.findings import readings
from netspace.report.curves import curves
from netspace.report.distribution import draw_curve
from netspace.report.look import RULE, TEXT_SIZE, space_look
from netspace.report.panel import Panel, frame, say
from netspace.report.scales import error_scale
from netspace.report.wording import short
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE_LETTERS = 16


def pair_panels(populations: Sequence[Population], pairs: Sequence[tuple[str, str]]) -> tuple[Panel, ...]:
    """Return a panel per pair whose spaces are both there: their EDFs with 95 % bands, all panels on the same axes.

    A few errors far beyond all others are counted in the corner, and do not stretch the axes.
    """
    position = {population.name: k for k, population in enumerate(populations)}
    there = [(position[a], position[b]) for a, b in pairs if a in position and b in position]
    edfs = curves(populations)
    scale = error_scale(readings.usual_span([population.errors for population in populations]))

    def panel(pair: tuple[int, int]) -> Panel:
        names = [short(populations[k].name, _TITLE_LETTERS) for k in pair]

        def draw(axes: "Axes") -> None:
            scale.apply(axes, "x")
            axes.set_ylim(0.0, 1.0)
            axes.set_yticks([0.0, 0.5, 1.0], labels=["0", "50 %", "100 %"])
            failed = sum(readings.num_failed(populations[k]) for k in pair)
            beyond = sum(readings.num_beyond(populations[k], scale.high / 100.0) for k in pair)
            corner = [f"{count} {word}" for count, word in ((beyond, "beyond"), (failed, "failed")) if count]
            frame(axes, " and ".join(names), corner=", ".join(corner), unit="error")
            axes.grid(visible=True, axis="x", color=RULE, linewidth=0.7)
            for row, k in enumerate(pair):
                edf, look = edfs[k], space_look(k)
                if edf is not None:
                    draw_curve(axes, edf, k, (scale.low, scale.high))
                axes.text(
                    0.98,
                    0.13 - 0.09 * row,
                    f"{names[row]} ({edf.n if edf else 0})",
                    transform=axes.transAxes,
                    ha="right",
                    color=look.colour,
                    size=TEXT_SIZE - 1.0,
                )
            if all(edfs[k] is None for k in pair):
                say(axes, "no network trained yet")

        words = [f"{name}: {_median(populations[k])}" for name, k in zip(names, pair, strict=True)]
        return Panel(title=" and ".join(names), seen=f"Distributions of errors. {'; '.join(words)}.", draw=draw)

    return tuple(map(panel, there))


def _median(population: Population) -> str:
    edf = readings.distribution(population)
    if edf is None:
        return "no network trained yet"
    return f"half of {edf.n} networks at {100 * edf.median:.3g} %" if edf.median <= 1.0 else "most networks failed"
