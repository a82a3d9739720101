"""Takes populations, returns figures; computes nothing but where things stand.

Each function returns a matplotlib `Figure` that belongs to no window and no global state. `images` turns one
into SVG or PNG.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netspace.findings import readings
from netspace.report import lines, scatter
from netspace.report.bars import importance_panels
from netspace.report.distribution import draw_distributions
from netspace.report.look import TEXT_SIZE, figure_style, space_look
from netspace.report.pairs import pair_panels
from netspace.report.panel import AXES_LEFT, Panel
from netspace.report.sample_panels import cost_panels, marginal_panels
from netspace.report.sheet import SAMPLE_WIDTH, Sheet
from netspace.report.wording import short
from netspace.spaces.marginals import Marginal
from netspace.spaces.sample import Sample
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL_SIZES = {2: (520.0, 290.0), 3: (344.0, 256.0), 4: (262.0, 218.0)}
"""Width and height of a panel by the number of columns, so that a row is about as wide as the page."""

_RIGHT, _TOP, _BOTTOM = 6.0, 42.0, 24.0
_EDGE, _GUTTER, _TITLE_HEIGHT, _LEGEND_HEIGHT, _LEGEND_WIDTH = 14.0, 20.0, 38.0, 26.0, 200.0


def edf_figure(
    populations: Sequence[Population], *, width: float = 1000.0, height: float = 470.0, weighing: str = "networks"
) -> "Figure":
    """Return the exact-step EDF of each space's errors with its 95 % band; `width`, `height` [points].

    `weighing` is what counts alike, one of `curves.WEIGHINGS`. Where networks failed the curve ends below 1, and the
    gap is marked. On less than 600 points the labels stand under the drawing instead of beside it.
    """
    with figure_style():
        return draw_distributions(populations, width, height, beside=width >= 600.0, weighing=weighing).figure


def pair_figure(populations: Sequence[Population], pairs: Sequence[tuple[str, str]]) -> "Figure":
    """Return the EDFs of each pair of spaces, two to a panel, with their 95 % bands."""
    drawn = pair_panels(populations, pairs)
    return compose(drawn, title="The pairs that were asked about", columns=columns_for(len(drawn)))


def complexity_figure(populations: Sequence[Population]) -> "Figure":
    """Return the error of each network against flops, params and activations, on logarithmic axes."""
    title = f"{readings.error_name(populations).capitalize()} against complexity"
    return compose(scatter.complexity_panels(populations), title=title, columns=3, legend=populations)


def parameter_figure(populations: Sequence[Population], ranges: Sequence[Mapping[str, Any]] = ()) -> "Figure":
    """Return the error of each network against each parameter that differs between networks.

    `ranges` are rows of `findings.ranges`: where the best values lie is marked at the top of the panels.
    """
    title = f"{readings.error_name(populations).capitalize()} against parameters"
    return compose(scatter.parameter_panels(populations, ranges), title=title, columns=4, legend=populations)


def cost_figure(sample: Sample) -> "Figure":
    """Return params and activations of each network of a sample against its flops, on logarithmic axes."""
    return compose(cost_panels(sample), title="What the networks of the sample cost", columns=2)


def marginal_figure(marginals: Sequence[Marginal]) -> "Figure":
    """Return bars of the shares of each parameter's values in a sample, and lines of those before its budget.

    `marginals` are those of `spaces.marginals`, of a sample that took a budget.
    """
    return compose(marginal_panels(marginals, exact=False), title="What the budget leaves of each law", columns=4)


def staircase_figure(populations: Sequence[Population], *, best: int = 3) -> "Figure":
    """Return the width of each block of the `best` networks of each space."""
    title = "Width of each block, from stem to head, of the best networks"
    drawn = lines.staircase_panels(populations, best)
    return compose(drawn, title=title, columns=columns_for(len(drawn)))


def learning_curve_figure(populations: Sequence[Population]) -> "Figure":
    """Return validation error by epoch: a faint line per network, the median of each space in bold."""
    title = f"{readings.error_name(populations).capitalize()} by epoch; the median in bold"
    drawn = lines.learning_curve_panels(populations)
    return compose(drawn, title=title, columns=columns_for(len(drawn)))


def importance_figure(forests: Sequence[Mapping[str, Any]], populations: Sequence[Population]) -> "Figure":
    """Return how much each parameter matters to the forest of each space; `forests` are of `findings.importance`."""
    drawn = importance_panels(forests, populations)
    return compose(drawn, title="What matters most to the error, with 95 % limits", columns=columns_for(len(drawn)))


def columns_for(count: int) -> int:
    """Return in how many columns so many panels of one family stand, so that rows are full.

    >>> [columns_for(n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 8)]
    [2, 2, 2, 3, 4, 3, 3, 4, 4]
    """
    return 3 if count in (5, 6) else min(max(count, 2), 4)


def panel_figure(panel: Panel, *, columns: int) -> "Figure":
    """Return a figure of one panel, of the size that it has in so many columns."""
    with figure_style():
        width, height = _PANEL_SIZES[columns]
        sheet = Sheet.blank(width, height)
        panel.draw(sheet.add_axes(AXES_LEFT, _BOTTOM, width - AXES_LEFT - _RIGHT, height - _TOP - _BOTTOM))
        return sheet.figure


def sample_figure(position: int) -> "Figure":
    """Return the line and the mark of the space at a position, for a legend that stands in text."""
    with figure_style():
        sheet = Sheet.blank(SAMPLE_WIDTH, 12.0)
        sheet.sample(0.0, 6.0, space_look(position), mark=True)
        return sheet.figure


def compose(
    drawn: Sequence[Panel],
    *,
    title: str,
    columns: int,
    size: int | None = None,
    legend: Sequence[Population] = (),
) -> "Figure":
    """Return panels in a grid, each family in rows of its own, under a title and a legend of spaces.

    Panels are as large as they are in `size` columns of a page, by default `columns`.
    """
    grid = _grid(drawn, columns)
    rows = max((row for row, _ in grid), default=0) + 1
    panel_width, panel_height = _PANEL_SIZES[size or columns]
    step = panel_width + _GUTTER
    width = step * columns - _GUTTER + 2 * _EDGE
    per_line = int((width - 2 * _EDGE) // _LEGEND_WIDTH)
    header = _TITLE_HEIGHT + _LEGEND_HEIGHT * -(-len(legend) // per_line)
    with figure_style():
        sheet = Sheet.blank(width, header + panel_height * rows + _EDGE)
        sheet.headline(_EDGE, sheet.height - 20.0, title, size=TEXT_SIZE + 4.0)
        for position, population in enumerate(legend):
            line, place = divmod(position, per_line)
            x = _EDGE + _LEGEND_WIDTH * place
            y = sheet.height - _TITLE_HEIGHT - _LEGEND_HEIGHT * (line + 0.4)
            look = space_look(position)
            sheet.sample(x, y, look, mark=True)
            sheet.write(x + SAMPLE_WIDTH + 8.0, y, short(population.name), color=look.colour)
        for panel, (row, column) in zip(drawn, grid, strict=True):
            x, y = _EDGE + column * step + AXES_LEFT, _EDGE + (rows - 1 - row) * panel_height + _BOTTOM
            panel.draw(sheet.add_axes(x, y, panel_width - AXES_LEFT - _RIGHT, panel_height - _TOP - _BOTTOM))
        if not drawn:
            sheet.write(width / 2, panel_height / 2, "nothing to show yet", ha="center")
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
