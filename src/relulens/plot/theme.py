"""Colours and the look of axes, readable on paper, on a light and on a dark page.

Colours of text and lines are given once here. A page that has themes replaces them by
its own variables (``THEMED``); the others have a middle lightness that suits both.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK = "#1c2330"
MUTED = "#5a6473"
LINE = "#d9dce3"
SURFACE = "#fefefe"
BLUE = "#3574b8"
ORANGE = "#d9731a"
GREEN = "#25936b"
VIOLET = "#7a5cc8"

THEMED = {INK: "--ink", MUTED: "--muted", LINE: "--line", SURFACE: "--surface"}
"""Colours that a themed page replaces, and the names of its variables."""

DEPTH = LinearSegmentedColormap.from_list(
    "relulens.depth",
    ["#6a51c9", "#3574b8", "#1f98a6", "#2f9e5b", "#a39a1c", "#d9731a", "#c43b5c"],
)
"""From the first layer to the last."""

SIGNED = LinearSegmentedColormap.from_list(
    "relulens.signed", ["#1f5fa8", "#9cc0e4", "#fefefe", "#f2ae8d", "#bf3b25"]
)
"""Negative, zero, positive."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def depth_colours(count: int) -> list[str]:
    """Return one colour per step of depth, first to last."""
    places = np.linspace(0.0, 1.0, max(count, 2))[:count]
    return [to_hex(DEPTH(place)) for place in places]


def new_axes(width: float = 6.4, height: float = 3.8) -> Axes:
    """Return the axes of a new figure that notebooks show."""
    # pyplot takes a second to import, and drawing on given axes does not need it
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def styled(ax: Axes, *, grid: Literal["both", "x", "y"] = "both") -> Axes:
    """Give axes the quiet look: two spines, a faint grid behind, muted ticks."""
    ax.set_facecolor("none")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(LINE)
    ax.tick_params(colors=MUTED, labelsize=9, length=0, which="both")
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(INK)
        text.set_fontsize(10)
    ax.grid(visible=True, axis=grid, color=LINE, linewidth=0.7)
    ax.set_axisbelow(True)
    return ax


def bare(ax: Axes) -> Axes:
    """Take everything but the picture off the axes."""
    ax.set_facecolor("none")
    ax.set_axis_off()
    return ax


def power_of_ten(value: float, _: int | None = None) -> str:
    """Return a power of ten as text that needs no formula renderer.

    Example:
        >>> power_of_ten(0.001)
        '10⁻³'
    """
    if value <= 0:
        return ""
    exponent = round(float(np.log10(value)))
    if 0 <= exponent <= 2:
        return f"{10**exponent}"
    if -2 <= exponent < 0:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def logarithmic(ax: Axes, axis: str, *, short: bool = False) -> None:
    """Make one axis logarithmic, with labels at powers of ten.

    Args:
        ax: The axes.
        axis: ``"x"`` or ``"y"``.
        short: Whether it spans so little that 2 and 5 times these are labelled too.
    """
    which = ax.xaxis if axis == "x" else ax.yaxis
    set_scale = ax.set_xscale if axis == "x" else ax.set_yscale
    set_scale("log")
    steps = (1.0, 2.0, 5.0) if short else (1.0,)
    which.set_major_locator(LogLocator(base=10.0, subs=steps, numticks=8))
    label = _plain if short else power_of_ten
    which.set_major_formatter(FuncFormatter(label))
    which.set_minor_formatter(NullFormatter())


def _plain(value: float, _: int | None = None) -> str:
    return number(value)


def legend(ax: Axes, *, title: str | None = None, columns: int = 1) -> None:
    """Add a legend without a frame, if anything has a label."""
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    box = ax.legend(
        handles, labels, frameon=False, fontsize=9, ncols=columns, title=title
    )
    box.get_title().set_fontsize(9)
    box.get_title().set_color(MUTED)
    for text in box.get_texts():
        text.set_color(INK)


def number(value: float) -> str:
    """Return a number with three significant digits, for people.

    Example:
        >>> number(1234.5), number(0.012345), number(1.5e-12)
        ('1,230', '0.0123', '1.5·10⁻¹²')
    """
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    digits, raw = f"{value:.2e}".split("e")
    exponent = int(raw)
    if -4 <= exponent < 3:
        text = f"{value:.3g}"
    elif 3 <= exponent < 6:
        text = f"{round(value, 2 - exponent):,.0f}"
    else:
        shown = digits.rstrip("0").rstrip(".")
        text = f"{shown}·10{str(exponent).translate(_SUPERSCRIPT)}"
    return text.replace("-", "\N{MINUS SIGN}")


def as_rows(values: object) -> np.ndarray:
    """Return one row [k] or several [N, k] as float64 rows [N, k]."""
    array = np.asarray(values, dtype=np.float64)
    return array.reshape(1, -1) if array.ndim <= 1 else array.reshape(len(array), -1)


def shortened(names: Sequence[str], length: int = 26) -> list[str]:
    """Return names with their middle left out where they are too long."""
    half = (length - 1) // 2
    return [n if len(n) <= length else f"{n[:half]}…{n[-half:]}" for n in names]
