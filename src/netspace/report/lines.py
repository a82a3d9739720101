"""Panels of lines, one per space: the widths of its best networks, and how its networks learned."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netspace.findings import readings
from netspace.report.look import INK, PAPER, QUIET, TEXT_SIZE, space_look
from netspace.report.panel import Panel, counts, cross, failed_words, frame, say
from netspace.report.scales import error_scale, scale_of
from netspace.report.wording import short
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 150
"""Networks of a space above which shares of them are shaded instead of a line each."""

_RANK = 9.0
"""Points that the rank of a staircase takes."""


def staircase_panels(populations: Sequence[Population], best: int = 3) -> tuple[Panel, ...]:
    """Return one panel per space: the widths of the blocks of its best networks."""
    chosen = [
        [readings.block_widths(population.networks[i]) for i in readings.best(population, best)]
        for population in populations
    ]
    most_blocks = max((len(widths) for stairs in chosen for widths in stairs), default=1)
    most_width = max((max(widths) for stairs in chosen for widths in stairs), default=1)
    x_scale = scale_of((0.0, float(most_blocks)), _whole_word, margin=0.1, floor=0.0)
    least_width = min((min(widths) for stairs in chosen for widths in stairs), default=1)
    y_scale = scale_of((float(least_width), float(most_width)), "{:g}".format, log_above=2.0, base=2, margin=0.08)

    def panel(position: int) -> Panel:
        look, stairs = space_look(position), chosen[position]

        def draw(axes: "Axes") -> None:
            x_scale.apply(axes, "x")
            y_scale.apply(axes, "y")
            frame(
                axes,
                short(populations[position].name),
                colour=look.colour,
                corner="width" if stairs else "",
                unit="block",
            )
            for rank, widths in reversed(list(enumerate(stairs, start=1))):
                thickness, strength = (2.4, 1.0) if rank == 1 else (1.2, 0.75 if rank == 2 else 0.5)
                axes.stairs(
                    widths,
                    list(range(len(widths) + 1)),
                    baseline=None,
                    color=look.colour,
                    alpha=strength,
                    linewidth=thickness,
                    zorder=4 - rank / 10,
                )
            _ranks(axes, [(len(widths), widths[-1]) for widths in stairs])
            if not stairs:
                say(axes, "no finished network")

        words = "; ".join(f"number {k}: {listed}" for k, listed in enumerate(map(_stairs_in_words, stairs), 1))
        return Panel(
            title=short(populations[position].name),
            seen=f"Width of each block of the best networks of {short(populations[position].name)}. "
            + (f"From stem to head, {words}." if words else "No network has finished."),
            draw=draw,
        )

    return tuple(panel(position) for position in range(len(populations)))


def _ranks(axes: "Axes", ends: Sequence[tuple[int, int]]) -> None:
    """Write its rank at the end of each staircase, beside the rank that stands there already."""
    placed: list[tuple[float, float]] = []
    for rank, end in enumerate(ends, start=1):
        across, up = (float(v) for v in axes.transData.transform(end))
        while any(abs(across - x) < _RANK and abs(up - y) < _RANK for x, y in placed):
            across += _RANK
        placed.append((across, up))
        axes.annotate(
            str(rank),
            (across, up),
            xycoords="figure pixels",
            xytext=(4, 0),
            textcoords="offset points",
            color=INK if rank == 1 else QUIET,
            fontweight="bold" if rank == 1 else "normal",
            size=TEXT_SIZE - 1,
            va="center",
        )


def learning_curve_panels(populations: Sequence[Population]) -> tuple[Panel, ...]:
    """Return one panel per space: validation error by epoch, a line per network, the median in bold."""
    curves = [
        [(result, *readings.error_curve(result)) for result in population.results if result is not None]
        for population in populations
    ]
    errors = [np.array(line) for results in curves for _, _, line in results]
    span = readings.error_span(errors)
    scale = error_scale(span)
    last = max((epochs[-1] for results in curves for _, epochs, _ in results if epochs), default=1)
    first = min((epochs[0] for results in curves for _, epochs, _ in results if epochs), default=0)
    x_scale = scale_of((float(first), float(max(last, first + 1))), _whole_word, margin=0.03)

    name = readings.error_name(populations).capitalize()

    def panel(position: int) -> Panel:
        population, look = populations[position], space_look(position)
        failed = readings.num_failed(population)

        def draw(axes: "Axes") -> None:
            x_scale.apply(axes, "x")
            scale.apply(axes, "y")
            frame(axes, short(population.name), colour=look.colour, corner=failed_words(failed), unit="epoch")
            failed_at = [float(epochs[-1] if epochs else first) for r, epochs, _ in curves[position] if r.error is None]
            if len(curves[position]) > MOST_LINES:
                _shade(axes, population, look.colour, scale.high)
                failed_at = sorted(set(failed_at))
            else:
                _all_curves(axes, [(epochs, line) for _, epochs, line in curves[position]], look.colour)
            cross(axes, failed_at, look.colour)
            epochs, line = readings.median_curve(population)
            _curve(axes, epochs, line, color=PAPER, linewidth=4.6, alpha=0.8)
            _curve(axes, epochs, line, color=look.colour, linewidth=2.4)
            if not any(epochs for _, epochs, _ in curves[position]):
                say(axes, "no epoch recorded" if population.trained else "no network trained yet")

        return Panel(
            title=short(population.name),
            seen=f"{name} by epoch of the networks of {short(population.name)}, one faint line "
            f"each, their median in bold. {counts([population])}",
            draw=draw,
        )

    return tuple(panel(position) for position in range(len(populations)))


def _shade(axes: "Axes", population: Population, colour: str, top: float) -> None:
    """Shade where the middle half and the middle 80 % of the networks are at each epoch."""
    for low, high in ((0.1, 0.9), (0.25, 0.75)):
        (epochs, lower), (_, upper) = (readings.quantile_curve(population, share) for share in (low, high))
        below, above = (np.minimum(100.0 * np.array(limit), top) for limit in (lower, upper))
        axes.fill_between(epochs, below, above, color=colour, alpha=0.2, linewidth=0.0)


def _all_curves(axes: "Axes", curves: Sequence[tuple[Sequence[int], Sequence[float]]], colour: str) -> None:
    """Draw a faint line for each network; one collection takes a tenth of the time of as many lines."""
    from matplotlib.collections import LineCollection

    style = {"color": colour, "linewidth": 0.8, "alpha": 0.4}
    lines = [np.column_stack((epochs, 100.0 * np.array(line))) for epochs, line in curves if len(epochs) > 1]
    axes.add_collection(LineCollection(lines, capstyle="round", joinstyle="round", zorder=2.0, **style), autolim=False)
    for epochs, line in curves:
        if len(epochs) == 1:
            _curve(axes, epochs, line, **style)


def _curve(axes: "Axes", epochs: Sequence[int], errors: Sequence[float], **style: Any) -> None:
    if epochs:
        # One epoch is a dot, since a line needs two.
        mark = {"marker": "o", "markersize": 2.0 + style["linewidth"]} if len(epochs) == 1 else {}
        axes.plot(epochs, [100.0 * error for error in errors], solid_capstyle="round", **style, **mark)


def _whole_word(number: float) -> str:
    return f"{number:g}" if number == int(number) else ""


def _stairs_in_words(widths: Sequence[int]) -> str:
    runs = [(width, len(list(run))) for width, run in itertools.groupby(widths)]
    return ", ".join(f"{count} blocks of {width}" if count > 1 else f"1 block of {width}" for width, count in runs)
