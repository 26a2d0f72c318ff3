"""Draw what nonlinearities do to a spectrum: just before, and just after."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from relulens.plot.theme import (
    INK,
    MUTED,
    as_rows,
    depth_colours,
    logarithmic,
    new_axes,
    shortened,
    styled,
)


def relu_effect(
    pairs: Sequence[tuple[str, object, object]],
    ax: Axes | None = None,
    *,
    floor: float = 1e-12,
    colours: Sequence[str] | None = None,
) -> Axes:
    """Draw singular values just before (dashed) and just after (solid) nonlinearities.

    Args:
        pairs: Name, singular values [k] before and after, per nonlinearity, in order.
        ax: Where to draw; new axes by default.
        floor: Values below ``floor`` times the largest of all are left out (no unit).
        colours: One colour a nonlinearity; by depth if not given.

    Returns:
        The axes: two lines per pair, in the order before, after.
    """
    ax = new_axes() if ax is None else ax
    spectra = [(as_rows(b)[0], as_rows(a)[0]) for _, b, a in pairs]
    top = max((float(v.max()) for pair in spectra for v in pair if v.size), default=0.0)
    shades = colours or depth_colours(len(pairs))
    for colour, (before, after) in zip(shades, spectra, strict=True):
        _line(ax, before, floor * top, colour, "--")
        _line(ax, after, floor * top, colour, "-")
    ax.set_xlabel("index of singular value")
    ax.set_ylabel("singular value")
    styled(ax)
    if top > 0:
        logarithmic(ax, "y")
    _legend(ax, [name for name, _, _ in pairs], shades)
    return ax


def _line(ax: Axes, values: np.ndarray, least: float, colour: str, style: str) -> None:
    shown = values[values > least]
    width = 1.8 if style == "-" else 1.2
    index = np.arange(1, len(shown) + 1)
    ax.plot(index, shown, color=colour, linestyle=style, linewidth=width)


def _legend(ax: Axes, names: Sequence[str], colours: Sequence[str]) -> None:
    short = shortened(names)
    handles = [
        Line2D([], [], color=colour, linewidth=1.8, label=name)
        for name, colour in zip(short, colours, strict=True)
    ]
    handles.append(Line2D([], [], color=MUTED, linestyle="--", label="just before"))
    handles.append(Line2D([], [], color=MUTED, linestyle="-", label="just after"))
    box = ax.legend(handles=handles, frameon=False, fontsize=9)
    for text in box.get_texts():
        text.set_color(INK)
