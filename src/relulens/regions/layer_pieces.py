"""What one layer alone divides a slice into: pieces that need not be convex."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.network import Layer
from relulens.graph.pieces import row_ranges
from relulens.regions.partition import Partition

_CELLS = 4096
"""Cells whose patterns are compared together."""

_ROUNDING = 1e-9
"""Share of a hull's area that may be missing from a piece that counts as convex."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LayerPieces:
    """The pieces of a slice on which one layer's own pattern is constant.

    Attributes:
        layer: The layer.
        patterns: How many different patterns the layer has on the slice.
        piece: The piece of every cell [cells], from 0; cells are joined across their
            edges, so one pattern may have several pieces.
        convex: Whether each piece fills its convex hull, up to rounding [pieces].
    """

    layer: str
    patterns: int
    piece: Int[Tensor, " cells"]
    convex: Bool[Tensor, " pieces"]

    @property
    def count(self) -> int:
        """Number of pieces."""
        return self.convex.shape[0]

    def __len__(self) -> int:
        """Return the number of pieces."""
        return self.count

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        bent = self.count - int(self.convex.sum())
        return (
            f"LayerPieces({self.layer!r}: {self.count} pieces, {bent} of them not"
            f" convex, {self.patterns} patterns)"
        )


def layer_pieces(partition: Partition, layer: int | str, /) -> LayerPieces:
    """Return the pieces of a slice that one layer alone tells apart.

    The patterns of layers 1 to l together cut an input space into convex regions; a
    deeper layer's own pattern does not, as its hyperplanes bend at earlier ones.

    Args:
        partition: Cells of all layers up to this one at least.
        layer: A layer that was cut by, an index or a name.

    Raises:
        UnknownNameError: No layer has this name.
        InvalidArgumentError: The partition was not cut by this layer, or is empty.

    Cost:
        A walk up the tree of cuts per cell, in batches, and the bits of the patterns.
    """
    network = partition.network
    place = network.layer_index(layer)
    name = network.layers[place].name
    if partition.count == 0 or name not in partition.pattern(0):
        cut = ", ".join(network.layers[k].name for k in partition.layers)
        raise InvalidArgumentError(
            f"cannot join the cells of layer {name!r}: the {partition.count} cells were"
            f" cut by layers [{cut}]. Cut by this layer as well."
        )
    same = _numbered(partition, network.layers[place])
    sides = partition.edge_cells.numpy()
    sides = sides[(sides >= 0).all(1)]
    sides = sides[same[sides[:, 0]] == same[sides[:, 1]]]
    links = coo_array(
        (np.ones(len(sides)), (sides[:, 0], sides[:, 1])), shape=(len(same), len(same))
    )
    count, piece = connected_components(links, directed=False)
    return LayerPieces(
        layer=name,
        patterns=int(same.max()) + 1,
        piece=torch.from_numpy(piece.astype(np.int64)),
        convex=torch.from_numpy(_convex(partition, piece, count)),
    )


def _numbered(partition: Partition, layer: Layer) -> NDArray[np.int64]:
    """Return the number of every cell's pattern of a layer, in order of appearance."""
    known: dict[bytes, int] = {}
    numbers = np.empty(partition.count, np.int64)
    for rows in row_ranges(partition.count, _CELLS):
        cells = np.arange(rows.start, rows.stop)
        codes = partition.codes.patterns(cells, layer)[layer.name].numpy()
        if codes.dtype == np.int8:
            # From 0 to the number of nodes: a bit for each that is reached.
            levels = range(len(layer.nodes))
            codes = np.concatenate([np.packbits(codes > k, 1) for k in levels], 1)
        numbers[rows] = [known.setdefault(row.tobytes(), len(known)) for row in codes]
    return numbers


def _convex(
    partition: Partition, piece: NDArray[np.int32], count: int
) -> NDArray[np.bool_]:
    """Tell which pieces are as large as their convex hulls."""
    areas = np.bincount(piece, partition.areas.numpy(), minlength=count)
    convex = np.ones(count, bool)
    # A cell alone is convex.
    joined = np.flatnonzero(np.bincount(piece, minlength=count) > 1)
    owner, corners = _border(partition, piece)
    starts = np.searchsorted(owner, joined)
    stops = np.searchsorted(owner, joined, side="right")
    for one, start, stop in zip(joined, starts, stops, strict=True):
        hull = _hull_area(corners[start:stop])
        convex[one] = hull - areas[one] <= _ROUNDING * hull
    return convex


def _border(
    partition: Partition, piece: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pieces' corners, piece after piece, each sorted by its coordinates.

    Corners inside a piece, on none of its border's edges, are left out.
    """
    sides = partition.edge_cells.numpy()
    of = np.where(sides >= 0, piece[sides], -1)
    apart = of[:, 0] != of[:, 1]
    owner = np.repeat(of[apart], 2, axis=1).ravel()
    vertex = np.tile(partition.edges.numpy()[apart], 2).ravel()
    inside = owner >= 0
    owner, corners = owner[inside], partition.vertices.numpy()[vertex[inside]]
    order = np.lexsort((corners[:, 1], corners[:, 0], owner))
    owner, corners = owner[order], corners[order]
    again = (np.diff(owner) == 0) & (np.diff(corners, axis=0) == 0).all(1)
    first = np.append(True, ~again)
    return owner[first], corners[first]


def _hull_area(points: NDArray[np.float64]) -> float:
    """Return the area of the convex hull of sorted points, by Andrew's chains."""
    placed = [(x, y) for x, y in points.tolist()]
    total = 0.0
    for way in (placed, placed[::-1]):
        chain: list[tuple[float, float]] = []
        for point in way:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        total += sum(
            (a[0] - placed[0][0]) * (b[1] - placed[0][1])
            - (b[0] - placed[0][0]) * (a[1] - placed[0][1])
            for a, b in pairwise(chain)
        )
    return total / 2


def _turn(
    a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]
) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
