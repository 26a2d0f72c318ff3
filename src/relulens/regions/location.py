"""Which cell of a slice holds a point."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.arrays import tensor_of
from relulens.regions.partition import Partition

_TOGETHER = 1 << 18
"""Pairs of a point and a cell whose box holds it that are looked at together."""

_ROUNDING = 64 * 2.0**-52
"""Rounding of a distance, in parts of the largest coordinate."""

_GAP = 1e-9
"""Parts of the domain's size that rounded vertices may leave between cells."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Located:
    """The cells that points lie in.

    Attributes:
        cell: The cell of every point [N]; -1 outside of all cells.
        depth: How far each point is from its cell's border [N], in plane coordinates;
            negative by rounding only. Minus infinity outside.
    """

    cell: Int[Tensor, " points"]
    depth: Float[Tensor, " points"]

    def __len__(self) -> int:
        """Return the number of points."""
        return self.cell.shape[0]

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        outside = int((self.cell < 0).sum())
        return f"Located({len(self)} points, {outside} outside)"


def locate(partition: Partition, points: object, /) -> Located:
    """Return the cell that each point of the plane lies in.

    A point on an edge is given to the cell that it is deepest in by the rounded
    coordinates of vertices, the first of equals. A point outside of all cells by no
    more than these may be off, at most 1e-9 of the domain's size, counts as on an edge.

    Args:
        partition: The cells.
        points: Plane coordinates [N, 2]; ``plane.coordinates(x)`` has those of inputs.

    Raises:
        InvalidArgumentError: The points have another shape.
        NotFiniteError: A coordinate is NaN or infinite.

    Cost:
        One pass over the cells, and the corners of about six cells a point.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> from relulens.regions.plane import Plane
        >>> from relulens.regions.slice import slice_partition
        >>> axes = [[1.0, 0.0], [0.0, 1.0]]
        >>> network = from_layers([(axes, None), ([[1.0, 1.0]], None)])
        >>> square = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
        >>> found = slice_partition(network, Plane([0.0, 0.0], axes), square)
        >>> located = locate(found, [[0.5, 0.25], [3.0, 0.0]])
        >>> found.pattern(int(located.cell[0]))["relu0"].tolist()
        [[1, 1]]
        >>> located.cell[1].item()
        -1
    """
    places = _checked(points)
    cell = np.full(len(places), -1)
    depth = np.full(len(places), -np.inf)
    if partition.count and len(places):
        largest = float(partition.vertices.abs().max())
        size = float((partition.domain.amax(0) - partition.domain.amin(0)).max())
        gap = min(partition.certificate.largest_error, _GAP * size)
        margin = _ROUNDING * largest + gap
        for point, held in _candidates(partition, places, margin):
            inside = _depths(partition, places[point], held)
            _deepest(point, held, inside, cell, depth)
        outside = depth < -margin
        cell[outside], depth[outside] = -1, -np.inf
    return Located(cell=torch.from_numpy(cell), depth=torch.from_numpy(depth))


def _checked(points: object) -> NDArray[np.float64]:
    """Return points as float64.

    Raises:
        InvalidArgumentError: They have another shape.
        NotFiniteError: A coordinate is NaN or infinite.
    """
    given = tensor_of(points, subject="points of a slice")
    places = given.to("cpu", torch.float64).numpy()
    if places.ndim != 2 or places.shape[1] != 2:
        raise InvalidArgumentError(
            f"cannot locate points: their shape is {list(places.shape)}, and [N, 2] is"
            " needed. Pass plane coordinates, as plane.coordinates(x) returns them."
        )
    wrong = int((~np.isfinite(places)).sum())
    if wrong:
        raise NotFiniteError(
            f"cannot locate points: {wrong} of their {places.size} coordinates are NaN"
            " or infinite. Leave these out."
        )
    return places


def _candidates(
    partition: Partition, places: NDArray[np.float64], margin: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Give pairs of points and cells whose bounding boxes hold them, in batches.

    The points lie in rows with as many points each as there are rows, each sorted
    along the row; a cell's points in one row are neighbours then.
    """
    low, high = _boxes(partition, margin)
    count = len(places)
    rows = math.isqrt(count - 1) + 1
    starts = np.arange(rows + 1) * count // rows
    upward = np.argsort(places[:, 1], kind="stable")
    row, rank = np.empty(count, np.int64), np.empty(count, np.int64)
    row[upward] = np.repeat(np.arange(rows), np.diff(starts))
    across = np.argsort(places[:, 0], kind="stable")
    rank[across] = np.arange(count)
    order = np.argsort(row * count + rank)
    keys = (row * count + rank)[order]
    # Rows that a cell's height meets, and its points among those of each.
    heights, widths = places[upward, 1], places[across, 0]
    first = np.searchsorted(heights[starts[1:] - 1], low[:, 1])
    last = np.searchsorted(heights[starts[:-1]], high[:, 1], side="right")
    cell, which = _spread(first, last)
    left = np.searchsorted(widths, low[:, 0])[cell]
    right = np.searchsorted(widths, high[:, 0], side="right")[cell]
    begin = np.searchsorted(keys, which * count + left)
    end = np.searchsorted(keys, which * count + right)
    batch = np.cumsum(end - begin) // _TOGETHER
    for some in np.split(np.arange(len(cell)), np.flatnonzero(np.diff(batch)) + 1):
        entry, at = _spread(begin[some], end[some])
        yield order[at], cell[some][entry]


def _spread(
    begin: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every number of some ranges, and which range it is of."""
    sizes = np.maximum(end - begin, 0)
    which = np.repeat(np.arange(len(sizes)), sizes)
    before = np.cumsum(sizes) - sizes
    return which, np.arange(len(which)) + (begin - before)[which]


def _boxes(
    partition: Partition, margin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper corners of the cells' boxes, a little larger."""
    starts = partition.offsets[:-1].numpy()
    corners = partition.vertices.numpy()[partition.indices.numpy()]
    low = np.minimum.reduceat(corners, starts)
    return low - margin, np.maximum.reduceat(corners, starts) + margin


def _depths(
    partition: Partition, places: NDArray[np.float64], cells: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how far points lie inside cells: the least distance to a side's line."""
    offsets, indices = partition.offsets.numpy(), partition.indices.numpy()
    begin, end = offsets[cells], offsets[cells + 1]
    pair, at = _spread(begin, end)
    following = at + 1
    final = np.cumsum(end - begin) - 1
    following[final] = begin
    vertices = partition.vertices.numpy()
    start = vertices[indices[at]]
    along = vertices[indices[following]] - start
    toward = places[pair] - start
    cross = along[:, 0] * toward[:, 1] - along[:, 1] * toward[:, 0]
    length = np.hypot(along[:, 0], along[:, 1])
    # A side whose rounded ends are equal bounds nothing.
    far = np.full(len(length), np.inf)
    np.divide(cross, length, out=far, where=length > 0)
    return np.minimum.reduceat(far, final + 1 - (end - begin))


def _deepest(
    point: NDArray[np.int64],
    held: NDArray[np.int64],
    inside: NDArray[np.float64],
    cell: NDArray[np.int64],
    depth: NDArray[np.float64],
) -> None:
    """Take for every point the cell it is deepest in, if that is deeper than so far."""
    order = np.lexsort((held, -inside, point))
    point, held, inside = point[order], held[order], inside[order]
    first = np.flatnonzero(np.diff(point, prepend=-1))
    point, held, inside = point[first], held[first], inside[first]
    deeper = inside > depth[point]
    cell[point[deeper]], depth[point[deeper]] = held[deeper], inside[deeper]
