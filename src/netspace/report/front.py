"""The figure of a pick: the error of each network against one cost, and the front as a line of steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from netspace.findings.candidates import LATENCY, Candidate
from netspace.report.look import INK, TEXT_SIZE, figure_style, space_look
from netspace.report.panel import AXES_LEFT, cross, failed_words, frame
from netspace.report.scales import scale_of
from netspace.report.scatter import MEASURE_UNITS, draw_marks
from netspace.report.sheet import SAMPLE_WIDTH, Sheet
from netspace.report.wording import amount, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _EDGE, _TOP, _BOTTOM, _LEGEND = 720.0, 440.0, 14.0, 96.0, 28.0, 200.0


def front_figure(candidates: Sequence[Candidate], *, spaces: Sequence[str], against: str, name: str) -> "Figure":
    """Return the error (called `name`) of each candidate against a cost, the front, and a ring around the picked one.

    A network is drawn as one of the first space that drew it; failures are crosses above the axes. Nothing is
    computed: `candidates` say what is on the front, and the first of them is the one that was picked.
    """
    with figure_style():
        sheet = Sheet.blank(_WIDTH, _HEIGHT)
        sheet.headline(_EDGE, _HEIGHT - 20.0, f"{name.capitalize()} against {against}", size=TEXT_SIZE + 4.0)
        for position, space in enumerate(spaces):
            line, place = divmod(position, 3)
            x, y = _EDGE + _LEGEND * place, _HEIGHT - 48.0 - 16.0 * line
            sheet.sample(x, y, space_look(position), mark=True)
            sheet.write(x + SAMPLE_WIDTH + 8.0, y, short(space), color=space_look(position).colour)
        top = _TOP + 16.0 * ((len(spaces) - 1) // 3)
        left = _EDGE + AXES_LEFT
        axes = sheet.add_axes(left, _BOTTOM, _WIDTH - left - _EDGE, _HEIGHT - top - _BOTTOM)
        errors = [one.error for one in candidates if one.error is not None]
        every = [one.cost(against) for one in candidates]
        words = "{:.3g}".format if against == LATENCY else amount
        # Logarithmic sooner than elsewhere: the front lies among the lowest errors.
        span = 100.0 * min(errors), 100.0 * max(errors)
        y_scale = scale_of(span, "{:.4g}\N{NO-BREAK SPACE}%".format, log_above=2.0, floor=0.0)
        x_scale = scale_of((min(every), max(every)), words, log_above=3.0)
        x_scale.apply(axes, "x")
        y_scale.apply(axes, "y")
        for position, space in enumerate(spaces):
            its = [one for one in candidates if one.spaces[0] == space]
            finished = [one for one in its if one.error is not None]
            points = [(one.cost(against), 100.0 * (one.error or 0.0)) for one in finished]
            draw_marks(axes, np.array([x for x, _ in points]), np.array([y for _, y in points]), position)
            failed = [one.cost(against) for one in its if one.error is None]
            cross(axes, failed, space_look(position).colour, name=f"crosses-{position}")
        on_front = [one for one in candidates if one.on_front]
        front = sorted((one.cost(against), 100.0 * (one.error or 0.0)) for one in on_front)
        steps = [*front, (x_scale.high, front[-1][1])]
        axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", color=INK, linewidth=1.2, zorder=1.5, gid="front")
        picked = candidates[0]
        axes.plot(
            [picked.cost(against)],
            [100.0 * (picked.error or 0.0)],
            marker="o",
            markersize=11.0,
            markerfacecolor="none",
            markeredgecolor=INK,
            linestyle="none",
            gid="picked",
        )
        unit = "ms" if against == LATENCY else MEASURE_UNITS[against]
        frame(axes, f"{against.capitalize()} [{unit}]", corner=failed_words(len(candidates) - len(errors)))
        return sheet.figure
