"""Draw what features determine against the number of active units."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from relulens.plot.theme import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    VIOLET,
    legend,
    new_axes,
    styled,
)

BINS = 24

VERDICTS: dict[str, tuple[str, str]] = {
    "singleton": ("determined", GREEN),
    "bounded": ("bounded", BLUE),
    "unbounded": ("unbounded", ORANGE),
    "twin": ("a twin was found", VIOLET),
    "undecided": ("undecided", MUTED),
}
"""Verdicts in the order in which they are stacked, with their words and colours."""


def verdict_histogram(
    active: object,
    verdicts: Sequence[str],
    ax: Axes | None = None,
    *,
    columns: int | None = None,
    label: str = "positive units of the layer",
) -> Axes:
    """Draw inputs by the number of active units, stacked by verdict.

    Args:
        active: Number of active units of each input [N].
        verdicts: A key of ``VERDICTS`` for each input [N].
        ax: Where to draw; new axes by default.
        columns: Coordinates of what the layer reads; a line marks them.
        label: What the horizontal axis counts.

    Returns:
        The axes; its bars add up to the number of inputs.

    Raises:
        ValueError: There are not as many verdicts as counts, or one is unknown.
    """
    counts = np.asarray(active, dtype=np.int64).reshape(-1)
    given = np.array(list(verdicts), dtype=object)
    unknown = {str(verdict) for verdict in verdicts} - VERDICTS.keys()
    if len(counts) != len(given) or unknown:
        raise ValueError(
            f"cannot draw verdicts: there are {len(counts)} counts and {len(given)}"
            f" verdicts, {len(unknown)} of them unknown. Pass one of"
            f" {', '.join(VERDICTS)} for each."
        )
    ax = new_axes(5.6, 3.2) if ax is None else ax
    if len(counts):
        _bars(ax, counts, given, columns)
    if columns is not None:
        _mark(ax, columns)
    ax.set_xlabel(label)
    ax.set_ylabel("inputs")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    styled(ax, grid="y")
    legend(ax)
    return ax


def _bars(ax: Axes, counts: np.ndarray, given: np.ndarray, columns: int | None) -> None:
    low, high = int(counts.min()), int(counts.max()) + 1
    width = max(1, -(-(high - low) // BINS))
    # A bin never holds counts on both sides of the mark.
    anchor = low if columns is None else columns
    first = anchor - -(-(anchor - low) // width) * width
    edges = np.arange(first, high + width, width) - 0.5
    held = [name for name in VERDICTS if (given == name).any()]
    ax.hist(
        [counts[given == name] for name in held],
        bins=edges.tolist(),
        stacked=True,
        color=[VERDICTS[name][1] for name in held],
        label=[f"{VERDICTS[name][0]} ({int((given == name).sum())})" for name in held],
        rwidth=0.92,
    )


def _mark(ax: Axes, columns: int) -> None:
    ax.axvline(columns - 0.5, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    ax.annotate(
        f"n = {columns}",
        (columns - 0.5, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, -2),
        textcoords="offset points",
        color=INK,
        fontsize=9,
        va="top",
    )
