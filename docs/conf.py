"""Settings of the documentation's build."""

import re
from importlib.metadata import version as installed

from sphinx.application import Sphinx

project = "relulens"
author = "the relulens authors"
release = version = installed("relulens")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "gallery/README.rst"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
html_theme = "furo"
html_title = "relulens"
html_static_path = ["_static"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_custom_sections = [("Cost", "notes_style")]
suppress_warnings = ["config.cache"]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "plot_",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "abort_on_example_error": True,
}


def escape_stars(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Escape the star of shapes such as ``[N, *input_shape]``."""
    lines[:] = [re.sub(r"(?<=[\[ '\"])\*(?=\w)", r"\\*", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect what changes docstrings on their way to the page."""
    app.connect("autodoc-process-docstring", escape_stars)
