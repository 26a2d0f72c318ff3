"""All singular values of large slopes: by Gram matrices, or by triangles."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.freeze import Frozen, frozen_part
from relulens.graph.linear_map import check_bytes
from relulens.local.blocks import Block, jacobian_blocks
from relulens.local.gram import GramValues, gram_by_columns, gram_by_rows, gram_values
from relulens.local.jacobian import chunk_length, dense_jacobian, pull
from relulens.local.packing import plan
from relulens.local.sweep import Packed, sweep
from relulens.local.triangle import triangle


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Accurate:
    """Singular values with their rounding.

    Attributes:
        values: [N, k], descending.
        error_bound: Bound on the rounding error of each one.
        blind: [N]: below this a value may as well be zero.
        method: How they were computed.
    """

    values: Float[Tensor, "batch k"]
    error_bound: Float[Tensor, "batch k"]
    blind: Float[Tensor, " batch"]
    method: str


def all_values(
    frozen: Frozen, start: int, end: int, *, method: str | None, tol: float, limit: int
) -> Accurate:
    """Return all singular values of the slopes between two nodes.

    Args:
        frozen: The network, frozen up to ``end``.
        start: Index of the node that is varied.
        end: Index of the node that answers.
        method: ``"gram"``, ``"tsqr"``, or nothing for Gram first and triangles where
            that is blind to a value above ``tol`` times the largest.
        tol: Relative threshold of the rank.
        limit: Bytes that the columns of one sample may take.
    """
    found: list[_Values] = []
    for sample in range(frozen.batch):
        one = frozen_part(frozen, slice(sample, sample + 1))
        job = _Slope.of(one, start, end, limit)
        found.append(_sample_values(job, method, tol))
    size = min(math.prod(frozen.network.nodes[i].shape) for i in (start, end))
    careful = any(item.method == "tsqr" for item in found)
    empty = torch.zeros((0, size), dtype=torch.float64)
    return Accurate(
        values=torch.stack([item.values for item in found]) if found else empty,
        error_bound=torch.stack([item.bound for item in found]) if found else empty,
        blind=torch.tensor([item.blind for item in found], dtype=torch.float64),
        method="tsqr" if careful else (method or "gram"),
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Values:
    values: Tensor
    bound: Tensor
    blind: float
    method: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Slope:
    """One sample's slope: packed columns, or a dense matrix, or rows in a stream."""

    one: Frozen
    start: int
    end: int
    packed: Packed | None
    dense: Tensor | None

    @classmethod
    def of(cls, one: Frozen, start: int, end: int, limit: int) -> "_Slope":
        nodes = one.network.nodes
        ins, outs = (math.prod(nodes[i].shape) for i in (start, end))
        packed, dense = None, None
        if outs < ins:
            dense = dense_jacobian(one, start, end, limit=limit)[0].cpu()
        else:
            steps = plan(one.network, start, end, (), shrink=True)
            size = 8 * outs * sum(s.colours for s in steps[-1:]) * _channels(one, start)
            if size <= limit:
                packed = sweep(one, steps)
            subject = f"the Gram matrix [{ins}, {ins}]"
            check_bytes(subject, 8 * ins * ins, limit, "Ask for the k largest values.")
        return cls(one=one, start=start, end=end, packed=packed, dense=dense)

    @property
    def width(self) -> int:
        """Columns of the blocks."""
        if self.packed is not None and self.packed.step.shrunk:
            return self.packed.values.shape[1]
        return math.prod(self.one.network.nodes[self.start].shape)

    @property
    def size(self) -> int:
        """Number of singular values."""
        nodes = self.one.network.nodes
        return min(math.prod(nodes[i].shape) for i in (self.start, self.end))

    def blocks(self) -> Iterator[Block]:
        """Yield the rows, in float64 on the processor."""
        nodes = self.one.network.nodes
        if self.packed is not None:
            shape, varied = nodes[self.end].shape, nodes[self.start].shape
            for block in jacobian_blocks(self.packed, shape, varied, 0):
                matrix = block.matrix.to("cpu", torch.float64)
                yield Block(columns=block.columns, matrix=matrix)
            return
        outs = math.prod(nodes[self.end].shape)
        step = chunk_length(self.one, self.start, self.end, 1)
        columns = torch.arange(self.width)
        for places in torch.arange(outs).split(max(step, 256)):
            unit = self.one.x.new_zeros((1, outs, len(places)))
            unit[0, places, torch.arange(len(places))] = 1.0
            rows = pull(self.one, unit, self.start, self.end)[0].T
            yield Block(columns=columns, matrix=rows.to("cpu", torch.float64))


def _channels(one: Frozen, start: int) -> int:
    shape = one.network.nodes[start].shape
    return shape[0] if shape else 1


def _sample_values(job: _Slope, method: str | None, tol: float) -> _Values:
    if method != "tsqr":
        found = _by_gram(job)
        if method == "gram" or _tells_all(found, tol):
            return _padded(job, found.values, found.error_bound, found.blind, "gram")
    upper = job.dense
    if upper is None:
        upper = triangle(job.blocks(), job.width)
    elif upper.shape[0] < upper.shape[1]:
        upper = torch.linalg.qr(upper.T, mode="r").R
    values = torch.linalg.svdvals(upper)
    unit = torch.finfo(torch.float64).eps
    nodes = job.one.network.nodes
    rows = max(math.prod(nodes[i].shape) for i in (job.start, job.end))
    wrong = rows * unit * (float(values[0]) if len(values) else 0.0)
    return _padded(job, values, torch.full_like(values, wrong), wrong, "tsqr")


def _by_gram(job: _Slope) -> GramValues:
    gram: tuple[np.ndarray, int]
    if job.dense is not None:
        gram = gram_by_rows(job.dense)
    else:
        gram = gram_by_columns(job.blocks(), job.width)
    return gram_values(*gram)


def _tells_all(found: GramValues, tol: float) -> bool:
    """Tell whether every value is either resolved or exactly zero."""
    if not len(found.values):
        return True
    least = max(found.blind, tol * float(found.values[0]))
    return bool((found.values > 10 * least).all())


def _padded(
    job: _Slope, values: Tensor, bound: Tensor, blind: float, method: str
) -> _Values:
    """Return as many values as the slope has, zeros where a narrow part left none."""
    missing = job.size - len(values)
    zeros = values.new_zeros(max(missing, 0))
    return _Values(
        values=torch.cat([values, zeros])[: job.size],
        bound=torch.cat([bound, zeros])[: job.size],
        blind=blind,
        method=method,
    )
