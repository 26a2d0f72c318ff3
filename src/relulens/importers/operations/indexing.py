"""Slices, selections, joins and padding along the source's axes."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import Adjoint, Gather, Identity, Reshape, Slice
from relulens.importers.builder import Builder
from relulens.importers.operations.padding import pad
from relulens.importers.operations.shapes import expand, unsqueeze
from relulens.importers.values import (
    BatchAxis,
    Dim,
    Dims,
    Value,
    as_float,
    broadcast_dims,
    describe_dims,
    sample_constant,
    sample_shape,
    source_axis,
    with_lengths,
)

__all__ = [
    "concat",
    "flip",
    "gather",
    "gather_elements",
    "pad",
    "select",
    "slice_axis",
    "split",
    "stack",
    "tile",
]


def _along(shape: Shape, axis: int, places: Sequence[int]) -> LinearMap:
    """Return the map that picks entries along one axis of a node."""
    length = shape[axis]
    if list(places) == list(range(length)):
        return Identity(shape)
    step = places[1] - places[0] if len(places) > 1 else 1
    start = places[0] if places else 0
    if step > 0 and list(places) == list(
        range(start, start + step * len(places), step)
    ):
        stop = places[-1] + 1 if places else start
        ranges = [(0, n, 1) for n in shape]
        ranges[axis] = (start, stop, step)
        return Slice(shape, tuple(ranges))
    index = np.arange(math.prod(shape)).reshape(shape)
    return Gather(shape, torch.from_numpy(index.take(np.asarray(places, int), axis)))


def _replaced(dims: Dims, place: int, *new: Dim) -> Dims:
    return (*dims[:place], *new, *dims[place + 1 :])


def slice_axis(
    build: Builder,
    name: str,
    x: Value,
    axis: int,
    start: int | None,
    stop: int | None,
    step: int = 1,
) -> Value:
    """Return ``x[start:stop:step]`` along an axis, with Python's rules.

    A slice of the whole batch axis is allowed.

    Raises:
        InvalidArgumentError: It takes a part of the batch, or the step is 0.
    """
    if step == 0:
        raise InvalidArgumentError(
            f"cannot import {name!r}: a slice has step 0, and another is needed. Use 1."
        )
    place = source_axis(axis, x.rank)
    if isinstance(x.dims[place], BatchAxis) and step == 1:
        whole = start in (None, 0) and (stop is None or stop >= 2**31 - 1)
        if whole:
            return x
    node_axis = x.axis(axis)
    places = range(x.shape[node_axis])[slice(start, stop, step)]
    dims = _replaced(x.dims, place, len(places))
    return build.linear(name, x, dims, _along(x.shape, node_axis, places))


def select(build: Builder, name: str, x: Value, axis: int, index: int) -> Value:
    """Return one entry along an axis, which disappears.

    Raises:
        InvalidArgumentError: The index is out of range, or the axis holds the batch.
    """
    return gather(build, name, x, torch.tensor(index), axis)


def gather(build: Builder, name: str, x: Value, index: Tensor, axis: int) -> Value:
    """Return entries along an axis; the index' axes take the axis' place.

    Raises:
        InvalidArgumentError: An index is out of range, or the axis holds the batch.
    """
    place, node_axis = source_axis(axis, x.rank), x.axis(axis)
    places = _wrapped(name, index, x.shape[node_axis])
    picked = _along(x.shape, node_axis, places.reshape(-1).tolist())
    dims = _replaced(x.dims, place, *places.shape)
    return build.linear(
        name, x, dims, picked, Reshape(picked.out_shape, sample_shape(dims))
    )


def _wrapped(name: str, index: Tensor, length: int) -> Tensor:
    """Return indices counted from the front."""
    places = index.to(torch.int64)
    bad = places[(places < -length) | (places >= length)]
    if bad.numel():
        raise InvalidArgumentError(
            f"cannot import {name!r}: it reads entry {int(bad[0])} of an axis of length"
            f" {length}. Use an index inside it."
        )
    return torch.where(places < 0, places + length, places)


def gather_elements(
    build: Builder, name: str, x: Value, index: Tensor, axis: int
) -> Value:
    """Return ``x[i, index[i, j], ...]``: along one axis, the others at their own place.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is read.
        index: As many axes as ``x``; length one along the batch axis.
        axis: The source's axis that the index counts along.

    Raises:
        InvalidArgumentError: The index varies along the batch, or is out of range.
    """
    node_axis = x.axis(axis)
    places = _wrapped(name, sample_constant(index, x.dims), x.shape[node_axis])
    flat = np.arange(math.prod(x.shape)).reshape(x.shape)
    corner = tuple(
        slice(None) if i == node_axis else slice(n) for i, n in enumerate(places.shape)
    )
    taken = np.take_along_axis(flat[corner], places.numpy(), node_axis)
    dims = with_lengths(x.dims, taken.shape)
    return build.linear(name, x, dims, Gather(x.shape, torch.from_numpy(taken)))


def flip(build: Builder, name: str, x: Value, axes: Sequence[int]) -> Value:
    """Return the entries in reverse order along some axes."""
    index = np.arange(math.prod(x.shape)).reshape(x.shape)
    flipped = np.flip(index, tuple(x.axis(axis) for axis in axes)).copy()
    return build.linear(name, x, x.dims, Gather(x.shape, torch.from_numpy(flipped)))


def tile(build: Builder, name: str, x: Value, repeats: Sequence[int]) -> Value:
    """Return the value repeated side by side, so many times along every axis.

    Raises:
        InvalidArgumentError: The batch axis is repeated.
    """
    around: list[int] = []
    for axis, (dim, count) in enumerate(zip(x.dims, repeats, strict=True)):
        if count != 1:
            x.axis(axis)  # Refuses the batch axis.
        around.extend([1] * len(dim.parts()) if isinstance(dim, BatchAxis) else [count])
    places = np.tile(np.arange(math.prod(x.shape)).reshape(x.shape), around)
    dims = with_lengths(x.dims, places.shape)
    return build.linear(name, x, dims, Gather(x.shape, torch.from_numpy(places)))


def split(
    build: Builder, name: str, x: Value, sizes: Sequence[int], axis: int
) -> list[Value]:
    """Return consecutive pieces along an axis.

    Raises:
        InvalidArgumentError: The sizes do not add up, or the axis holds the batch.
    """
    length = x.shape[x.axis(axis)]
    if sum(sizes) != length:
        raise InvalidArgumentError(
            f"cannot import {name!r}: pieces of {list(sizes)} make {sum(sizes)}"
            f" entries, and the axis has {length}. They must add up."
        )
    ends = np.cumsum([0, *sizes]).tolist()
    return [
        slice_axis(build, f"{name}.{i}", x, axis, start, stop)
        for i, (start, stop) in enumerate(pairwise(ends))
    ]


def concat(
    build: Builder, name: str, operands: Sequence[Value | Tensor], axis: int
) -> Value:
    """Return values and constants one after another along an axis.

    Raises:
        InvalidArgumentError: Other axes differ, the axis holds the batch, or there is
            no value among the operands.
    """
    values = [operand for operand in operands if isinstance(operand, Value)]
    if not values:
        raise InvalidArgumentError(
            f"cannot import {name!r}: 0 of the joined arrays are values, and 1 is"
            " needed. Fold constants first."
        )
    place = source_axis(axis, values[0].rank)
    values[0].axis(axis)
    joint = _joint(operands, place)
    pieces = [_length(operand, place) for operand in operands]
    dims = _replaced(joint, place, sum(pieces))
    node_axis, shape = len(sample_shape(dims[:place])), sample_shape(dims)
    terms: list[tuple[Value, LinearMap]] = []
    bias = torch.zeros(shape, dtype=torch.float64)
    start = 0
    for operand, length in zip(operands, pieces, strict=True):
        piece = _replaced(joint, place, length)
        ranges = [(0, n, 1) for n in shape]
        ranges[node_axis] = (start, start + length, 1)
        hole = Slice(shape, tuple(ranges))
        start += length
        if isinstance(operand, Value):
            terms.append((expand(build, name, operand, piece), Adjoint(hole)))
        else:
            inside = sample_constant(as_float(operand), piece)
            bias += hole.adjoint(inside.expand(sample_shape(piece))[None])[0]
    constant = len(values) < len(operands)
    return build.affine(name, terms, bias if constant else None, dims)


def _length(operand: Value | Tensor, place: int) -> int:
    dim = operand.dims[place] if isinstance(operand, Value) else operand.shape[place]
    if isinstance(dim, BatchAxis):
        raise InvalidArgumentError(
            "cannot join arrays along the batch axis: inputs must not mix. Join along"
            " another axis."
        )
    return dim


def _joint(operands: Sequence[Value | Tensor], place: int) -> Dims:
    """Return the axes that all operands share, the joined one of length one."""
    joint: Dims = ()
    held = [dim for v in operands if isinstance(v, Value) for dim in enumerate(v.dims)]
    batch = {i: dim for i, dim in held if isinstance(dim, BatchAxis)}
    for operand in operands:
        dims = operand.dims if isinstance(operand, Value) else tuple(operand.shape)
        if not isinstance(operand, Value):
            dims = tuple(
                batch[i] if i in batch and batch[i].factor == n else n
                for i, n in enumerate(dims)
            )
        if joint and len(dims) != len(joint):
            raise InvalidArgumentError(
                f"cannot join {describe_dims(dims)} and {describe_dims(joint)}: they"
                f" have {len(dims)} and {len(joint)} axes. Give all the same number."
            )
        joint = broadcast_dims(joint, _replaced(dims, place, 1))
    return joint


def stack(build: Builder, name: str, values: Sequence[Value], axis: int) -> Value:
    """Return values side by side along a new axis."""
    lifted = [unsqueeze(build, f"{name}.{i}", v, [axis]) for i, v in enumerate(values)]
    return concat(build, name, lifted, axis)
