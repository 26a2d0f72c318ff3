"""The nonzero blocks of a packed Jacobian, and what can be summed up from them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.local.reach import channels, positions
from relulens.local.sweep import Packed

DENSE_SHARE = 0.4
"""Past this share of nonzero entries one dense block is cheaper than many."""

WIDENING = 1.6
"""Neighbouring blocks are joined while their columns span at most this times more."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Block:
    """Some rows of the Jacobian, zero outside of some columns.

    Attributes:
        columns: Which columns, ascending; column ``position * channels + channel``.
        matrix: The rows there.
    """

    columns: Int[Tensor, " k"]
    matrix: Float[Tensor, "rows k"]


def jacobian_blocks(
    packed: Packed, shape: tuple[int, ...], varied: tuple[int, ...], sample: int
) -> Iterator[Block]:
    """Yield blocks that together hold every row once, in the order of positions.

    Args:
        packed: The columns at the node that answers.
        shape: Shape of that node.
        varied: Shape of the node that is varied; ignored where columns were replaced.
        sample: Which sample.
    """
    step = packed.step
    values = packed.values[min(sample, packed.values.shape[0] - 1)]
    reach = step.reach
    if step.shrunk or bool(reach.float().mean() > DENSE_SHARE):
        yield _dense_block(packed, values, shape, varied)
        return
    count = channels(varied)
    table = values.reshape(count, step.colours, channels(shape), positions(shape))
    for group in _groups(reach):
        columns = reach[group].any(0).nonzero().flatten()
        mask = reach[group][:, columns]
        part = table[:, :, :, group][:, step.colour[columns]]
        part = part * mask.T[None, :, None, :].to(part)
        # shape [channels varied, columns, channels, rows]
        matrix = part.permute(3, 2, 1, 0).flatten(2).flatten(0, 1)
        wide = columns[:, None] * count + torch.arange(count)
        yield Block(columns=wide.flatten(), matrix=matrix)


def _dense_block(
    packed: Packed,
    values: Tensor,
    shape: tuple[int, ...],
    varied: tuple[int, ...],
) -> Block:
    step = packed.step
    if step.shrunk:
        flat = values.flatten(1)
        return Block(columns=torch.arange(flat.shape[0]), matrix=flat.T)
    count, width = channels(varied), step.colour.numel()
    table = values.reshape(count, step.colours, channels(shape), positions(shape))
    part = table if step.colours == width else table[:, step.colour]
    if not bool(step.reach.all()):
        part = part * step.reach.T[None, :, None, :].to(part)
    matrix = part.permute(2, 3, 1, 0).flatten(2).flatten(0, 1)
    return Block(columns=torch.arange(count * width), matrix=matrix)


def _groups(reach: Tensor) -> Iterator[Int[Tensor, " positions"]]:
    """Yield runs of positions that read nearly the same span of the input."""
    reads = reach.any(1)
    low = reach.float().argmax(1)
    high = reach.shape[1] - reach.flip(1).float().argmax(1)
    order = low.argsort(stable=True)
    order = order[reads[order]]
    run: list[int] = []
    span = (0, 0)
    for place in order.tolist():
        mine = (int(low[place]), int(high[place]))
        joint = (min(span[0], mine[0]), max(span[1], mine[1])) if run else mine
        if run and joint[1] - joint[0] > WIDENING * (mine[1] - mine[0]):
            yield torch.tensor(run)
            run.clear()
            joint = mine
        run.append(place)
        span = joint
    if run:
        yield torch.tensor(run)
