"""Single panels: each knows its title, what is seen in it, and how to draw itself into given axes.

Errors are drawn in per cent. A failed network has no error, so it is a cross above the axes, never left out.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from netspace.networks.complexity import MEASURES
from netspace.report import readings
from netspace.report.look import INK, PAPER, QUIET, RULE, TEXT_SIZE, space_look
from netspace.report.readings import FloatArray, Parameter
from netspace.report.scales import Scale, error_scale, places, scale_of
from netspace.report.wording import amount, counted, short
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_MEASURE_UNITS = {"flops": "multiply-adds", "params": "learnable numbers", "activations": "output numbers"}
_MARK_SIZES = {"o": 4.8, "s": 4.3, "D": 3.9}
_FEW = 10
# Points above the axes of the crosses of failed networks and of the title; below them, of the unit.
_FAILED_AT, _TITLE_AT, _UNIT_BELOW = 7.0, 18.0, 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A drawing of one pair of axes: `seen` says in a sentence what it shows; `group` names its family."""

    title: str
    seen: str
    draw: Callable[["Axes"], None]
    group: str = ""


def complexity_panels(populations: Sequence[Population]) -> tuple[Panel, ...]:
    """Return one panel per measure of complexity: the error of each network against it."""
    scale = _error_scale(populations)

    def panel(measure: str) -> Panel:
        columns = [np.asarray(getattr(p.complexity, measure), dtype=np.float64) for p in populations]
        span = readings.error_span(columns) or (1.0, 2.0)

        def draw(axes: "Axes") -> None:
            scale_of(span, amount, log_above=1.0).apply(axes, "x")
            _scatter(axes, populations, columns, scale, f"{measure.capitalize()} [{_MEASURE_UNITS[measure]}]")

        return Panel(
            title=measure.capitalize(),
            seen=f"Validation error of each network against its {measure}, on a logarithmic axis. "
            + _counts(populations),
            draw=draw,
        )

    return tuple(panel(measure) for measure in MEASURES)


def parameter_panels(populations: Sequence[Population]) -> tuple[Panel, ...]:
    """Return one panel per parameter that differs between networks: the error of each network against it."""
    scale = _error_scale(populations)
    parameters = readings.parameters(populations)

    def panel(parameter: Parameter) -> Panel:
        stages = parameter.group not in (readings.WHOLE, readings.SHARED)
        family = [other for other in parameters if stages and other.group == parameter.group] or [parameter]
        choices = tuple(sorted({choice for member in family for choice in member.choices}))
        x_scale = _parameter_scale(choices, parameter.grows)
        columns = [_spread(parameter, k, choices) for k in range(len(populations))]

        def draw(axes: "Axes") -> None:
            x_scale.apply(axes, "x")
            _scatter(axes, populations, columns, scale, parameter.title)

        return Panel(
            title=parameter.title,
            seen=f"Validation error of each network against its {parameter.title.lower()}. {_counts(populations)}",
            draw=draw,
            group=parameter.group,
        )

    return tuple(panel(parameter) for parameter in parameters)


def staircase_panels(populations: Sequence[Population], best: int = 3) -> tuple[Panel, ...]:
    """Return one panel per space: the widths of the blocks of its best networks."""
    chosen = [
        [readings.block_widths(population.networks[i]) for i in readings.best(population, best)]
        for population in populations
    ]
    most_blocks = max((len(widths) for stairs in chosen for widths in stairs), default=1)
    most_width = max((max(widths) for stairs in chosen for widths in stairs), default=1)
    x_scale = scale_of((0.0, float(most_blocks)), _whole_word, margin=0.06, floor=0.0)
    least_width = min((min(widths) for stairs in chosen for widths in stairs), default=1)
    y_scale = scale_of((float(least_width), float(most_width)), "{:g}".format, log_above=2.0, base=2, margin=0.08)

    def panel(position: int) -> Panel:
        look, stairs = space_look(position), chosen[position]

        def draw(axes: "Axes") -> None:
            x_scale.apply(axes, "x")
            y_scale.apply(axes, "y")
            _frame(axes, short(populations[position].name), colour=look.colour, corner="width" if stairs else "", unit="block")
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
                axes.annotate(
                    str(rank),
                    (len(widths), widths[-1]),
                    xytext=(4, 0),
                    textcoords="offset points",
                    color=INK if rank == 1 else QUIET,
                    fontweight="bold" if rank == 1 else "normal",
                    size=TEXT_SIZE - 1,
                    va="center",
                )
            if not stairs:
                _say(axes, "no finished network")

        words = "; ".join(f"number {k}: {listed}" for k, listed in enumerate(map(_stairs_in_words, stairs), 1))
        return Panel(
            title=short(populations[position].name),
            seen=f"Width of each block of the best networks of {short(populations[position].name)}. "
            + (f"From stem to head, {words}." if words else "No network has finished."),
            draw=draw,
        )

    return tuple(panel(position) for position in range(len(populations)))


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

    def panel(position: int) -> Panel:
        population, look = populations[position], space_look(position)
        failed = readings.num_failed(population)

        def draw(axes: "Axes") -> None:
            x_scale.apply(axes, "x")
            scale.apply(axes, "y")
            _frame(axes, short(population.name), colour=look.colour, corner=_failed_words(failed), unit="epoch")
            for result, epochs, line in curves[position]:
                _curve(axes, epochs, line, color=look.colour, linewidth=0.8, alpha=0.4)
                if result.error is None:
                    _cross(axes, [float(epochs[-1] if epochs else first)], look.colour)
            epochs, line = readings.median_curve(population)
            _curve(axes, epochs, line, color=PAPER, linewidth=4.6, alpha=0.8)
            _curve(axes, epochs, line, color=look.colour, linewidth=2.4)
            if not any(epochs for _, epochs, _ in curves[position]):
                _say(axes, "no epoch recorded" if population.trained else "no network trained yet")

        return Panel(
            title=short(population.name),
            seen=f"Validation error by epoch of the networks of {short(population.name)}, one faint line each, "
            f"their median in bold. {_counts([population])}",
            draw=draw,
        )

    return tuple(panel(position) for position in range(len(populations)))


def _scatter(
    axes: "Axes", populations: Sequence[Population], columns: Sequence[FloatArray], scale: Scale, title: str
) -> None:
    """Draw the error of each network against its column; failures as crosses above the axes."""
    scale.apply(axes, "y")
    num_crosses = 0
    for position, (population, column) in enumerate(zip(populations, columns, strict=True)):
        look, errors = space_look(position), readings.all_errors(population)
        known = np.isfinite(column)
        finite, failed = known & np.isfinite(errors), known & np.isinf(errors)
        axes.plot(
            column[finite],
            100.0 * errors[finite],
            linestyle="none",
            marker=look.mark,
            markersize=_MARK_SIZES.get(look.mark, 5.2),
            markerfacecolor=look.colour,
            markeredgecolor=PAPER,
            markeredgewidth=0.5,
            alpha=0.85,
        )
        _cross(axes, column[failed].tolist(), look.colour)
        num_crosses += int(failed.sum())
    _frame(axes, title, corner=_failed_words(num_crosses))
    if not any(population.trained for population in populations):
        _say(axes, "no network trained yet")


def _parameter_scale(choices: Sequence[float], grows: bool) -> Scale:
    """Return a scale with a place for each value where they are few, else a continuous one."""
    if len(choices) <= _FEW:
        return places(choices)
    base: Literal[2, 10] = 2 if all(choice == int(choice) for choice in choices) else 10
    log_above = 6.0 if grows else math.inf
    return scale_of((choices[0], choices[-1]), "{:.4g}".format, log_above=log_above, base=base)


def _spread(parameter: Parameter, position: int, choices: Sequence[float]) -> FloatArray:
    """Return where the networks of one space stand along a parameter's axis: equal values beside one another.

    The shift of network i is the fraction of i times the golden ratio, which fills an interval evenly.
    """
    values = parameter.values[position]
    jitter = (np.arange(len(values)) * _GOLDEN) % 1.0 - 0.5
    if len(choices) <= _FEW:
        share = 0.8 / len(parameter.values)
        centre = (position - (len(parameter.values) - 1) / 2) * share
        place = np.searchsorted(choices, np.nan_to_num(values, nan=choices[0]))
        return np.where(np.isnan(values), math.nan, place + centre + 0.7 * share * jitter)
    whole = not parameter.grows and all(choice == int(choice) for choice in choices)
    return values + 0.6 * jitter if whole else values


def _curve(axes: "Axes", epochs: Sequence[int], errors: Sequence[float], **style: Any) -> None:
    if epochs:
        # One epoch is a dot, since a line needs two.
        mark = {"marker": "o", "markersize": 2.0 + style["linewidth"]} if len(epochs) == 1 else {}
        axes.plot(epochs, [100.0 * error for error in errors], solid_capstyle="round", **style, **mark)


def _cross(axes: "Axes", at: Sequence[float], colour: str) -> None:
    """Mark failures above the axes."""
    if not len(at):
        return
    from matplotlib.transforms import ScaledTranslation

    above = ScaledTranslation(0.0, _FAILED_AT / 72.0, axes.figure.dpi_scale_trans)
    axes.plot(
        at,
        [1.0] * len(at),
        linestyle="none",
        marker="x",
        markersize=5.0,
        markeredgewidth=1.4,
        color=colour,
        transform=axes.get_xaxis_transform() + above,
        clip_on=False,
    )


def _frame(axes: "Axes", title: str, *, colour: str = INK, corner: str = "", unit: str = "") -> None:
    """Give a panel its title, a baseline, and faint lines to read errors by; `unit` is that of the x axis."""
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    above = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline"}
    axes.annotate(
        title, (0, 1), xytext=(-34, _TITLE_AT), ha="left", color=colour, fontweight="bold", size=TEXT_SIZE, **above
    )
    axes.annotate(unit, (0, 0), xytext=(-34, -_UNIT_BELOW), ha="left", color=QUIET, size=TEXT_SIZE - 1, **above)
    axes.annotate(corner, (1, 1), xytext=(0, _TITLE_AT), ha="right", color=QUIET, size=TEXT_SIZE - 1, **above)


def _say(axes: "Axes", words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=QUIET)


def _error_scale(populations: Sequence[Population]) -> Scale:
    return error_scale(readings.error_span(population.errors for population in populations))


def _whole_word(number: float) -> str:
    return f"{number:g}" if number == int(number) else ""


def _failed_words(count: int) -> str:
    return f"× {count} failed" if count else ""


def _counts(populations: Sequence[Population]) -> str:
    finished = sum(int(np.isfinite(p.errors).sum()) for p in populations)
    failed = sum(map(readings.num_failed, populations))
    words = f"{counted(finished, 'network')} of {counted(len(populations), 'space')}"
    return words + (f"; {failed} failed, shown as crosses above the axes." if failed else ".")


def _stairs_in_words(widths: Sequence[int]) -> str:
    runs = [(width, len(list(run))) for width, run in itertools.groupby(widths)]
    return ", ".join(f"{count} blocks of {width}" if count > 1 else f"1 block of {width}" for width, count in runs)
