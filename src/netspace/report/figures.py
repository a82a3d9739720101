"""Takes populations, returns figures; computes nothing but where things stand.

Each function returns a matplotlib `Figure` that belongs to no window and no global state. `images` turns one
into SVG or PNG.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspace.report import panels
from netspace.report.distribution import draw_distributions
from netspace.report.look import TEXT_SIZE, figure_style, space_look
from netspace.report.panels import Panel
from netspace.report.sheet import SAMPLE_WIDTH, Sheet
from netspace.report.wording import short
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL_WIDTH, _PANEL_HEIGHT = 340.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 42.0, 24.0
_TITLE_HEIGHT, _LEGEND_HEIGHT, _LEGEND_WIDTH = 38.0, 26.0, 200.0


def edf_figure(populations: Sequence[Population], *, width: float = 1000.0, height: float = 460.0) -> "Figure":
    """Return the exact-step EDF of each space's errors with its 95 % band; `width`, `height` [points].

    Where networks failed the curve ends below 1, and the gap is marked. On less than 600 points the labels
    stand under the drawing instead of beside it.
    """
    with figure_style():
        sheet = draw_distributions(populations, width, height, beside=width >= 600.0)
        return _finished(sheet)


def complexity_figure(populations: Sequence[Population]) -> "Figure":
    """Return the error of each network against flops, params and activations, on logarithmic axes."""
    title = "Validation error against complexity"
    return compose(panels.complexity_panels(populations), title=title, columns=3, legend=populations)


def parameter_figure(populations: Sequence[Population]) -> "Figure":
    """Return the error of each network against each parameter that differs between networks."""
    title = "Validation error against parameters"
    return compose(panels.parameter_panels(populations), title=title, columns=4, legend=populations)


def staircase_figure(populations: Sequence[Population], *, best: int = 3) -> "Figure":
    """Return the width of each block of the `best` networks of each space."""
    title = "Width of each block, from stem to head, of the best networks"
    drawn = panels.staircase_panels(populations, best)
    return compose(drawn, title=title, columns=min(max(len(drawn), 2), 4))


def learning_curve_figure(populations: Sequence[Population]) -> "Figure":
    """Return validation error by epoch: a faint line per network, the median of each space in bold."""
    title = "Validation error by epoch; the median in bold"
    drawn = panels.learning_curve_panels(populations)
    return compose(drawn, title=title, columns=min(max(len(drawn), 2), 4))


def panel_figure(panel: Panel) -> "Figure":
    """Return a figure of one panel."""
    return compose((panel,))


def compose(
    drawn: Sequence[Panel], *, title: str = "", columns: int = 1, legend: Sequence[Population] = ()
) -> "Figure":
    """Return panels in a grid, a new row for each family, under a title and a legend where given."""
    grid = _grid(drawn, columns)
    rows = max((row for row, _ in grid), default=0) + 1
    width = _PANEL_WIDTH * columns
    per_line = int((width - _LEFT) // _LEGEND_WIDTH)
    header = (_TITLE_HEIGHT if title else 0.0) + _LEGEND_HEIGHT * -(-len(legend) // per_line)
    with figure_style():
        sheet = Sheet.blank(width, header + _PANEL_HEIGHT * rows)
        if title:
            sheet.headline(12.0, sheet.height - 20.0, title, size=TEXT_SIZE + 4.0)
        for position, population in enumerate(legend):
            line, place = divmod(position, per_line)
            x = 12.0 + _LEGEND_WIDTH * place
            y = sheet.height - _TITLE_HEIGHT - _LEGEND_HEIGHT * (line + 0.4)
            look = space_look(position)
            sheet.sample(x, y, look, mark=True)
            sheet.write(x + SAMPLE_WIDTH + 8.0, y, short(population.name), color=look.colour)
        for panel, (row, column) in zip(drawn, grid, strict=True):
            x, y = column * _PANEL_WIDTH + _LEFT, (rows - 1 - row) * _PANEL_HEIGHT + _BOTTOM
            panel.draw(sheet.add_axes(x, y, _PANEL_WIDTH - _LEFT - _RIGHT, _PANEL_HEIGHT - _TOP - _BOTTOM))
        if not drawn:
            sheet.write(width / 2, _PANEL_HEIGHT / 2, "nothing to show yet", ha="center")
        return _finished(sheet)


def _finished(sheet: Sheet) -> "Figure":
    # Ticks are made when first needed, and would take the style of that moment.
    sheet.figure.draw_without_rendering()
    return sheet.figure


def _grid(drawn: Sequence[Panel], columns: int) -> list[tuple[int, int]]:
    """Return (row, column) of each panel."""
    places: list[tuple[int, int]] = []
    row = column = 0
    for position, panel in enumerate(drawn):
        if position and (panel.group != drawn[position - 1].group or column == columns):
            row, column = row + 1, 0
        places.append((row, column))
        column += 1
    return places
