"""Turn a drawing into the bytes of an SVG file, the same bytes every time."""

import io
from collections.abc import Callable
from typing import TypeAlias

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Draw: TypeAlias = Callable[[Axes], object]
"""Draws on the axes it is given."""

SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.unicode_minus": True,
    "path.simplify": True,
}


def as_svg(draw: Draw, *, name: str, size: tuple[float, float]) -> bytes:
    """Return a drawing as an SVG file on a clear ground, its text as text.

    Args:
        draw: Draws on the axes it is given.
        name: Salt of the identifiers in the file; equal names give equal bytes.
        size: Width and height in inches.
    """
    # text is drawn by the reader's fonts, so nothing may be cut to measured text
    settings = {**SETTINGS, "svg.hashsalt": name}
    with rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            bbox_inches="tight",
            pad_inches=0.08,
            metadata={"Date": None, "Creator": None},
        )
    return buffer.getvalue()
