"""Figures as files and as part of a page: PNG, PDF, SVG that stands alone, and SVG that takes the page's colours.

Equal figures give equal bytes: no date is written, and names inside are counted, not drawn at random.
"""

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from netspace.report.look import HUES, THEME, figure_style
from netspace.report.svg_paths import join_marks, shorter
from netspace.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VARIABLES = {
    **{colour.light: f"var(--{name})" for name, colour in THEME.items()},
    **{colour.light: f"var(--hue-{i})" for i, colour in enumerate(HUES)},
    THEME["ink"].light: "currentColor",
}
_NUMBER = re.compile(r"-?\d+\.\d+")
_NUMERIC = frozenset({"d", "x", "y", "width", "height", "transform", "points", "stroke-dasharray", "stroke-width"})
# What the page says once for all its figures, and what says nothing.
_DROPPED = frozenset({"font-family", "stroke-dashoffset"})
_OF_SPACE = re.compile(r"[a-z]+-(\d+)")
_REFERENCE = re.compile(r"#([A-Za-z][\w.-]*)")


def png(figure: "Figure", *, dots_per_inch: float = 160.0) -> bytes:
    """Return a figure as PNG on white."""
    stream = io.BytesIO()
    with figure_style():
        figure.savefig(stream, format="png", dpi=dots_per_inch, facecolor="white")
    return stream.getvalue()


def svg(figure: "Figure") -> bytes:
    """Return a figure as an SVG file on white, its text as text."""
    stream = io.BytesIO()
    with figure_style():
        figure.savefig(stream, format="svg", facecolor="white", metadata={"Date": None})
    return stream.getvalue()


def pdf(figure: "Figure") -> bytes:
    """Return a figure as a PDF file for a paper, its text as text in embedded fonts."""
    stream = io.BytesIO()
    with figure_style():
        figure.savefig(stream, format="pdf", facecolor="white", metadata={"CreationDate": None})
    return stream.getvalue()


def inline_svg(figure: "Figure", *, name: str, seen: str) -> str:
    """Return a figure as an `<svg>` element for a page, without inline style and without anything external.

    `name` begins every id inside, so that figures share a page; `seen` says what is to be seen, and a figure
    without it is hidden from screen readers. Colours become `currentColor` and the variables of
    `look.page_variables`; fonts are those of the page. What belongs to the space at a position, by a name such as
    "marks-2", has that position as `data-space`.
    """
    stream = io.StringIO()
    with figure_style():
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    for element in list(root.iter()):
        for child in list(element):
            if _local(child.tag) in {"metadata", "style"}:
                element.remove(child)
        element.tag = _local(element.tag)
        element.attrib = _plain_attributes(element.attrib)
        element.tail = None
        if element.tag not in {"text", "tspan"}:
            element.text = None
    join_marks(root)
    for path in root.iter("path"):
        path.attrib["d"] = shorter(path.attrib["d"])
    _rename(root, name)
    _prune(root)
    _lift(root)
    told = {"role": "img", "aria-label": printable(seen)} if seen else {"aria-hidden": "true"}
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        **told,
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _plain_attributes(attributes: dict[str, str]) -> dict[str, str]:
    """Return attributes with `style` unfolded, numbers short and colours that follow the page."""
    plain = {_local(key): value for key, value in attributes.items() if key != "style"}
    for rule in attributes.get("style", "").split(";"):
        key, _, value = rule.partition(":")
        if value:
            plain[key.strip()] = value.strip()
    if plain.get("transform", "").startswith("rotate(-0 "):
        del plain["transform"]
    for key, value in plain.items():
        if key in {"fill", "stroke"}:
            plain[key] = _VARIABLES.get(value, value)
        elif key in _NUMERIC:
            text = _NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
            plain[key] = re.sub(r"\s*([A-Za-z])\s*", r"\1", text).strip() if key == "d" else text
        elif key == "font-size":
            plain[key] = value.removesuffix("px")
    return {key: value for key, value in plain.items() if key not in _DROPPED}


def _rename(root: ElementTree.Element, name: str) -> None:
    """Drop the ids that nothing refers to, and count the others."""
    links = [(e, key) for e in root.iter() for key in ("href", "clip-path") if "#" in e.attrib.get(key, "")]
    used = {match[1] for e, key in links if (match := _REFERENCE.search(e.attrib[key]))}
    names: dict[str, str] = {}
    for element in root.iter():
        identity = element.attrib.pop("id", "")
        if of_space := _OF_SPACE.fullmatch(identity):
            element.attrib["data-space"] = of_space[1]
        if identity in used:
            # A definition that is written twice is twice the same, and the second is not needed.
            fresh = identity not in names
            names.setdefault(identity, f"{name}-{len(names)}")
            if fresh:
                element.attrib["id"] = names[identity]
    for element, key in links:
        element.attrib[key] = _REFERENCE.sub(lambda match: f"#{names[match[1]]}", element.attrib[key])


def _prune(element: ElementTree.Element) -> None:
    """Remove groups and definitions that hold nothing, and shapes that show nothing."""
    for child in list(element):
        _prune(child)
        empty = child.tag in {"g", "defs"} and not len(child)
        unseen = child.tag == "path" and child.attrib.get("fill") == "none" and "stroke" not in child.attrib
        if empty or (unseen and "id" not in child.attrib):
            element.remove(child)


def _lift(element: ElementTree.Element) -> None:
    """Say once, at the group, what all of its marks say; open groups that say nothing."""
    for child in list(element):
        _lift(child)
    if element.tag == "g" and len(element) and all(child.tag == "use" for child in element):
        first = element[0].attrib
        shared = [k for k in first if k not in {"x", "y"} and all(c.attrib.get(k) == first[k] for c in element)]
        for key in shared:
            if key != "href":
                element.attrib[key] = first[key]
                for child in element:
                    del child.attrib[key]
    for place, child in reversed(list(enumerate(element))):
        if child.tag == "g" and not child.attrib:
            element.remove(child)
            for grandchild in reversed(child):
                element.insert(place, grandchild)
