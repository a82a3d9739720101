"""Panels of a sample: what was drawn, what it costs, how wide its networks are, where a budget is met.

Each function takes what was computed elsewhere and says only where things stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netspace.findings.readings import RULE_TITLES, SHARED, STAGE_FIELDS, WHOLE
from netspace.networks.fitting import RegNetFit
from netspace.networks.spec import FloatArray
from netspace.report.look import HUES, INK, PAPER, QUIET, TEXT_SIZE
from netspace.report.panel import Panel, frame
from netspace.report.scales import Scale, scale_of
from netspace.report.wording import amount, counted
from netspace.spaces.marginals import Marginal
from netspace.spaces.regions import Regions
from netspace.spaces.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HUE = HUES[0].light

MOST_MARKS = 2000
"""The most networks that are marked one by one."""

# Letters of tick words that fit along the axis of the narrowest panel.
_LETTERS = 30
_TITLES = {**STAGE_FIELDS, "total_depth": "Total depth", **RULE_TITLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staircase:
    """The widths of a network's blocks, which draw it was, and the RegNet that fits it best (None: too large)."""

    draw: int
    widths: tuple[int, ...]
    fit: RegNetFit | None


def marginal_panels(marginals: Sequence[Marginal], *, exact: bool) -> tuple[Panel, ...]:
    """Return one panel per parameter: bars of a sample's shares, and the law as a line.

    The line is strong where it is the law of the sample itself (`exact`), and faint where it is only that of the draws.
    """
    return tuple(_marginal_panel(marginal, exact=exact) for marginal in marginals)


def _marginal_panel(marginal: Marginal, *, exact: bool) -> Panel:
    title = _TITLES[marginal.name]
    if marginal.stage is not None:
        title, group = f"{title}, stage {marginal.stage + 1}", title
    else:
        title, group = (f"{title}, all stages", SHARED) if marginal.shared else (title, WHOLE)
    across = _bin_scale(marginal)
    most = 100.0 * max(float(marginal.sampled.max()), float(marginal.drawn.max()))
    up = scale_of((0.0, most), "{:.4g}\N{NO-BREAK SPACE}%".format, floor=0.0)

    def draw(axes: "Axes") -> None:
        across.apply(axes, "x")
        up.apply(axes, "y")
        frame(axes, title)
        edges = np.arange(len(marginal.lows) + 1, dtype=np.float64)
        axes.stairs(100.0 * marginal.sampled, edges, fill=True, color=HUE, alpha=0.45, linewidth=0.0)
        style: dict[str, Any] = (
            {"color": INK, "linewidth": 1.5} if exact else {"color": QUIET, "linewidth": 1.0, "linestyle": (0, (3, 2))}
        )
        axes.stairs(100.0 * marginal.drawn, edges, **style)

    top = int(marginal.sampled.argmax())
    return Panel(
        title=title,
        seen=f"Shares of the sample by {title.lower()}, in {counted(len(marginal.lows), 'bin')}; the most frequent, "
        f"{_bin_words(marginal, top)}, has {100 * marginal.sampled[top]:.3g} %, and {100 * marginal.drawn[top]:.3g} % "
        "by the law.",
        draw=draw,
        group=group,
    )


def _bin_words(marginal: Marginal, position: int) -> str:
    low, high = marginal.lows[position], marginal.highs[position]
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _bin_scale(marginal: Marginal) -> Scale:
    """Return an axis on which each bin is as wide as the others; its words are values, or where bins begin."""
    count = len(marginal.lows)
    single = bool((marginal.lows == marginal.highs).all())
    words = [f"{low:.4g}" for low in marginal.lows]
    shift = 0.5 if single else 0.0
    every = 1
    while sum(len(word) + 2 for word in words[::every]) > _LETTERS:
        every += 1
    return Scale(
        low=-0.2,
        high=count + 0.2,
        is_log=False,
        ticks=tuple(position + shift for position in range(0, count, every)),
        words=tuple(words[::every]),
    )


def cost_panels(sample: Sample) -> tuple[Panel, ...]:
    """Return params and activations of each network against its flops, on logarithmic axes."""
    flops = _numbers(sample.complexity.flops)

    def panel(measure: str, unit: str) -> Panel:
        column = _numbers(getattr(sample.complexity, measure))

        def draw(axes: "Axes") -> None:
            scale_of(_span(flops), amount, log_above=1.0, spacing=0.12).apply(axes, "x")
            scale_of(_span(column), amount, log_above=1.0, spacing=0.12).apply(axes, "y")
            frame(axes, f"{measure.capitalize()} [{unit}]", unit="flops")
            axes.plot(
                flops,
                column,
                linestyle="none",
                marker="o",
                markersize=4.4,
                markerfacecolor=HUE,
                markeredgecolor=PAPER,
                markeredgewidth=0.5,
                alpha=0.7,
            )

        low, high = _span(column)
        return Panel(
            title=measure.capitalize(),
            seen=f"{measure.capitalize()} against flops of {counted(len(flops), 'network')}, on logarithmic axes; "
            f"from {amount(low)} to {amount(high)}.",
            draw=draw,
        )

    return (panel("params", "learnable numbers"), panel("activations", "output numbers"))


def staircase_panels(staircases: Sequence[Staircase]) -> tuple[Panel, ...]:
    """Return one panel per network: the width of each block, and of the RegNet that fits it best."""
    widths = [width for stairs in staircases for width in (*stairs.widths, *(stairs.fit.widths if stairs.fit else ()))]
    across = scale_of(
        (0.0, float(max(len(stairs.widths) for stairs in staircases))), _whole_word, floor=0.0, margin=0.03
    )
    up = scale_of((float(min(widths)), float(max(widths))), "{:g}".format, log_above=2.0, base=2, margin=0.08)

    def panel(stairs: Staircase) -> Panel:
        fitted = f"e_fit {stairs.fit.error:.3f}" if stairs.fit else ""

        def draw(axes: "Axes") -> None:
            across.apply(axes, "x")
            up.apply(axes, "y")
            frame(axes, f"draw {stairs.draw}", corner=fitted, unit="block")
            edges = list(range(len(stairs.widths) + 1))
            axes.stairs(stairs.widths, edges, baseline=None, color=HUE, linewidth=2.2)
            if stairs.fit:
                style: dict[str, Any] = {"color": QUIET, "linewidth": 1.2, "linestyle": (0, (3, 2))}
                axes.stairs(stairs.fit.widths, edges, baseline=None, **style)

        return Panel(
            title=f"draw {stairs.draw}",
            seen=f"Width of each of {counted(len(stairs.widths), 'block')}, from {stairs.widths[0]} to "
            f"{stairs.widths[-1]}" + (f"; the RegNet that fits best has {fitted}." if fitted else "."),
            draw=draw,
        )

    return tuple(panel(stairs) for stairs in staircases)


def region_panels(regions: Regions) -> tuple[Panel, ...]:
    """Return two maps over total depth and largest width: the share that is accepted, and where the draws are."""
    with np.errstate(invalid="ignore"):
        accepted = 100.0 * regions.accepted / regions.networks
    drawn = np.where(regions.networks > 0, 100.0 * regions.networks / max(1, regions.networks.sum()), np.nan)
    return (
        _map(regions, accepted, "Accepted [% of the draws of a region]"),
        _map(regions, drawn, "Where the draws are [% of all]"),
    )


def _map(regions: Regions, shares: FloatArray, title: str) -> Panel:
    most = float(np.nanmax(shares, initial=0.0)) or 1.0
    rows, columns = shares.shape

    def draw(axes: "Axes") -> None:
        _edge_scale(regions.widths.tolist()).apply(axes, "x")
        _edge_scale(regions.depths.tolist()).apply(axes, "y")
        frame(axes, title, corner="across: largest width; up: total depth")
        axes.grid(visible=False)
        from matplotlib.patches import Rectangle

        for row in range(rows):
            for column in range(columns):
                share = shares[row, column]
                if np.isnan(share):
                    continue
                cell = Rectangle((column + 0.02, row + 0.03), 0.96, 0.94)
                cell.set(facecolor=HUE, alpha=0.04 + 0.5 * share / most, linewidth=0.0)
                axes.add_patch(cell)
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    f"{share:.2g}" if share < 99.5 else "100",
                    ha="center",
                    va="center",
                    size=TEXT_SIZE - 2,
                    color=INK if share else QUIET,
                )

    best = np.unravel_index(int(np.nan_to_num(shares).argmax()), shares.shape)
    return Panel(
        title=title,
        seen=f"{title}, by total depth and largest width. The most, {most:.2g} %, is at depths "
        f"{_range_words(regions.depths.tolist(), int(best[0]))} and widths "
        f"{_range_words(regions.widths.tolist(), int(best[1]))}.",
        draw=draw,
    )


def _edge_scale(edges: Sequence[int]) -> Scale:
    """Return an axis of cells of one size, with the numbers at which they begin; at its end the largest number."""
    ticks = tuple(float(position) for position in range(len(edges)))
    words = (*map(str, edges[:-1]), str(edges[-1] - 1))
    return Scale(low=0.0, high=len(edges) - 1.0, is_log=False, ticks=ticks, words=words)


def _range_words(edges: Sequence[int], position: int) -> str:
    low, high = edges[position], edges[position + 1] - 1
    return f"{low}" if low == high else f"{low} to {high}"


def _numbers(column: FloatArray) -> FloatArray:
    return np.asarray(column[:MOST_MARKS], dtype=np.float64)


def _span(column: FloatArray) -> tuple[float, float]:
    return float(column.min()), float(column.max())


def _whole_word(number: float) -> str:
    return f"{number:g}" if number == int(number) else ""
