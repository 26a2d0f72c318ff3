"""Patterns and affine maps of cells, from codes stored along the tree of cuts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.graph.network import Layer
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.local.pattern import ActivationPattern
from relulens.regions.plane import Plane
from relulens.regions.slice_stage import Stage


@dataclass(slots=True, eq=False, kw_only=True, frozen=True)
class Branch:
    """Cells that were cut together, with the codes of every node.

    Attributes:
        stages: What every nonlinear node does, in order.
    """

    stages: Sequence[Stage]

    def codes(
        self, cells: np.ndarray, nodes: Collection[int] | None = None
    ) -> dict[int, np.ndarray]:
        """Return nodes' codes on some of the last stage's cells [cells, size].

        Args:
            cells: The cells.
            nodes: The nodes; all by default.
        """
        found: dict[int, np.ndarray] = {}
        for stage in reversed(self.stages):
            if stage.node >= 0 and (nodes is None or stage.node in nodes):
                codes = stage.codes(cells)
                if stage.node in found and stage.decided is not None:
                    # An earlier round of the same node.
                    some = stage.decided
                    found[stage.node][:, some] = codes[:, some]
                else:
                    found[stage.node] = codes
            if stage.parents is not None:
                cells = stage.parents[cells]
        return found


@dataclass(slots=True, eq=False, kw_only=True, frozen=True)
class CellCodes:
    """The codes of all cells.

    Attributes:
        region: The network up to the last node that was cut by.
        whole: The network up to its output.
        plane: The plane.
        branches: Groups of cells that were cut together.
        starts: First cell of every branch, and the number of cells.
    """

    region: Polyhedral
    whole: Polyhedral | None
    plane: Plane
    branches: Sequence[Branch]
    starts: np.ndarray

    def node_codes(self, cell: int) -> dict[int, np.ndarray]:
        """Return every nonlinear node's codes on one cell, flat."""
        place = int(np.searchsorted(self.starts, cell, side="right")) - 1
        inside = np.array([cell - int(self.starts[place])])
        codes = self.branches[place].codes(inside)
        return {node: rows[0].astype(np.int64) for node, rows in codes.items()}

    def patterns(
        self, cells: np.ndarray, layer: Layer | None = None
    ) -> ActivationPattern:
        """Return the codes of the layers, as ``activation_pattern`` gives them.

        Args:
            cells: The cells, in order.
            layer: The only layer that is wanted; all by default.
        """
        nodes = None if layer is None else layer.nodes
        edges = np.searchsorted(cells, self.starts)
        parts = [
            branch.codes(cells[first:last] - start, nodes)
            for branch, first, last, start in zip(
                self.branches, edges, edges[1:], self.starts, strict=False
            )
            if first < last
        ]
        if not parts:
            parts = [self.branches[0].codes(cells, nodes)] if self.branches else [{}]
        codes = {node: np.concatenate([p[node] for p in parts]) for node in parts[0]}
        found: dict[str, Tensor] = {}
        for layer in self.region.network.layers:
            if all(index in codes for index in layer.nodes):
                found[layer.name] = self._layer(layer, codes)
        return ActivationPattern(codes=found, batch=len(cells))

    def _layer(self, layer: Layer, codes: Mapping[int, np.ndarray]) -> Tensor:
        first, *rest = (torch.from_numpy(codes[index]) for index in layer.nodes)
        if isinstance(self.region.nodes[layer.nodes[0]], Maximum):
            return first.to(torch.int32)
        for code in rest:
            first = first + (1 - code)
        return first.to(torch.int8)

    def affine_map(self, cell: int) -> tuple[Tensor, Tensor]:
        """Return slope [out, 2] and offset [out] of the network on one cell."""
        region = self.region if self.whole is None else self.whole
        codes = self.node_codes(cell)
        values: dict[int, Tensor] = {}
        for index, node in region.nodes.items():
            match node:
                case Input():
                    start = self.plane.origin[None]
                    values[index] = torch.cat([start, self.plane.directions])
                case Affine():
                    total = torch.zeros((3, *node.shape), dtype=torch.float64)
                    for term in node.terms:
                        total = total + term.map.apply(values[term.source])
                    if node.bias is not None:
                        total[0] += node.bias
                    values[index] = total
                case TwoSlope():
                    on = torch.from_numpy(codes[index] > 0).reshape(node.shape)
                    slope = torch.where(on, node.positive, node.negative)
                    values[index] = values[node.source] * slope
                case Maximum():
                    winner = torch.from_numpy(codes[index])
                    taken = values[node.source].flatten(1)[:, winner]
                    values[index] = taken.reshape(3, *node.shape)
        offset, first, second = values[region.end].flatten(1)
        return torch.stack([first, second], dim=1), offset
