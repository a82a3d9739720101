"""Panels of bars, one per space: how much each parameter matters to what a forest predicts."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netspace.report.look import INK, QUIET, RULE, TEXT_SIZE, space_look
from netspace.report.panel import AXES_LEFT, Panel
from netspace.report.wording import short
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_ABOVE, _TITLE_ABOVE = 0.3, 18.0


def importance_panels(forests: Sequence[Mapping[str, Any]], populations: Sequence[Population]) -> tuple[Panel, ...]:
    """Return one panel per space whose forest explains enough; `forests` are rows of `findings.importance`."""
    told = [row for row in forests if row["groups"]]
    most = max((group["high"] for row in told for group in row["groups"]), default=1.0)
    places = {population.name: position for position, population in enumerate(populations)}
    return tuple(
        Panel(
            title=short(row["space"]), seen=_words(row), draw=functools.partial(_draw, row, places[row["space"]], most)
        )
        for row in told
    )


def _draw(row: Mapping[str, Any], position: int, most: float, axes: "Axes") -> None:
    """Draw a bar per parameter from the top down, its name above it and its limits as a line over it."""
    colour = space_look(position).colour
    for place, group in enumerate(row["groups"]):
        axes.barh(place + 0.2, max(group["rise"], 0.0), height=0.32, color=colour, alpha=0.45, linewidth=0.0)
        axes.plot([max(group["low"], 0.0), max(group["high"], 0.0)], [place + 0.2] * 2, color=INK, linewidth=1.1)
        axes.text(0.0, place - _LABEL_ABOVE + 0.22, group["name"], color=INK, size=TEXT_SIZE - 1)
    axes.set_xlim(0.0, 1.04 * most)
    axes.set_ylim(max(len(row["groups"]), 4) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_color(RULE)
    ticks = [tick for tick in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0) if tick <= 1.04 * most]
    axes.set_xticks(ticks, labels=[f"{100 * tick:g}\N{NO-BREAK SPACE}%" for tick in ticks])
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline"}
    style: dict[str, Any] = {"color": colour, "fontweight": "bold", "size": TEXT_SIZE}
    axes.annotate(short(row["space"]), (0, 1), xytext=(-AXES_LEFT, _TITLE_ABOVE), ha="left", **style, **above)
    explained = f"forest explains {100 * row['explained']:.0f}\N{NO-BREAK SPACE}%"
    quiet: dict[str, Any] = {"color": QUIET, "size": TEXT_SIZE - 1}
    axes.annotate(explained, (1, 1), xytext=(0, _TITLE_ABOVE), ha="right", **quiet, **above)


def _words(row: Mapping[str, Any]) -> str:
    listed = "; ".join(
        f"{group['name']} {100 * group['rise']:.0f} % ({100 * group['low']:.0f} to {100 * group['high']:.0f})"
        for group in row["groups"]
    )
    return f"How much worse a forest predicts the errors of {short(row['space'])} without each parameter: {listed}."
