"""A slice as a picture needs it: polygons and values, without network and codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from relulens.regions.cell_values import CellValues, cell_values
from relulens.regions.class_parts import ClassParts, class_parts
from relulens.regions.decision import level_segments
from relulens.regions.partition import Partition


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SliceFrame:
    """The cells of a slice, compact: about 70 bytes a cell.

    Attributes:
        step: When it was taken.
        domain: The polygon [k, 2].
        vertices: Plane coordinates [V, 2].
        offsets: Where each cell starts in ``indices``, and the end of the last.
        indices: Vertices of every cell, counter-clockwise, cell after cell.
        edges: The two vertices of every edge [E, 2].
        edge_layer: The layer that made each edge [E], -1 for the domain.
        depth: The deepest layer among each cell's edges [cells].
        prediction: The largest output in the middle of each cell [cells].
        slope_norm: Norm of each cell's slope along the plane [cells].
        parts: Cells in which the largest output changes, divided by it.
        decisions: Ends of the decision boundary's segments [s, 2, 2].
        layers: Names of the layers by number.
        counts: Cells after each layer that was cut by.
        complete: Whether the whole domain was finished.
    """

    step: int
    domain: Float[Tensor, "corners 2"]
    vertices: Float[Tensor, "vertices 2"]
    offsets: Int[Tensor, " cells_and_one"]
    indices: Int[Tensor, " corners_of_cells"]
    edges: Int[Tensor, "edges 2"]
    edge_layer: Int[Tensor, " edges"]
    depth: Int[Tensor, " cells"]
    prediction: Int[Tensor, " cells"]
    slope_norm: Float[Tensor, " cells"]
    parts: ClassParts
    decisions: Float[Tensor, "segments 2 2"]
    layers: tuple[str, ...]
    counts: tuple[int, ...]
    complete: bool

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.prediction.shape[0]

    def __len__(self) -> int:
        """Return the number of cells."""
        return self.count

    def polygons(self) -> Iterator[Float[Tensor, "corners 2"]]:
        """Iterate over the corners of every cell."""
        ends = self.offsets.tolist()
        corners = self.vertices[self.indices.long()]
        return (corners[a:b] for a, b in pairwise(ends))

    @property
    def bytes(self) -> int:
        """Memory of the arrays."""
        parts = self.parts
        held = (
            self.domain, self.vertices, self.offsets, self.indices, self.edges,
            self.edge_layer, self.depth, self.prediction, self.slope_norm,
            self.decisions, parts.cells, parts.outputs, parts.offsets, parts.corners,
        )  # fmt: skip
        return sum(part.numel() * part.element_size() for part in held)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        return f"SliceFrame(step {self.step}, {self.count} cells)"


def slice_frame(
    partition: Partition, *, step: int = 0, values: CellValues | None = None
) -> SliceFrame:
    """Return what a picture of a slice needs, free of the network.

    Where only some layers were cut by, cells are not affine and there is no decision
    boundary in the frame.

    Args:
        partition: The cells.
        step: When it was taken.
        values: What ``cell_values`` found, if it is known already.

    Cost:
        Three forward passes a cell without ``values``.
    """
    found = cell_values(partition) if values is None else values
    narrow = torch.int32
    return SliceFrame(
        step=step,
        domain=partition.domain.clone(),
        vertices=partition.vertices.clone(),
        offsets=partition.offsets.to(narrow),
        indices=partition.indices.to(narrow),
        edges=partition.edges.to(narrow),
        edge_layer=partition.edge_layer.to(torch.int16),
        depth=torch.from_numpy(edge_depth(partition)).to(torch.int16),
        prediction=found.prediction.cpu().to(narrow),
        slope_norm=found.slope_norm.cpu().float(),
        parts=_parts(partition),
        decisions=_decisions(partition),
        layers=tuple(layer.name for layer in partition.network.layers),
        counts=partition.counts,
        complete=partition.complete,
    )


def _parts(partition: Partition) -> ClassParts:
    """Return the parts of cells by class; none where cells are not affine."""
    if partition.codes.whole is not None:
        return class_parts(partition)
    none = torch.zeros(0, dtype=torch.int64)
    return ClassParts(
        cells=none,
        outputs=none,
        offsets=torch.zeros(1, dtype=torch.int64),
        corners=torch.zeros(0, 2, dtype=torch.float64),
    )


def _decisions(partition: Partition) -> Float[Tensor, "segments 2 2"]:
    """Return the decision boundary; of a single output, where it is zero."""
    if partition.codes.whole is None or partition.count == 0:
        return torch.zeros(0, 2, 2, dtype=torch.float64)
    if partition.network.output_size == 1:
        return level_segments(partition).ends
    return partition.decision_segments.ends


def edge_depth(partition: Partition) -> NDArray[np.int64]:
    """Return the deepest layer among the edges of every cell [cells], -1 for none."""
    layer = partition.edge_layer[partition.cell_edges].numpy()
    owner = np.repeat(np.arange(partition.count), partition.offsets.diff().numpy())
    deepest = np.full(partition.count, -1, np.int64)
    np.maximum.at(deepest, owner, layer)
    return deepest
