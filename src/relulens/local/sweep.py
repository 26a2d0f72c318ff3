"""Push all columns of a Jacobian through a frozen network, packed as planned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.freeze import Frozen, frozen_part
from relulens.graph.linear_map import Shape
from relulens.graph.nodes import Affine
from relulens.graph.pieces import rows_at_once
from relulens.graph.tangent import tangent_walk
from relulens.local.packing import Step
from relulens.local.reach import channels, positions

Visit: TypeAlias = Callable[[int, Tensor], None]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Packed:
    """All columns of a Jacobian, several in one array where nothing reads two of them.

    Attributes:
        values: [N, columns, *shape]; N is 1 where the inputs do not matter. Columns are
            (channel of the varied node, colour), or any with the same inner products
            of rows where they were shrunk.
        step: The step that ended here.
    """

    values: Float[Tensor, "batch columns *shape"]
    step: Step


def sweep(
    frozen: Frozen, steps: Sequence[Step], visit: Visit | None = None
) -> Packed | None:
    """Push all columns along the steps.

    Args:
        frozen: The network, frozen up to the last stop at least.
        steps: What ``plan`` returned for this network.
        visit: Called with a watched node's index and directions [N, copies, *shape], in
            chunks; N is 1 where the inputs do not matter. The squares of a row's
            entries, summed over all calls, are its squared norm.

    Returns:
        The columns at the last stop; nothing if there are no steps, or if only the
        visits were wanted.
    """
    packed: Packed | None = None
    if frozen.batch == 0:
        return None
    for place, step in enumerate(steps):
        keep = visit is None or place < len(steps) - 1
        packed = _advance(frozen, packed, step, visit, keep=keep)
    return packed


def _advance(
    frozen: Frozen,
    packed: Packed | None,
    step: Step,
    visit: Visit | None,
    *,
    keep: bool,
) -> Packed | None:
    nodes = frozen.network.nodes
    shape = nodes[step.stop].shape
    between = [i for i in frozen.network.ancestors(step.stop) if i > step.begin]
    alike = packed is None or packed.values.shape[0] == 1
    alike = alike and all(isinstance(nodes[i], Affine) for i in between)
    part = frozen_part(frozen, slice(0, 1)) if alike else frozen
    batch = part.batch
    total = _column_count(frozen, packed, step)
    live = frozenset({step.begin, *between})
    chunk = max(1, rows_at_once(frozen.network, live, frozen.x) // max(batch, 1))
    values = frozen.x.new_empty((batch, total, *shape)) if keep else None
    watch = {*step.watch, step.stop} if keep else set(step.watch)
    for low in range(0, total, chunk):
        high = min(low + chunk, total)
        given = _directions(frozen, packed, step, low, high)
        given = given.expand(batch, *given.shape[1:]).flatten(0, 1)
        if given.ndim == 4 and given.dtype == torch.float32:
            # Several times faster there, and several times slower in float64.
            given = given.contiguous(memory_format=torch.channels_last)
        shown = tangent_walk(part, given, start=step.begin, end=step.stop, keep=watch)
        for index in step.watch:
            if visit is not None and index in shown:
                visit(index, shown[index].reshape(batch, -1, *nodes[index].shape))
        if values is not None:
            values[:, low:high] = shown[step.stop].reshape(batch, -1, *shape)
    if values is None:
        return None
    if step.shrink:
        values = _triangle(values)
    return Packed(values=values, step=step)


def _column_count(frozen: Frozen, packed: Packed | None, step: Step) -> int:
    if step.table is None and packed is not None:
        return packed.values.shape[1]
    return _varied_channels(frozen, packed, step) * step.colours


def _varied_channels(frozen: Frozen, packed: Packed | None, step: Step) -> int:
    if packed is None:
        return channels(frozen.network.nodes[step.begin].shape)
    return packed.values.shape[1] // packed.step.colours


def _directions(
    frozen: Frozen, packed: Packed | None, step: Step, low: int, high: int
) -> Tensor:
    """Return directions [N, columns low to high, *shape] at the step's first node."""
    shape = frozen.network.nodes[step.begin].shape
    if packed is None:
        return _unit_directions(frozen, step, shape, low, high)
    if step.table is None:
        return packed.values[:, low:high]
    column = torch.arange(low, high)
    old = packed.step.colours
    source = step.table.T[column % step.colours]  # shape [columns, positions]
    index = (column // step.colours)[:, None] * old + source.clamp(min=0)
    values = packed.values.reshape(
        packed.values.shape[0], -1, channels(shape), positions(shape)
    )
    wide = index[None, :, None, :].expand(values.shape[0], -1, values.shape[2], -1)
    taken = values.gather(1, wide.to(values.device))
    taken *= (source >= 0).to(taken)[None, :, None, :]
    return taken.reshape(values.shape[0], -1, *shape)


def _unit_directions(
    frozen: Frozen, step: Step, shape: Shape, low: int, high: int
) -> Tensor:
    """Return sums of unit directions of one channel and one colour each."""
    result = frozen.x.new_zeros((1, high - low, channels(shape), positions(shape)))
    column = torch.arange(low, high)
    for i, (channel, colour) in enumerate(
        zip(
            (column // step.colours).tolist(),
            (column % step.colours).tolist(),
            strict=True,
        )
    ):
        result[0, i, channel] = (step.colour == colour).to(result)
    return result.reshape(1, high - low, *shape)


def _triangle(values: Tensor) -> Tensor:
    """Return as many columns as rows with the same inner products of rows."""
    count = values.shape[1]
    flat = values.reshape(values.shape[0], count, -1)
    upper = torch.linalg.qr(flat, mode="r").R
    return upper.reshape(values.shape[0], -1, *values.shape[2:])
