"""Draw margins: how far the chosen class leads, right and wrong answers apart."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from relulens.plot.theme import BLUE, ORANGE, legend, new_axes, styled

BINS = 28


def margins(
    values: object,
    correct: object | None = None,
    ax: Axes | None = None,
    *,
    label: str = "margin: largest logit minus the next",
) -> Axes:
    """Draw a histogram of margins, those of wrong answers on top in another colour.

    Args:
        values: Margin of each input [N], not negative; NaN where it was not computed.
        correct: Whether each answer is the label [N]; no labels by default.
        ax: Where to draw; new axes by default.
        label: What the margin is, with its unit.

    Returns:
        The axes; its bars add up to the number of margins that were computed.
    """
    ax = new_axes(4.6, 3.0) if ax is None else ax
    margin = np.asarray(values, dtype=np.float64).reshape(-1)
    known = np.isfinite(margin)
    if correct is None:
        parts, colours, names = [margin[known]], [BLUE], ["_all"]
    else:
        right = np.asarray(correct).astype(bool).reshape(-1)
        parts = [margin[known & right], margin[known & ~right]]
        colours = [BLUE, ORANGE]
        names = [f"right ({len(parts[0])})", f"wrong ({len(parts[1])})"]
    if known.any():
        ax.hist(parts, bins=BINS, stacked=True, color=colours, label=names, rwidth=0.92)
    ax.set_xlabel(label)
    ax.set_ylabel("inputs")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    styled(ax, grid="y")
    legend(ax)
    return ax
