"""Draw the templates of one input: the rows of its local affine map, as pictures."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes

from relulens.plot.theme import INK, SIGNED, bare, new_axes

GAP = 1


class HasRows(Protocol):
    """A result that carries templates, such as ``Templates``."""

    @property
    def rows(self) -> object:
        """Templates [N, outputs, *input_shape]."""


def templates(
    result: HasRows,
    ax: Axes | None = None,
    *,
    index: int = 0,
    names: Sequence[str] | None = None,
    columns: int = 5,
) -> Axes:
    """Draw one input's templates side by side on one symmetric scale.

    Args:
        result: Templates; each of shape ``[height, width]``, with channels before it,
            or a vector, which is drawn as a strip. Channels are summed.
        ax: Where to draw; new axes by default.
        index: Which input of the batch.
        names: Names of the outputs; their numbers by default.
        columns: Templates in one row.

    Returns:
        The axes with one image, white where a template is zero, and a text a template.
    """
    ax = new_axes(7.0, 3.2) if ax is None else ax
    rows = np.asarray(result.rows, dtype=np.float64)[index]
    tiles = np.stack([_flat_picture(row) for row in rows]) if len(rows) else None
    if tiles is None:
        return bare(ax)
    count, height, width = tiles.shape
    lines = math.ceil(count / columns)
    step = (height + GAP + max(1, height // 6), width + GAP)
    sheet = np.full((lines * step[0], min(count, columns) * step[1]), np.nan)
    labels = [str(i) for i in range(count)] if names is None else list(names)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * step[0] + step[0] - height, i % columns * step[1]
        sheet[top : top + height, left : left + width] = tile
        where = (left + width / 2 - 0.5, top - 0.8)
        ax.text(*where, labels[i], ha="center", va="bottom", color=INK, fontsize=9)
    reach = float(np.abs(tiles).max()) or 1.0
    ax.imshow(sheet, cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
    return bare(ax)


def _flat_picture(array: np.ndarray) -> np.ndarray:
    if array.ndim == 1:
        return array[None]
    return array.sum(axis=tuple(range(array.ndim - 2)))
