"""How figures look: one hue, one dash and one mark per space, quiet axes, and the same colours on the page.

Colours come in pairs, for light and for dark paper; figures are drawn with the light ones, and the page
replaces each by a variable. The hues are those of Okabe and Ito, darkened until thin lines can be seen on
white; dashes and marks tell the spaces apart without any colour.
"""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour on light paper, and the one that stands for it on dark paper."""

    light: str
    dark: str


THEME = {
    "ink": Colour("#1b1e23", "#e9e7e2"),
    "quiet": Colour("#646a73", "#9aa1ab"),
    "rule": Colour("#dcdad4", "#343a43"),
    "paper": Colour("#ffffff", "#16191e"),
    "ground": Colour("#f5f4f0", "#0e1013"),
}
"""Text, secondary text, thin lines, what lies behind a figure, and what lies behind that."""

HUES = (
    Colour("#0b6fb3", "#58b4f0"),
    Colour("#cf5400", "#ff8f4d"),
    Colour("#00906a", "#35cfa2"),
    Colour("#b1508c", "#ef9fcb"),
    Colour("#a87500", "#f0bf50"),
    Colour("#4c525b", "#bcc2cb"),
)
INK, QUIET, RULE, PAPER = (THEME[name].light for name in ("ink", "quiet", "rule", "paper"))

_DASHES = (
    "-",
    (0, (6, 2)),
    (0, (6, 1.6, 1.2, 1.6)),
    (0, (1.4, 1.4)),
    (0, (10, 2.4)),
    (0, (4, 1.4, 1, 1.4, 1, 1.4)),
)
_MARKS = ("o", "s", "^", "D", "v", "P")

TEXT_SIZE = 11.0
"""Points; a figure is drawn at 72 dots per inch, so that a point is a pixel of the page at full size."""


@dataclass(frozen=True, slots=True)
class SpaceLook:
    """The hue (an index into `HUES`), the dash and the mark of one space, in matplotlib's terms."""

    hue: int
    dash: Any
    mark: str

    @property
    def colour(self) -> str:
        """The hue on light paper."""
        return HUES[self.hue].light

    @property
    def svg_dash(self) -> str:
        """The dash of a line two points wide as `stroke-dasharray`; empty for one without gaps."""
        return "" if self.dash == "-" else " ".join(f"{2 * length:g}" for length in self.dash[1])


def space_look(position: int) -> SpaceLook:
    """Return the look of the space at a position; 36 positions differ in hue or in dash and mark.

    >>> space_look(0) == space_look(6), space_look(0).colour == space_look(6).colour
    (False, True)
    """
    turn, hue = divmod(position, len(HUES))
    return SpaceLook(hue, _DASHES[(hue + turn) % len(_DASHES)], _MARKS[(hue + turn) % len(_MARKS)])


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Draw inside this context: our settings on matplotlib's own defaults, whatever the user's file says."""
    import matplotlib
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    wished = ("Inter", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans")
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The name of a space may hold letters that no font here has; a browser finds one, a PNG shows boxes.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "axes.edgecolor": RULE,
                "axes.labelcolor": QUIET,
                "axes.linewidth": 1.0,
                "axes.spines.right": False,
                "axes.spines.top": False,
                "figure.dpi": 72.0,
                "font.family": [*(name for name in wished if name in installed), "DejaVu Sans"],
                "font.size": TEXT_SIZE,
                "lines.dash_capstyle": "butt",
                "path.simplify": False,
                "pdf.fonttype": 42,
                "svg.fonttype": "none",
                "svg.hashsalt": "netspace",
                "text.color": INK,
                "text.parse_math": False,
                "xtick.color": RULE,
                "xtick.labelcolor": QUIET,
                "xtick.major.size": 4.0,
                "ytick.color": RULE,
                "ytick.labelcolor": QUIET,
                "ytick.major.size": 0.0,
                "ytick.major.pad": 6.0,
            }
        )
        yield


def page_variables() -> str:
    """Return the style sheet's first lines: every colour as a variable, for light and for dark paper."""
    colours = {**THEME, **{f"hue-{i}": colour for i, colour in enumerate(HUES)}}
    light = " ".join(f"--{name}: {colour.light};" for name, colour in colours.items())
    dark = " ".join(f"--{name}: {colour.dark};" for name, colour in colours.items())
    uses = "".join(
        f".dot-{i} {{ background: var(--hue-{i}); }} .line-{i} {{ stroke: var(--hue-{i}); }} "
        f".fill-{i} {{ fill: var(--hue-{i}); opacity: 0.18; }} .fill-full-{i} {{ fill: var(--hue-{i}); }}\n"
        for i in range(len(HUES))
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{uses}"
