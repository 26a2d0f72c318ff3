"""Draw where the matrix A of an implicit model has entries."""

import numpy as np
from matplotlib.axes import Axes

from relulens.implicit.model import ImplicitModel
from relulens.implicit.picture import SparsityPicture, sparsity_picture
from relulens.plot.theme import BLUE, MUTED, new_axes, styled

FEW = 40
"""Most blocks whose names are written."""


def implicit(result: ImplicitModel | SparsityPicture, ax: Axes | None = None) -> Axes:
    """Draw the sparsity of A, a grey image a block, with the layers' names.

    Blocks are drawn at any size: each is a coarse image of how full its parts are,
    darker where fuller, over the square that it takes in A. A model without loops has
    everything below the diagonal.

    Args:
        result: A model, or its ``sparsity_picture``.
        ax: Where to draw; new axes by default.

    Returns:
        The axes, one image a block that is not zero.
    """
    ax = new_axes() if ax is None else ax
    known = isinstance(result, SparsityPicture)
    picture = result if known else sparsity_picture(result)
    height, width = picture.argument_borders[-1], picture.borders[-1]
    for border in picture.borders[1:-1]:
        ax.axvline(border, color=MUTED, linewidth=0.3, alpha=0.5)
    for border in picture.argument_borders[1:-1]:
        ax.axhline(border, color=MUTED, linewidth=0.3, alpha=0.5)
    for block in picture.blocks:
        grid = np.ones((1, 1)) if block.counts is None else block.counts
        most = float(grid.max(initial=0)) or 1.0
        shown = np.ma.masked_equal(grid / most, 0.0)
        ax.imshow(
            0.35 + 0.65 * shown,
            extent=(*block.columns, block.rows[1], block.rows[0]),
            cmap="Blues",
            vmin=0.0,
            vmax=1.0,
            aspect="auto",
            interpolation="nearest",
        )
    ax.set_xlim(0, max(width, 1))
    ax.set_ylim(max(height, 1), 0)
    _name(ax, picture)
    entries = sum(block.entries for block in picture.blocks)
    ax.set_title(f"A: {height:,} by {width:,}, {entries:,} entries", color=BLUE)
    styled(ax)
    return ax


def _name(ax: Axes, picture: SparsityPicture) -> None:
    """Write the layers' names beside the rows, if there is room."""
    borders = np.array(picture.borders)
    middles = (borders[1:] + borders[:-1]) / 2
    if len(picture.names) <= FEW:
        ax.set_xticks(middles, picture.names, rotation=90, fontsize=6)
    ax.set_xlabel("state that is read")
    ax.set_ylabel("entry of z that reads it")
