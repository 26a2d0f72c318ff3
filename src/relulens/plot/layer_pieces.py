"""Draw what one layer alone divides a slice into."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from relulens.plot.partition import CLASSES, fill, framed
from relulens.plot.theme import INK, new_axes
from relulens.regions.frame import SliceFrame, slice_frame
from relulens.regions.layer_pieces import layer_pieces as found_pieces
from relulens.regions.partition import Partition


def layer_pieces(result: Partition, layer: int | str, ax: Axes | None = None) -> Axes:
    """Draw the pieces on which one layer's own pattern is constant, bent as they are.

    Colours only tell neighbours apart.

    Args:
        result: Cells of all layers up to this one at least.
        layer: A layer that was cut by.
        ax: Where to draw; new axes by default.

    Raises:
        UnknownNameError: No layer has this name.
        InvalidArgumentError: The partition was not cut by this layer, or is empty.
    """
    ax = new_axes(6.0, 5.4) if ax is None else ax
    found = found_pieces(result, layer)
    frame = slice_frame(result)
    framed(frame, ax)
    piece = found.piece.numpy()
    sides = result.edge_cells.numpy()
    inner = (sides >= 0).all(1)
    apart = inner & (piece[sides[:, 0]] != piece[sides[:, 1]])
    shades = np.array([to_rgb(c) for c in CLASSES])
    fill(frame, ax, shades[_apart(piece[sides[apart]], found.count)][piece])
    _outlines(frame, ax, apart | ~inner)
    return ax


def _outlines(frame: SliceFrame, ax: Axes, kept: NDArray[np.bool_]) -> None:
    ends = frame.vertices[frame.edges.long()].numpy()[kept]
    lines = LineCollection(list(ends), colors=[INK], linewidths=0.8)
    ax.add_collection(lines)


def _apart(pairs: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Return a colour for each piece that no neighbour before it has, in turn."""
    near: list[set[int]] = [set() for _ in range(count)]
    for a, b in pairs.tolist():
        near[a].add(b)
        near[b].add(a)
    colours = np.full(count, -1)
    for piece in range(count):
        taken = {int(colours[other]) for other in near[piece]}
        free = [k for k in range(len(CLASSES)) if k not in taken]
        colours[piece] = free[piece % len(free)] if free else piece % len(CLASSES)
    return colours
