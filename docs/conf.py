"""The site: every page of `docs/`, the commands by their own help, the public names by their docstrings.

Built without a network; `make docs` turns every warning into an error.
"""

import sys
from pathlib import Path

from netspace import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "netspace"
version = release = __version__
project_copyright = "the netspace authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "command_pages", "long_sentences"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 4  # the anchors that a plain viewer of Markdown gives headings

default_role = "code"  # docstrings write code between single backticks
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
maximum_signature_line_length = 90
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "netspace"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0a6ab0", "color-brand-content": "#0a6ab0"},
    "dark_css_variables": {"color-brand-primary": "#6cb6ee", "color-brand-content": "#6cb6ee"},
}
highlight_language = "none"  # what commands print is no Python
pygments_style = "friendly"
pygments_dark_style = "github-dark"
