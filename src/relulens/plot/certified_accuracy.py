"""Draw certified accuracy against the radius, one line a method."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes

from relulens.plot.theme import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    VIOLET,
    legend,
    new_axes,
    styled,
)

COLOURS = (VIOLET, ORANGE, BLUE, GREEN)


class HasShares(Protocol):
    """A result with shares at radii, such as ``CertifiedAccuracy``."""

    @property
    def radii(self) -> object:
        """The radii, rising."""

    @property
    def certified(self) -> object:
        """Share of the samples that are certified at each."""

    @property
    def upper(self) -> object:
        """Share that are neither wrong nor attacked at each."""


def certified_accuracy(
    results: Mapping[str, HasShares], ax: Axes | None = None, *, unit: str = "radius"
) -> Axes:
    """Draw what several methods certify, and the most that there can be.

    Args:
        results: By the method's name; looser methods first.
        ax: Where to draw; new axes by default.
        unit: What the radius is.

    Returns:
        The axes: a line a method, and a dashed one for the least of the upper bounds.
    """
    ax = new_axes(5.4, 3.2) if ax is None else ax
    tops: list[np.ndarray] = []
    radii = np.empty(0)
    for place, (name, found) in enumerate(results.items()):
        radii = np.asarray(found.radii)
        share = 100 * np.asarray(found.certified)
        colour = COLOURS[place % len(COLOURS)]
        ax.plot(radii, share, "o-", color=colour, label=name, markersize=3.5)
        tops.append(100 * np.asarray(found.upper))
    if tops:
        least = np.minimum.reduce(tops)
        ax.plot(radii, least, "--", color=MUTED, label="at most (attacks)")
    ax.set_xscale("log")
    ax.set_ylim(-3, 103)
    ax.set_xlabel(unit)
    ax.set_ylabel("% of the inputs")
    styled(ax)
    legend(ax)
    return ax
