"""Draw how a number is distributed over the inputs."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from relulens.plot.theme import (
    BLUE,
    GREEN,
    INK,
    LINE,
    logarithmic,
    new_axes,
    number,
    styled,
)

BINS = 24


def distribution(
    values: object,
    ax: Axes | None = None,
    *,
    label: str = "value",
    log: bool = False,
    colour: str = BLUE,
) -> Axes:
    """Draw a histogram with a mark per input and the median.

    Args:
        values: One number an input [N]; NaN where it was not computed. On a
            logarithmic axis, numbers that are not positive are counted beside it.
        ax: Where to draw; new axes by default.
        label: What the number is, with its unit.
        log: Whether the axis is logarithmic.
        colour: Colour of the bars.

    Returns:
        The axes; its bars count every number that the axis can show.
    """
    ax = new_axes(4.6, 3.0) if ax is None else ax
    all_ = np.asarray(values, dtype=np.float64).reshape(-1)
    known = all_[np.isfinite(all_)]
    shown = known[known > 0] if log else known
    styled(ax, grid="y")
    counts = {
        "not computed": int(np.isnan(all_).sum()),
        "infinite": int(np.isinf(all_).sum()),
        "at zero or below": len(known) - len(shown),
    }
    ax.set_xlabel(label + _note(counts))
    ax.set_ylabel("inputs")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if len(shown):
        _bars(ax, shown, log=log, colour=colour)
    return ax


def _bars(ax: Axes, shown: np.ndarray, *, log: bool, colour: str) -> None:
    low, high = float(shown.min()), float(shown.max())
    if low == high:
        low, high = (low / 1.5, high * 1.5) if log else (low - 0.5, high + 0.5)
    if log:
        logarithmic(ax, "x", short=high < 30 * low)
        edges = np.geomspace(low, high, BINS + 1)
    else:
        edges = np.linspace(low, high, BINS + 1)
    # the last edge may fall short of the largest number by rounding
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    ax.hist(shown, bins=edges.tolist(), color=colour, alpha=0.85, rwidth=0.92)
    middle = float(np.median(shown))
    ax.axvline(middle, color=INK, linewidth=1.2)
    ax.annotate(
        f"median {number(middle)}",
        (middle, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, 2),
        textcoords="offset points",
        color=INK,
        fontsize=9,
        va="bottom",
    )


def _note(counts: Mapping[str, int]) -> str:
    parts = [f"{count:,} {what}" for what, count in counts.items() if count]
    return f"\n{', '.join(parts)}" if parts else ""


def certified_share(
    radii: object,
    correct: object | None = None,
    ax: Axes | None = None,
    *,
    label: str = "radius",
) -> Axes:
    """Draw, for every radius, the share of all inputs certified at least that far.

    Args:
        radii: Certified radius of each input [N]; NaN, not computed, counts as not
            certified at all.
        correct: Whether each input is classified as labelled [N]; others count as not
            certified. All count by default.
        ax: Where to draw; new axes by default.
        label: What the radius is, with its unit and norm.

    Returns:
        The axes, one falling step line from the share at radius zero.
    """
    ax = new_axes(4.6, 3.0) if ax is None else ax
    radius = np.asarray(radii, dtype=np.float64).reshape(-1)
    counted = np.ones(len(radius), bool) if correct is None else np.asarray(correct)
    ours = radius[counted.astype(bool) & ~np.isnan(radius)]
    kept = np.sort(ours[np.isfinite(ours)])
    always = len(ours) - len(kept)
    reached = np.concatenate([[len(kept)], np.arange(len(kept), -1, -1)]) + always
    share = 100.0 * reached / max(len(radius), 1)
    places = np.concatenate([[0.0], kept, kept[-1:] if len(kept) else [1.0]])
    ax.step(places, share, where="pre", color=GREEN, linewidth=2)
    ax.fill_between(places, share, step="pre", color=GREEN, alpha=0.15, linewidth=0)
    ax.set_ylim(0, 102)
    ax.set_xlim(left=0)
    ax.axhline(100, color=LINE, linewidth=0.7)
    ax.set_xlabel(label)
    ax.set_ylabel("% of inputs")
    return styled(ax)
