"""A blank figure measured in points from its lower left corner, and what can be put on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from netspace.report.look import INK, QUIET, TEXT_SIZE, SpaceLook

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLE_WIDTH = 26.0
"""Points of line that show the dash of a space beside its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A figure of `width` x `height` points, drawn at 72 dots per inch; it belongs to no window."""

    figure: "Figure"
    width: float
    height: float

    @classmethod
    def blank(cls, width: float, height: float) -> Self:
        """Return an empty sheet."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width / 72.0, height / 72.0), dpi=72.0)
        return cls(figure=figure, width=width, height=height)

    def add_axes(self, left: float, bottom: float, width: float, height: float) -> "Axes":
        """Add axes at a place."""
        return self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def write(self, x: float, y: float, words: str, **style: Any) -> None:
        """Write words whose left end and middle height are at a point."""
        style = {"color": QUIET, "size": TEXT_SIZE, "va": "center", **style}
        self.figure.text(x / self.width, y / self.height, words, **style)

    def line(self, xs: Sequence[float], ys: Sequence[float], **style: Any) -> None:
        """Draw a line through points."""
        from matplotlib.lines import Line2D

        across, up = [x / self.width for x in xs], [y / self.height for y in ys]
        self.figure.add_artist(Line2D(across, up, transform=self.figure.transFigure, **style))

    def sample(self, x: float, y: float, look: SpaceLook, *, mark: bool) -> None:
        """Show the dash of a space, and its mark where asked, in a line that begins at a point."""
        self.line([x, x + SAMPLE_WIDTH], [y, y], color=look.colour, linestyle=look.dash, linewidth=2.0)
        if mark:
            style = {"color": look.colour, "marker": look.mark, "markersize": 6.0, "linestyle": "none"}
            self.line([x + SAMPLE_WIDTH / 2], [y], **style)

    def headline(self, x: float, y: float, words: str, **style: Any) -> None:
        """Write a bold line."""
        self.write(x, y, words, **{"color": INK, "fontweight": "bold", **style})
