"""Panels of dots: the error of each network against what it costs, or against what was chosen for it."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from netspace.findings import readings
from netspace.findings.readings import FloatArray, Parameter
from netspace.networks.complexity import MEASURES
from netspace.report.best_ranges import draw_ranges, ranges_of, ranges_seen
from netspace.report.crowds import crowds, is_crowd, largest
from netspace.report.look import PAPER, space_look
from netspace.report.panel import Panel, counts, cross, failed_words, frame, say
from netspace.report.scales import Scale, error_scale, places, scale_of
from netspace.report.wording import amount
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
MEASURE_UNITS = {"flops": "multiply-adds", "params": "learnable numbers", "activations": "output numbers"}
_MARK_SIZES = {"o": 4.8, "s": 4.3, "D": 3.9}
# How far apart equal whole numbers are spread, of the 1 between neighbours.
_JITTER = 0.6
# Letters of tick words that fit along the axis of the narrowest panel.
_LETTERS = 32


def complexity_panels(populations: Sequence[Population]) -> tuple[Panel, ...]:
    """Return one panel per measure of complexity: the error of each network against it."""
    scale, name = _error_scale(populations), readings.error_name(populations).capitalize()

    def panel(measure: str) -> Panel:
        columns = [np.asarray(getattr(p.complexity, measure), dtype=np.float64) for p in populations]
        span = readings.error_span(columns) or (1.0, 2.0)

        def draw(axes: "Axes") -> None:
            x_scale = scale_of(span, amount, log_above=1.0, spacing=0.15)
            _scatter(axes, populations, columns, (x_scale, scale), f"{measure.capitalize()} [{MEASURE_UNITS[measure]}]")

        return Panel(
            title=measure.capitalize(),
            seen=f"{name} of each network against its {measure}, on a logarithmic axis. " + counts(populations),
            draw=draw,
        )

    return tuple(panel(measure) for measure in MEASURES)


def parameter_panels(populations: Sequence[Population], ranges: Sequence[Mapping[str, Any]] = ()) -> tuple[Panel, ...]:
    """Return one panel per parameter that differs between networks: the error of each network against it.

    `ranges` are rows of `findings.ranges`, marked where a panel shows their parameter.
    """
    scale, name = _error_scale(populations), readings.error_name(populations).capitalize()
    parameters = readings.parameters(populations)

    def panel(parameter: Parameter) -> Panel:
        choices = readings.family_choices(parameter, parameters)
        x_scale = _parameter_scale(choices, parameter.grows)
        columns = [_spread(parameter, k, choices) for k in range(len(populations))]

        def draw(axes: "Axes") -> None:
            _scatter(axes, populations, columns, (x_scale, scale), parameter.title)
            found = ranges_of(parameter, ranges, [population.name for population in populations])
            draw_ranges(axes, found, choices if _has_places(choices, parameter.grows) else None)

        return Panel(
            title=parameter.title,
            seen=f"{name} of each network against its {parameter.title.lower()}. "
            + counts(populations)
            + ranges_seen(parameter, ranges, populations),
            draw=draw,
            group=parameter.group,
        )

    return tuple(panel(parameter) for parameter in parameters)


def _scatter(
    axes: "Axes",
    populations: Sequence[Population],
    columns: Sequence[FloatArray],
    scales: tuple[Scale, Scale],
    title: str,
) -> None:
    """Draw the error of each network against its column; failures as crosses above the axes."""
    x_scale, y_scale = scales
    x_scale.apply(axes, "x")
    y_scale.apply(axes, "y")
    finite, failed = [], []
    for population, column in zip(populations, columns, strict=True):
        errors = readings.all_errors(population)
        known = np.isfinite(column)
        shown = known & np.isfinite(errors)
        finite.append((column[shown], 100.0 * errors[shown]))
        failed.append(column[known & np.isinf(errors)])
    crowded = is_crowd(populations)
    most = max((largest(x, y, x_scale, y_scale) for x, y in finite), default=0) if crowded else 0
    for position, ((x, y), at) in enumerate(zip(finite, failed, strict=True)):
        look = space_look(position)
        if crowded:
            for crowd in crowds(x, y, x_scale, y_scale, most):
                # The smallest marks lie on top, so that no space hides another.
                draw_marks(axes, crowd.x, crowd.y, position, 1.9 * crowd.size, order=3.0 - crowd.size)
            at = x_scale.at((np.unique(np.floor(60.0 * x_scale.share(at))) + 0.5) / 60.0)
        else:
            draw_marks(axes, x, y, position)
        cross(axes, at.tolist(), look.colour, name=f"crosses-{position}")
    frame(axes, title, corner=failed_words(sum(at.size for at in failed)))
    if not any(population.trained for population in populations):
        say(axes, "no network trained yet")


def draw_marks(
    axes: "Axes", x: FloatArray, y: FloatArray, position: int, size: float = 1.0, order: float = 2.0
) -> None:
    """Mark networks of the space at a position."""
    look = space_look(position)
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=look.mark,
        markersize=size * _MARK_SIZES.get(look.mark, 5.2),
        markerfacecolor=look.colour,
        markeredgecolor=PAPER,
        markeredgewidth=0.5,
        alpha=0.85,
        zorder=order,
        gid=f"marks-{position}",
    )


def _has_places(choices: Sequence[float], grows: bool) -> bool:
    """Whether each value is a place of its own: round numbers thought of in ratios, whose words fit."""
    round_ones = all(choice == int(choice) or choice < 1 for choice in choices)
    return grows and round_ones and sum(len(f"{choice:g} ") for choice in choices) <= _LETTERS


def _parameter_scale(choices: Sequence[float], grows: bool) -> Scale:
    if _has_places(choices, grows):
        return places(choices)
    base: Literal[2, 10] = 2 if _all_whole(choices) else 10
    room = _JITTER / 2 if _is_spread(choices, grows) else 0.0
    return scale_of(
        (choices[0] - room, choices[-1] + room),
        "{:.4g}".format,
        log_above=6.0 if grows else math.inf,
        base=base,
        spacing=0.12,
    )


def _spread(parameter: Parameter, position: int, choices: Sequence[float]) -> FloatArray:
    """Return where the networks of one space stand along a parameter's axis: equal values beside one another.

    The shift of network i is the fraction of i times the golden ratio, which fills an interval evenly.
    """
    values = parameter.values[position]
    jitter = (np.arange(len(values)) * _GOLDEN) % 1.0 - 0.5
    if _has_places(choices, parameter.grows):
        share = 0.8 / len(parameter.values)
        centre = (position - (len(parameter.values) - 1) / 2) * share
        place = np.searchsorted(choices, np.nan_to_num(values, nan=choices[0]))
        return np.where(np.isnan(values), math.nan, place + centre + 0.7 * share * jitter)
    return values + _JITTER * jitter if _is_spread(choices, parameter.grows) else values


def _is_spread(choices: Sequence[float], grows: bool) -> bool:
    """Whether equal values on a continuous axis are moved apart: whole numbers of which each step counts."""
    return _all_whole(choices) and not grows


def _all_whole(choices: Sequence[float]) -> bool:
    return all(choice == int(choice) for choice in choices)


def _error_scale(populations: Sequence[Population]) -> Scale:
    return error_scale(readings.error_span(population.errors for population in populations))
