"""The exact partition of a polygon in a plane into linear regions."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.network import Network
from relulens.local.pattern import ActivationPattern
from relulens.regions.decision import Segments, decision_segments
from relulens.regions.partition_codes import CellCodes
from relulens.regions.plane import Plane
from relulens.regions.slice_certificate import SliceCertificate


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CellMap:
    """The affine map of a cell in plane coordinates: ``slope @ (s, t) + offset``.

    Attributes:
        slope: [out, 2].
        offset: [out].
    """

    slope: Float[Tensor, "out 2"]
    offset: Float[Tensor, " out"]

    def __call__(self, place: object) -> Float[Tensor, "batch out"]:
        """Return the values at plane coordinates [N, 2]."""
        return torch.as_tensor(place, dtype=torch.float64) @ self.slope.T + self.offset

    def __repr__(self) -> str:
        """Return the number of outputs on one line."""
        return f"CellMap(2 -> {self.offset.shape[0]})"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Partition:
    """The cells of a slice as a planar graph: shared vertices, edges, neighbours.

    Numbers of things are 32 bits wide, or 64 where there are too many of them.

    Attributes:
        network: The network.
        plane: The plane.
        domain: The polygon [k, 2], counter-clockwise.
        vertices: Plane coordinates [V, 2]; every vertex is stored once.
        offsets: Where each cell starts in ``indices``, and the end of the last.
        indices: Vertices of every cell, counter-clockwise, cell after cell.
        cell_edges: Edge from each entry of ``indices`` to the next of its cell.
        edges: The two vertices of every edge [E, 2].
        edge_cells: The cells left and right of every edge [E, 2]; -1 is outside.
        edge_layer: Index in ``network.layers`` of what made each edge; -1 the domain.
        edge_unit: Flat index of the unit that made it; the side for the domain.
        areas: Area of every cell, in units of the plane.
        layers: Indices of the layers whose patterns are told apart.
        counts: Cells after each layer, layers in order.
        complete: Whether the whole domain was finished.
        finished_area: Share of the domain's area that was finished, 0 to 1.
        certificate: The evidence.
        codes: The patterns, stored along the tree of cuts.
    """

    network: Network
    plane: Plane
    domain: Float[Tensor, "corners 2"]
    vertices: Float[Tensor, "vertices 2"]
    offsets: Int[Tensor, " cells_and_one"]
    indices: Int[Tensor, " corners_of_cells"]
    cell_edges: Int[Tensor, " corners_of_cells"]
    edges: Int[Tensor, "edges 2"]
    edge_cells: Int[Tensor, "edges 2"]
    edge_layer: Int[Tensor, " edges"]
    edge_unit: Int[Tensor, " edges"]
    areas: Float[Tensor, " cells"]
    layers: tuple[int, ...]
    counts: tuple[int, ...]
    complete: bool
    finished_area: float
    certificate: SliceCertificate
    codes: CellCodes
    _known: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _segments: list[Segments] = field(default_factory=list, repr=False)

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.areas.shape[0]

    def __len__(self) -> int:
        """Return the number of cells."""
        return self.count

    def polygon(self, cell: int) -> Float[Tensor, "corners 2"]:
        """Return the corners of one cell, counter-clockwise."""
        start, stop = self._range(cell)
        return self.vertices[self.indices[start:stop]]

    def polygons(self) -> Iterator[Float[Tensor, "corners 2"]]:
        """Iterate over the corners of every cell."""
        return (self.polygon(i) for i in range(self.count))

    def neighbours(self, cell: int) -> Int[Tensor, " neighbours"]:
        """Return the cells across the edges of one cell."""
        start, stop = self._range(cell)
        both = self.edge_cells[self.cell_edges[start:stop]]
        others = both[both != cell]
        return others[others >= 0].unique()

    @property
    def centres(self) -> Float[Tensor, "cells 2"]:
        """The mean of every cell's corners, inside it if it is convex."""
        known = self._known.get("centres")
        if known is None:
            lengths = self.offsets.diff()
            owner = torch.repeat_interleave(torch.arange(self.count), lengths)
            total = torch.zeros(self.count, 2, dtype=torch.float64)
            total.index_add_(0, owner, self.vertices[self.indices])
            known = self._known["centres"] = total / lengths[:, None]
        return known

    @property
    def decision_segments(self) -> Segments:
        """The boundary between the areas of the largest outputs, cell by cell.

        Found once, by one evaluation at every vertex.

        Raises:
            InvalidArgumentError: The slice was cut by a part of the layers, so that
                outputs are not affine on its cells, or there is only one output.
        """
        if self.codes.whole is None:
            raise InvalidArgumentError(
                "cannot find decision boundaries: layers= cut the slice by"
                f" {len(self.layers)} of {len(self.network.layers)} layers, and the"
                " output is affine where all did. Leave it out of slice_partition."
            )
        if not self._segments:
            self._segments.append(decision_segments(self))
        return self._segments[0]

    def pattern(self, cell: int) -> ActivationPattern:
        """Return the codes of all layers on one cell, as ``activation_pattern`` does.

        Cost:
            One walk up the tree of cuts; nothing is evaluated.
        """
        self._range(cell)
        return self.codes.patterns(np.array([cell]))

    def patterns(self, start: int, stop: int) -> ActivationPattern:
        """Return the codes of all layers on the cells from ``start`` to ``stop``.

        Cost:
            As many bytes as the cells have units.
        """
        return self.codes.patterns(np.arange(start, min(stop, self.count)))

    def map(self, cell: int) -> CellMap:
        """Return the affine map of the network on one cell, in plane coordinates."""
        self._range(cell)
        slope, offset = self.codes.affine_map(cell)
        return CellMap(slope=slope, offset=offset)

    def _range(self, cell: int) -> tuple[int, int]:
        """Return where a cell's corners are stored.

        Raises:
            InvalidArgumentError: There is no such cell.
        """
        if not 0 <= cell < self.count:
            raise InvalidArgumentError(
                f"cannot find cell {cell}: the partition has {self.count}, numbered"
                " from 0. Use one of these."
            )
        return int(self.offsets[cell]), int(self.offsets[cell + 1])

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        share = "" if self.complete else f", {self.finished_area:.1%} of the area"
        return (
            f"Partition({self.count} cells, {self.vertices.shape[0]} vertices,"
            f" {self.edges.shape[0]} edges{share})"
        )
