"""Where a network's largest output changes, or an output takes a value, on a slice."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network
from relulens.regions.plane import Plane


class CellGraph(Protocol):
    """What boundaries are found from: cells of a slice with their shared corners."""

    @property
    def network(self) -> Network:
        """The network."""
        ...

    @property
    def plane(self) -> Plane:
        """The plane."""
        ...

    @property
    def vertices(self) -> Tensor:
        """Plane coordinates of every vertex [V, 2]."""
        ...

    @property
    def offsets(self) -> Tensor:
        """Where each cell starts in ``indices``, and the end of the last."""
        ...

    @property
    def indices(self) -> Tensor:
        """Vertices of every cell, counter-clockwise, cell after cell."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Segments:
    """Straight pieces of curves on a slice, each inside one cell.

    Attributes:
        ends: Both ends of every segment in plane coordinates [S, 2, 2].
        cells: The cell it lies in.
        outputs: The two outputs that tie there [S, 2]; for a level set the output
            twice.
    """

    ends: Float[Tensor, "segments 2 2"]
    cells: Int[Tensor, " segments"]
    outputs: Int[Tensor, "segments 2"]

    def __len__(self) -> int:
        """Return the number of segments."""
        return self.cells.shape[0]

    def __repr__(self) -> str:
        """Return the number and the length on one line."""
        long = float((self.ends[:, 1] - self.ends[:, 0]).norm(dim=1).sum())
        return f"Segments({len(self)} in plane coordinates, {long:.4g} long)"


def corner_values(partition: CellGraph) -> Float[Tensor, "vertices out"]:
    """Return the network's outputs at all vertices, by evaluation."""
    points = partition.plane.points(partition.vertices)
    return evaluate(partition.network, points).flatten(1)


def decision_segments(partition: CellGraph) -> Segments:
    """Return the boundary between the areas of the largest outputs.

    Args:
        partition: A slice cut by all layers, of a network with several outputs.

    Raises:
        InvalidArgumentError: The network has one output.

    Cost:
        One evaluation at every vertex, and little work in cells where it changes.
    """
    values = corner_values(partition).numpy()
    if values.shape[1] < 2:
        raise InvalidArgumentError(
            "cannot find decision boundaries: the network has 1 output, and at least 2"
            " are needed. Ask for level_segments."
        )
    offsets, indices = partition.offsets.numpy(), partition.indices.numpy()
    best = values.argmax(1)
    low = np.minimum.reduceat(best[indices], offsets[:-1])
    high = np.maximum.reduceat(best[indices], offsets[:-1])
    cut: list[np.ndarray] = []
    cells: list[int] = []
    pairs: list[tuple[int, int]] = []
    for cell in np.flatnonzero(low != high):
        corners = indices[offsets[cell] : offsets[cell + 1]]
        for ends, a, b in _ties(partition.vertices.numpy()[corners], values[corners]):
            cut.append(ends)
            cells.append(int(cell))
            pairs.append((a, b))
    return _segments(cut, cells, pairs)


def level_segments(
    partition: CellGraph, level: float = 0.0, *, output: int = 0
) -> Segments:
    """Return where one output takes a value, within the cells.

    Args:
        partition: A slice cut by all layers.
        level: The value.
        output: Which output, flat.
    """
    values = corner_values(partition)[:, output].numpy() - level
    offsets, indices = partition.offsets.numpy(), partition.indices.numpy()
    low = np.minimum.reduceat(values[indices], offsets[:-1])
    high = np.maximum.reduceat(values[indices], offsets[:-1])
    cut: list[np.ndarray] = []
    cells: list[int] = []
    for cell in np.flatnonzero((low < 0) & (high > 0)):
        corners = indices[offsets[cell] : offsets[cell + 1]]
        places = partition.vertices.numpy()[corners]
        ends = _zero(places, values[corners])
        if ends is not None:
            cut.append(ends)
            cells.append(int(cell))
    return _segments(cut, cells, [(output, output)] * len(cut))


def _segments(
    cut: list[np.ndarray], cells: list[int], pairs: list[tuple[int, int]]
) -> Segments:
    ends = np.stack(cut) if cut else np.zeros((0, 2, 2))
    return Segments(
        ends=torch.from_numpy(ends),
        cells=torch.tensor(cells, dtype=torch.int64),
        outputs=torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2),
    )


def _zero(places: np.ndarray, values: np.ndarray) -> np.ndarray | None:
    """Return the chord of a convex polygon where an affine function is zero."""
    found: list[np.ndarray] = []
    for i in range(len(values)):
        j = (i + 1) % len(values)
        a, b = values[i], values[j]
        if a == 0.0:
            found.append(places[i])
        elif a * b < 0:
            found.append(places[i] + a / (a - b) * (places[j] - places[i]))
    return np.stack([found[0], found[-1]]) if len(found) >= 2 else None


def _ties(places: np.ndarray, values: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """Return where two outputs tie above all others in a convex polygon.

    Outputs are affine on it, so the values at both ends of a chord tell the others'.
    """
    # an output below another's least value anywhere is nowhere the largest
    able = np.flatnonzero(values.max(0) >= values.min(0).max())
    found: list[tuple[np.ndarray, int, int]] = []
    solved = _affine(places, values[:, able])
    for i, a in enumerate(able):
        for j in range(i + 1, len(able)):
            ends = _zero(places, values[:, a] - values[:, able[j]])
            kept = None if ends is None else _highest(ends, solved, i, j)
            if kept is not None:
                found.append((kept, int(a), int(able[j])))
    return found


def _affine(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the affine functions with given values at corners [3, outputs]."""
    # Relative to the polygon's size, so that tiny cells are as well posed as others.
    centre, size = places.mean(0), np.ptp(places, axis=0).max()
    rows = np.column_stack([np.ones(len(places)), (places - centre) / size])
    fitted = np.linalg.lstsq(rows, values, rcond=None)[0]
    fitted[1:] /= size
    fitted[0] -= centre @ fitted[1:]
    return fitted


def _highest(ends: np.ndarray, solved: np.ndarray, i: int, j: int) -> np.ndarray | None:
    """Return the part of a chord where no output is above the two that tie."""
    at = np.column_stack([np.ones(2), ends]) @ solved
    lead = at[:, i][:, None] - at
    start, stop = 0.0, 1.0
    for k in range(at.shape[1]):
        if k in {i, j}:
            continue
        a, b = lead[0, k], lead[1, k]
        if a < 0 and b < 0:
            return None
        if a < 0:
            start = max(start, a / (a - b))
        elif b < 0:
            stop = min(stop, a / (a - b))
    if start >= stop:
        return None
    step = ends[1] - ends[0]
    return np.stack([ends[0] + start * step, ends[0] + stop * step])
