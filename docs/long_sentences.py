"""Sentences that a command prints on one line, wrapped in the site; tables keep their lines and scroll.

A line is a sentence where it is long and holds no two spaces side by side.
"""

import textwrap

from docutils import nodes
from sphinx.application import Sphinx

WIDTH = 92
"""Characters of a line that a page shows without scrolling."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Wrap what is shown of commands, in every page that is read."""
    app.connect("doctree-read", wrap_sentences)
    return {"parallel_read_safe": True}


def wrap_sentences(app: Sphinx, document: nodes.document) -> None:
    """Wrap the long sentences of every block of code that has no language."""
    for block in document.findall(nodes.literal_block):
        if block.get("language") in (None, "none", "text"):
            block.rawsource = "\n".join(map(wrapped, block.astext().splitlines()))
            block.children = [nodes.Text(block.rawsource)]


def wrapped(line: str) -> str:
    """Return a line as it is, or as a paragraph whose later lines are indented."""
    if len(line) <= WIDTH or "  " in line.strip():
        return line
    return textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
