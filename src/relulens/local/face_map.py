"""The inequalities of a region as a linear map: one row a unit, matrix-free."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array, vstack
from torch import Tensor

from relulens.graph.convert import converted
from relulens.graph.freeze import Frozen
from relulens.graph.linear_map import (
    BYTE_LIMIT,
    Absolute,
    LinearMap,
    Shape,
    check_sparse,
)
from relulens.graph.maps import SparseMatrix
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.graph.tangent import adjoint_walk, tangent_walk
from relulens.local.jacobian import flat_rows

CHUNK_ROWS = 256
"""Rows that are made dense at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Comparisons:
    """Rows of one nonlinear node: ``sign * (entry plus - entry minus) <= ...``.

    Attributes:
        node: Index of the nonlinear node.
        source: Index of the node that holds the entries.
        unit: Flat position of each row in the node's value.
        plus: Flat position of the first entry.
        minus: Flat position of the entry that is subtracted, for maxima.
        sign: What each row is multiplied by, for two slopes.
    """

    node: int
    source: int
    unit: Int[Tensor, " rows"]
    plus: Int[Tensor, " rows"]
    minus: Int[Tensor, " rows"] | None
    sign: Float[Tensor, " rows"]

    def of(self, flat: Float[Tensor, "batch size"]) -> Float[Tensor, "batch rows"]:
        """Return the rows applied to entries."""
        value = flat[:, self.plus]
        if self.minus is not None:
            value = value - flat[:, self.minus]
        return value * self.sign


def comparisons(one: Frozen, region: Polyhedral) -> list[Comparisons]:
    """Return the rows that say which side all units of one frozen sample are on."""
    found: list[Comparisons] = []
    for index, node in region.nonlinear():
        match node:
            case TwoSlope():
                bends = _bends(node, one.x.device)
                on = one.gates[index].flatten()[bends]
                found.append(
                    Comparisons(
                        node=index,
                        source=node.source,
                        unit=bends,
                        plus=bends,
                        minus=None,
                        sign=torch.where(on, -1.0, 1.0).to(torch.float64),
                    )
                )
            case Maximum():
                found.append(_losers(one, index, node))
    return found


def _bends(node: TwoSlope, device: torch.device) -> Int[Tensor, " units"]:
    differ = (node.positive != node.negative).expand(node.shape).flatten()
    return differ.nonzero().flatten().to(device)


def _losers(one: Frozen, index: int, node: Maximum) -> Comparisons:
    table, real = (part.to(one.x.device) for part in node.groups.ragged.padded())
    winner = one.gates[index].flatten().to(torch.int64)
    unit, column = (real & (table != winner[:, None])).nonzero(as_tuple=True)
    return Comparisons(
        node=index,
        source=node.source,
        unit=unit,
        plus=table[unit, column],
        minus=winner[unit],
        sign=torch.ones(len(unit), dtype=torch.float64, device=one.x.device),
    )


@dataclass(frozen=True, slots=True, eq=False)
class FaceMap(LinearMap):
    """The left-hand sides of a region's inequalities, ``A`` of ``A x <= b``.

    Attributes:
        one: The network, frozen at one sample, in float64.
        rows: The rows, node by node.
    """

    one: Frozen
    rows: tuple[Comparisons, ...]

    rows_single = False
    columns_single = False
    nonnegative = False

    @property
    def in_shape(self) -> Shape:
        """Shape of the network's input."""
        return self.one.network.input_shape

    @property
    def out_shape(self) -> Shape:
        """One axis, a row a unit or comparison."""
        return (sum(len(part.unit) for part in self.rows),)

    def apply(self, x: Tensor) -> Tensor:
        """Return the rows times every point."""
        sources = {part.source for part in self.rows}
        if not sources:
            return x.new_zeros((x.shape[0], 0))
        last = max(sources)
        end = last if sources <= self.one.network.ancestors(last) else self.one.end
        shown = tangent_walk(self.one, x, end=end, keep=sources)
        parts = [
            part.of(flat_rows(shown[part.source]))
            if part.source in shown
            else x.new_zeros((x.shape[0], len(part.unit)))
            for part in self.rows
        ]
        return torch.cat(parts, dim=1)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the transposed rows times every combination of rows."""
        weights: dict[int, Tensor] = {}
        for part, given in zip(self.rows, self._split(y), strict=True):
            shape = self.one.network.nodes[part.source].shape
            size = torch.Size(shape).numel()
            if part.source not in weights:
                weights[part.source] = y.new_zeros((y.shape[0], size))
            signed = given * part.sign
            weights[part.source].index_add_(1, part.plus, signed)
            if part.minus is not None:
                weights[part.source].index_add_(1, part.minus, -signed)
        if not weights:
            return y.new_zeros((y.shape[0], *self.in_shape))
        nodes = self.one.network.nodes
        shaped = {i: w.reshape(-1, *nodes[i].shape) for i, w in weights.items()}
        return adjoint_walk(self.one, shaped)

    def _split(self, y: Tensor) -> tuple[Tensor, ...]:
        return y.split([len(part.unit) for part in self.rows], dim=1)

    def dense_rows(self, places: Int[Tensor, " k"]) -> Float[Tensor, "k inputs"]:
        """Return some of the rows as a matrix."""
        parts = [self._dense_rows(some) for some in places.split(CHUNK_ROWS)]
        if not parts:
            return self.one.x.new_zeros((0, self.in_size))
        return torch.cat(parts)

    def _dense_rows(self, places: Tensor) -> Tensor:
        unit = self.one.x.new_zeros((len(places), self.out_size))
        unit[torch.arange(len(places)), places] = 1.0
        return flat_rows(self.adjoint(unit))

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the matrix of absolute values."""
        matrix = csr_array(abs(self.to_sparse(limit=limit)))
        return Absolute(SparseMatrix(matrix, self.in_shape, self.out_shape), exact=True)

    def entries(self) -> int:
        """Return the number of entries, all counted."""
        return self.in_size * self.out_size

    def fans(self) -> tuple[int, int]:
        """Return the two sizes: nothing is known about zeros."""
        return self.in_size, self.out_size

    def _sparse(self, limit: int) -> csr_array:
        check_sparse(self.out_size, self.in_size, self.entries(), limit)
        parts = [csr_array(part) for part in self._blocks()]
        if not parts:
            return csr_array((self.out_size, self.in_size), dtype=np.float64)
        return csr_array(vstack(parts, format="csr"))

    def _blocks(self) -> Iterator[np.ndarray]:
        for places in torch.arange(self.out_size).split(CHUNK_ROWS):
            if len(places):
                yield self.dense_rows(places).cpu().numpy()

    def to(self, dtype: torch.dtype, device: torch.device) -> "FaceMap":
        """Return the map on another device; it stays in float64, as signs depend on it.

        Args:
            dtype: Not used.
            device: Where the rows are computed.
        """
        network = converted(self.one.network, torch.float64, device)
        one = Frozen(
            network=network,
            x=self.one.x.to(device),
            end=self.one.end,
            gates={i: gate.to(device) for i, gate in self.one.gates.items()},
            arguments={},
            values={i: value.to(device) for i, value in self.one.values.items()},
        )
        return FaceMap(one, self.rows)


def constant_rows(map_: FaceMap, *, tol: float, seed: int = 0) -> Bool[Tensor, " rows"]:
    """Tell which rows are zero, by their values along random directions.

    Args:
        map_: The rows.
        tol: A row is zero below this times what its two entries reach.
        seed: Of the directions.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((2, *map_.in_shape), generator=generator, dtype=torch.float64)
    directions = drawn.to(map_.one.x.device)
    value = map_.apply(directions).abs()
    size = _sized(map_, directions)
    return (value <= tol * size).all(0)


def _sized(map_: FaceMap, directions: Tensor) -> Tensor:
    """Return the absolute entries that rows compare, or the largest of the node."""
    sources = {part.source for part in map_.rows}
    shown = tangent_walk(map_.one, directions, keep=sources) if sources else {}
    parts: list[Tensor] = []
    for part in map_.rows:
        if part.source not in shown:
            parts.append(directions.new_zeros((2, len(part.unit))))
            continue
        flat = flat_rows(shown[part.source]).abs()
        if part.minus is None:
            parts.append(flat.amax(1, keepdim=True).expand(2, len(part.unit)))
        else:
            parts.append(flat[:, part.plus] + flat[:, part.minus])
    return torch.cat(parts, dim=1) if parts else directions.new_zeros((2, 0))
