"""Operations that only move entries, understood by running them on positions.

An operation that moves entries is run on arrays that hold positions in place of
numbers: what comes out says where every entry came from. Batches of one and of two are
compared, so that an operation which mixes inputs is refused.
"""

import math

import torch
from torch import Tensor

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import Gather
from relulens.importers.aten.call import Call
from relulens.importers.registry import RefusedError
from relulens.importers.values import BatchAxis, Dims, Value, lengths, sample_shape


def moved(call: Call) -> Value:
    """Return the result of an operation that moves entries of values and constants.

    Raises:
        RefusedError: It mixes inputs of the batch, or does more than move entries.
    """
    values = call.values()
    sizes = [math.prod(value.shape) for value in values]
    total = sum(sizes)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]

    def positions(batch: int) -> Tensor:
        def replace(operand: Value | Tensor) -> Tensor:
            if isinstance(operand, Value):
                start = starts[values.index(operand)] + 1
                return _positions(operand, start, total, batch)
            return torch.zeros_like(operand) if operand.is_floating_point() else operand

        return call.evaluated(batch, replace)

    one, two = positions(1), positions(2)
    dims = _result_dims(call, one, two, total)
    origin = one.reshape(sample_shape(dims)).to(torch.int64) - 1
    terms: list[tuple[Value, LinearMap]] = []
    for value, start, size in zip(values, starts, sizes, strict=True):
        inside = (origin >= start) & (origin < start + size)
        if bool(inside.any()):
            index = torch.where(inside, origin - start, -1)
            terms.append((value, Gather(value.shape, index)))
    bias = _constants(call).reshape(sample_shape(dims))
    constant = bias if bool((bias != 0).any()) or not terms else None
    return call.build.affine(call.name, terms, constant, dims)


def _positions(value: Value, start: int, total: int, batch: int) -> Tensor:
    """Return an array as the source sees it, every entry its own position from 1 on.

    Entries of the second input of a batch lie ``total`` further.
    """
    size = math.prod(value.shape)
    sample = torch.arange(start, start + size, dtype=torch.float64).reshape(value.shape)
    rows = torch.stack([sample + total * i for i in range(batch)])
    return source_layout(rows, value.dims)


def source_layout(rows: Tensor, dims: Dims) -> Tensor:
    """Return a batch of samples [N, *shape] as the source sees it."""
    front = 0
    for dim in dims:
        if isinstance(dim, BatchAxis):
            front += 1 if dim.before != 1 else 0
            return rows.movedim(0, front).reshape(lengths(dims, rows.shape[0]))
        front += 1
    return rows.reshape(lengths(dims, rows.shape[0]))


def sample_layout(array: Tensor, dims: Dims, batch: int) -> Tensor:
    """Return an array of the source as a batch of samples [N, *shape].

    Raises:
        RefusedError: The source has no batch axis.
    """
    split: list[int] = []
    place: int | None = None
    for dim in dims:
        if isinstance(dim, BatchAxis):
            place = len(split) + (1 if dim.before != 1 else 0)
            inner = [size for size in (dim.before,) if size != 1]
            split += [*inner, batch, *(size for size in (dim.after,) if size != 1)]
        else:
            split.append(dim)
    if place is None:
        raise RefusedError("it has no batch axis")
    return array.reshape(split).movedim(place, 0)


def _result_dims(call: Call, one: Tensor, two: Tensor, total: int) -> Dims:
    place = call.target.batch
    if place is None or not call.target.follows:
        raise RefusedError("it tears the batch apart or drops it")
    length = one.shape[place]
    for before in range(1, length + 1):
        if length % before:
            continue
        axis = BatchAxis(before, length // before)
        dims = (*one.shape[:place], axis, *one.shape[place + 1 :])
        first, second = sample_layout(two, dims, 2)
        kept = sample_layout(one, dims, 1)[0]
        if torch.equal(first, kept) and torch.equal(
            second, torch.where(kept != 0, kept + total, kept)
        ):
            return dims
    raise RefusedError("it mixes inputs of the batch")


def _constants(call: Call) -> Tensor:
    """Return the result where values are zero: the constants that are moved along."""

    def replace(operand: Value | Tensor) -> Tensor:
        if isinstance(operand, Value):
            return torch.zeros(lengths(operand.dims), dtype=torch.float64)
        return operand.to(torch.float64) if operand.is_floating_point() else operand

    return call.evaluated(1, replace).to(torch.float64)
