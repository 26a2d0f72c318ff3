"""Dense Jacobians between two nodes of a frozen network, by rows or by columns."""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from relulens.graph.freeze import Frozen
from relulens.graph.linear_map import check_bytes
from relulens.graph.tangent import adjoint, tangent

CHUNK_BYTES = 32 << 20
"""Bytes that the largest array of one pass may take; more is slower, not faster."""


def flat_rows(value: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "batch size"]:
    """Return a batch of arrays with the entries of each in one row, even if scalars."""
    return value.reshape(value.shape[0], value.shape[1:].numel())


def chunk_length(frozen: Frozen, start: int, end: int, batch: int) -> int:
    """Return how many copies of a batch one pass through the network may carry."""
    nodes = frozen.network.nodes
    needed = [i for i in frozen.network.ancestors(end) if i >= start]
    largest = max(math.prod(nodes[i].shape) for i in needed)
    size = largest * max(batch, 1) * frozen.x.element_size()
    return max(1, CHUNK_BYTES // max(size, 1))


def push(
    frozen: Frozen, columns: Float[Tensor, "batch inputs k"], start: int, end: int
) -> Float[Tensor, "batch outputs k"]:
    """Return the Jacobian between two nodes times matrices, in chunks."""
    shape = frozen.network.nodes[start].shape
    outs = math.prod(frozen.network.nodes[end].shape)
    batch, _, count = columns.shape
    result = frozen.x.new_empty((batch, count, outs))
    step = chunk_length(frozen, start, end, batch)
    for low in range(0, count, step):
        part = columns[:, :, low : low + step].transpose(1, 2)
        flat = part.to(frozen.x.dtype).reshape(-1, *shape)
        moved = tangent(frozen, flat, start=start, end=end)
        result[:, low : low + step] = moved.reshape(batch, part.shape[1], outs)
    return result.transpose(1, 2)


def pull(
    frozen: Frozen, columns: Float[Tensor, "batch outputs k"], start: int, end: int
) -> Float[Tensor, "batch inputs k"]:
    """Return the transposed Jacobian between two nodes times matrices, in chunks."""
    shape = frozen.network.nodes[end].shape
    ins = math.prod(frozen.network.nodes[start].shape)
    batch, _, count = columns.shape
    result = frozen.x.new_empty((batch, count, ins))
    step = chunk_length(frozen, start, end, batch)
    for low in range(0, count, step):
        part = columns[:, :, low : low + step].transpose(1, 2)
        flat = part.to(frozen.x.dtype).reshape(-1, *shape)
        moved = adjoint(frozen, flat, start=start, end=end)
        result[:, low : low + step] = moved.reshape(batch, part.shape[1], ins)
    return result.transpose(1, 2)


def dense_jacobian(
    frozen: Frozen, start: int, end: int, *, limit: int
) -> Float[Tensor, "batch outputs inputs"]:
    """Return the Jacobian between two nodes as float64 matrices.

    Args:
        frozen: The network, frozen up to ``end`` at least.
        start: Index of the node that is varied.
        end: Index of the node that answers.
        limit: Bytes that the result may take.

    Raises:
        MemoryLimitError: The result takes more than ``limit`` bytes.

    Cost:
        As many passes as the smaller of the two sizes.
    """
    nodes = frozen.network.nodes
    ins, outs = math.prod(nodes[start].shape), math.prod(nodes[end].shape)
    batch = frozen.batch
    check_bytes(
        f"the dense slopes [{batch}, {outs}, {ins}]",
        8 * batch * ins * outs,
        limit,
        "Use m @ v and m.T @ w, which need no matrix, fewer inputs, or raise limit.",
    )
    if batch == 0 or ins == 0 or outs == 0:
        return frozen.x.new_zeros((batch, outs, ins), dtype=torch.float64)
    if outs <= ins:
        unit = torch.eye(outs, dtype=frozen.x.dtype, device=frozen.x.device)
        rows = pull(frozen, unit.expand(batch, outs, outs), start, end)
        return rows.transpose(1, 2).to(torch.float64)
    unit = torch.eye(ins, dtype=frozen.x.dtype, device=frozen.x.device)
    return push(frozen, unit.expand(batch, ins, ins), start, end).to(torch.float64)
