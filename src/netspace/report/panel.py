"""What every panel has: a title, a sentence that says what is seen, quiet axes, and a place for failures.

Errors are drawn in per cent. A failed network has no error, so it is a cross above the axes, never left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netspace.findings import readings
from netspace.report.look import INK, QUIET, RULE, TEXT_SIZE
from netspace.report.wording import counted
from netspace.storage.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES_LEFT = 44.0
"""Points between the left edge of a panel, where its title begins, and its axes."""

# Points above the axes of the crosses of failed networks and of the title; below them, of the unit.
_FAILED_AT, _TITLE_AT, _UNIT_BELOW = 7.0, 18.0, 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A drawing of one pair of axes: `seen` says in a sentence what it shows; `group` names its family."""

    title: str
    seen: str
    draw: Callable[["Axes"], None]
    group: str = ""


def frame(axes: "Axes", title: str, *, colour: str = INK, corner: str = "", unit: str = "") -> None:
    """Give a panel its title, a baseline, and faint lines to read errors by; `unit` is that of the x axis."""
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline"}
    axes.annotate(
        title,
        (0, 1),
        xytext=(-AXES_LEFT, _TITLE_AT),
        ha="left",
        color=colour,
        fontweight="bold",
        size=TEXT_SIZE,
        **above,
    )
    axes.annotate(unit, (0, 0), xytext=(-AXES_LEFT, -_UNIT_BELOW), ha="left", color=QUIET, size=TEXT_SIZE - 1, **above)
    axes.annotate(corner, (1, 1), xytext=(0, _TITLE_AT), ha="right", color=QUIET, size=TEXT_SIZE - 1, **above)


def cross(axes: "Axes", at: Sequence[float], colour: str, name: str = "") -> None:
    """Mark failures above the axes; `name` is what the drawing calls the marks."""
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
        gid=name or None,
    )


def say(axes: "Axes", words: str) -> None:
    """Write words in the middle of a panel that has nothing else to show."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=QUIET)


def failed_words(count: int) -> str:
    """Return what stands in a panel's corner where it shows failures."""
    return f"× {count} failed" if count else ""


def counts(populations: Sequence[Population]) -> str:
    """Return how many networks a panel shows, as a sentence."""
    finished = sum(int(np.isfinite(p.errors).sum()) for p in populations)
    failed = sum(map(readings.num_failed, populations))
    words = f"{counted(finished, 'network')} of {counted(len(populations), 'space')}"
    return words + (f"; {failed} failed, shown as crosses above the axes." if failed else ".")
