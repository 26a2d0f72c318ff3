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
from relulens.regions.partition import Partition

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
        A walk up the tree of cuts per cell.
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
    rows = [partition.pattern(i)[name][0].numpy() for i in range(partition.count)]
    _, same = np.unique(np.stack(rows), axis=0, return_inverse=True)
    same = same.reshape(-1)
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


def _convex(
    partition: Partition, piece: NDArray[np.int32], count: int
) -> NDArray[np.bool_]:
    """Tell which pieces are as large as their convex hulls."""
    areas = np.bincount(piece, partition.areas.numpy(), minlength=count)
    owner = piece[np.repeat(np.arange(len(piece)), partition.offsets.diff().numpy())]
    order = np.argsort(owner, kind="stable")
    corners = partition.vertices[partition.indices].numpy()[order]
    parts = np.split(corners, np.cumsum(np.bincount(owner, minlength=count))[:-1])
    hulls = np.array([_hull_area(part) for part in parts])
    return hulls - areas <= _ROUNDING * hulls


def _hull_area(points: NDArray[np.float64]) -> float:
    """Return the area of the convex hull of points, by Andrew's chains."""
    placed = sorted(set(map(tuple, points.tolist())))
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
