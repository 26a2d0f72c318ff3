"""The parts into which the largest output divides the cells that it changes in."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from relulens.regions.decision import corner_values
from relulens.regions.partition import Partition


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClassParts:
    """Convex parts of cells, each with one largest output.

    Attributes:
        cells: The cell that each part is of [parts].
        outputs: The largest output there [parts].
        offsets: Where each part starts in ``corners``, and the end of the last.
        corners: Plane coordinates [k, 2], counter-clockwise, part after part.
    """

    cells: Int[Tensor, " parts"]
    outputs: Int[Tensor, " parts"]
    offsets: Int[Tensor, " parts_and_one"]
    corners: Float[Tensor, "corners 2"]

    def __len__(self) -> int:
        """Return the number of parts."""
        return self.cells.shape[0]


def class_parts(partition: Partition) -> ClassParts:
    """Return the parts of the cells in which the largest output changes.

    A cell whose corners have one and the same largest output has it everywhere, as its
    maps are affine; it has no parts here.

    Args:
        partition: A slice cut by all layers.

    Cost:
        One evaluation at every vertex, and clipping of the cells concerned.
    """
    values = corner_values(partition).numpy()
    places = partition.vertices.numpy()
    offsets, indices = partition.offsets.numpy(), partition.indices.numpy()
    best = values.argmax(1)[indices]
    crossed = (
        np.minimum.reduceat(best, offsets[:-1])
        != np.maximum.reduceat(best, offsets[:-1])
        if partition.count
        else np.zeros(0, bool)
    )
    cells: list[int] = []
    outputs: list[int] = []
    polygons = [np.zeros((0, 2))]
    for cell in np.flatnonzero(crossed).tolist():
        rows = indices[offsets[cell] : offsets[cell + 1]]
        for output, polygon in _parts(places[rows], values[rows]):
            cells.append(cell)
            outputs.append(output)
            polygons.append(polygon)
    ends = np.cumsum([len(polygon) for polygon in polygons])
    return ClassParts(
        cells=torch.tensor(cells, dtype=torch.int64),
        outputs=torch.tensor(outputs, dtype=torch.int64),
        offsets=torch.from_numpy(ends),
        corners=torch.from_numpy(np.concatenate(polygons)),
    )


def _parts(
    places: NDArray[np.float64], values: NDArray[np.float64]
) -> list[tuple[int, NDArray[np.float64]]]:
    """Return where each output is the largest, clipped with its values carried on."""
    # an output below another's least value anywhere is nowhere the largest
    able = np.flatnonzero(values.max(0) >= values.min(0).max())
    lifted = np.column_stack([places, values[:, able]])
    found: list[tuple[int, NDArray[np.float64]]] = []
    for i, output in enumerate(able.tolist()):
        part = lifted
        for j in range(len(able)):
            if j != i and len(part):
                part = _clipped(part, part[:, 2 + i] - part[:, 2 + j])
        if len(part) > 2:
            found.append((output, part[:, :2]))
    return found


def _clipped(
    corners: NDArray[np.float64], lead: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the part of a convex polygon where an affine function is not negative."""
    kept: list[NDArray[np.float64]] = []
    for i in range(len(corners)):
        j = (i + 1) % len(corners)
        if lead[i] >= 0:
            kept.append(corners[i])
        if lead[i] * lead[j] < 0:
            share = lead[i] / (lead[i] - lead[j])
            kept.append(corners[i] + share * (corners[j] - corners[i]))
    return np.array(kept).reshape(-1, corners.shape[1])
