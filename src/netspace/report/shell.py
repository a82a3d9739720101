"""What every page has: one style sheet, at most one script, a policy that allows nothing else, and `<svg>` drawings."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from netspace.report import figures
from netspace.report.images import inline_svg
from netspace.report.look import HUES, page_variables
from netspace.report.panel import Panel
from netspace.report.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ICON = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="{HUES[0].light}">'
    '<path stroke-width="2" d="M1 15H4V10H8V5H12V2H15"/></svg>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Drawings that belong together, as `<svg>` elements, and in how many columns they stand."""

    title: str
    columns: int
    drawings: tuple[str, ...]


def render_page(template: str, *, scripts: Sequence[str] = (), live: bool = False, **shown: Any) -> str:
    """Return the page of a template that extends `shell.html.jinja`; equal values give equal pages.

    `scripts` are files of this folder that together are the page's one script; a `live` page may ask its own server.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    style, script = _style(), _script(scripts)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_asset)
    )
    environment.filters["counted"] = counted
    environment.filters["coded"] = coded
    return environment.get_template(template).render(
        style=Markup(style),
        icon=base64.b64encode(_ICON.encode()).decode(),
        script=Markup(script),
        policy=Markup(content_policy(scripts, live=live)),
        live=live,
        **shown,
    )


def content_policy(scripts: Sequence[str] = (), *, live: bool = False) -> str:
    """Return the policy of a page: its style sheet, its script by their content, and nothing from anywhere else."""
    asks = "'self'" if live else "'none'"
    may_run = f"'sha256-{_digest(_script(scripts))}'" if scripts else "'none'"
    return (
        f"default-src 'none'; style-src 'sha256-{_digest(_style())}'; script-src {may_run}; img-src data:; "
        f"connect-src {asks}; base-uri 'none'; form-action 'none'"
    )


def drawing(figure: "Figure", name: str, seen: str) -> str:
    """Return a figure as part of a page; see `inline_svg`."""
    from markupsafe import Markup

    return Markup(inline_svg(figure, name=name, seen=seen))


def coded(text: str) -> str:
    """Return a sentence for a page, escaped, with what stands between backticks as code.

    >>> coded("a < b: raise `networks`")
    Markup('a &lt; b: raise <code>networks</code>')
    """
    from markupsafe import Markup, escape

    parts = list(map(escape, text.split("`")))
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def families(drawn: Sequence[Panel], name: str, columns: int) -> list[Family]:
    """Return the drawings of panels, by family."""
    found: dict[str, list[str]] = {}
    for position, panel in enumerate(drawn):
        figure = figures.panel_figure(panel, columns=columns)
        found.setdefault(panel.group, []).append(drawing(figure, f"{name}-{position}", panel.seen))
    return [Family(title=title, columns=columns, drawings=tuple(drawings)) for title, drawings in found.items()]


def _style() -> str:
    return page_variables() + _asset("page.css")


def _script(names: Sequence[str]) -> str:
    return '"use strict";\n' + "\n".join(map(_asset, names)) if names else ""


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return resources.files("netspace.report").joinpath(name).read_text(encoding="utf-8")
