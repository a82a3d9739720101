"""How commands print: tables in which nothing is cropped, JSON, and numbers as a person would say them."""

import json
import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 200
"""The least width of a table [letters]; nothing in it is cropped."""


def table(first: str, *, right: Sequence[str] = (), left: Sequence[str] = ()) -> Table:
    """Return a table without lines: its first column, those of numbers, those of words."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    made.add_column(first, no_wrap=True)
    for name in right:
        made.add_column(name, justify="right", no_wrap=True)
    for name in left:
        made.add_column(name, overflow="fold")
    return made


def console() -> Console:
    """Return the console of standard output; it prints names as they are, `[b]` and `:x:` in them too."""
    return Console(highlight=False, markup=False, emoji=False)


def print_table(made: Table, title: str) -> None:
    """Print a table under its title."""
    wide = console()
    wide.width = max(wide.width, WIDTH)  # a long line wraps in the terminal; a cropped one would lose numbers
    wide.print(Text(title, style="italic"), soft_wrap=True)
    wide.print(made)


def print_json(value: Any) -> None:
    """Print plain data for a program to read."""
    print(json.dumps(value, indent=2))


def percent(share: float | None) -> str:
    """Return a share as a percentage; `-` for none, `failed` for a quantile among the failures."""
    if share is None:
        return "-"
    return "failed" if math.isinf(share) else f"{100 * share:.2f} %"


def clock(seconds: float) -> str:
    """Return a duration as a person would say it.

    >>> clock(75), clock(7), clock(4020)
    ('1 min 15 s', '7 s', '1 h 07 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
