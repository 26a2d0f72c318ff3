"""Sums, means, maxima and sums of exponentials over axes of one value."""

import math
from collections.abc import Sequence

import torch

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import LogSumExp
from relulens.graph.groups import Groups
from relulens.graph.maps import AlongAxis, Reshape, Scale, SumOver
from relulens.importers.builder import Builder
from relulens.importers.operations.shapes import permute, reshape
from relulens.importers.values import (
    Dims,
    Value,
    describe_dims,
    sample_shape,
    source_axis,
)


def reduced_axes(x: Value, axes: Sequence[int] | None) -> list[int]:
    """Return a reduction's axes counted from the front, in order; all for nothing."""
    if axes is None:
        return list(range(x.rank))
    return sorted({source_axis(axis, x.rank) for axis in axes})


def _dims_after(x: Value, axes: Sequence[int], keepdim: bool) -> Dims:
    if keepdim:
        return tuple(1 if i in axes else dim for i, dim in enumerate(x.dims))
    return tuple(dim for i, dim in enumerate(x.dims) if i not in axes)


def sum_over(
    build: Builder, name: str, x: Value, axes: Sequence[int] | None, keepdim: bool
) -> Value:
    """Return the sum over some axes, all of them for nothing.

    Raises:
        InvalidArgumentError: The batch axis is among them.
    """
    places = reduced_axes(x, axes)
    total = SumOver(x.shape, tuple(x.axis(place) for place in places))
    dims = _dims_after(x, places, keepdim)
    return build.linear(
        name, x, dims, total, Reshape(total.out_shape, sample_shape(dims))
    )


def mean(
    build: Builder, name: str, x: Value, axes: Sequence[int] | None, keepdim: bool
) -> Value:
    """Return the mean over some axes, all of them for nothing.

    Raises:
        InvalidArgumentError: The batch axis is among them, or they are empty.
    """
    places = reduced_axes(x, axes)
    total = SumOver(x.shape, tuple(x.axis(place) for place in places))
    count = math.prod(x.shape[axis] for axis in total.axes)
    if count == 0:
        raise _empty(name, "mean", x)
    share = Scale(torch.tensor(1.0 / count, dtype=torch.float64), total.out_shape)
    dims = _dims_after(x, places, keepdim)
    shaped = Reshape(total.out_shape, sample_shape(dims))
    return build.linear(name, x, dims, total, share, shaped)


def _empty(name: str, what: str, x: Value) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"cannot import {name!r}: the {what} over axes of {describe_dims(x.dims)} takes"
        " 0 entries, and 1 is needed. Leave the operation out."
    )


def _merged(build: Builder, name: str, x: Value, places: Sequence[int]) -> Value:
    """Put the reduced axes behind the others and merge them to one, in order."""
    for place in places:
        x.axis(place)  # Refuses the batch axis.
    kept = [i for i in range(x.rank) if i not in places]
    turned = permute(build, f"{name}.entries", x, [*kept, *places])
    dims = tuple(x.dims[i] for i in kept)
    size = math.prod(turned.shape) // max(math.prod(sample_shape(dims)), 1)
    return reshape(build, f"{name}.entries", turned, (*dims, size))


def maximum_over(
    build: Builder,
    name: str,
    x: Value,
    axes: Sequence[int] | None,
    keepdim: bool,
    *,
    least: bool = False,
) -> Value:
    """Return the maximum (or the minimum) over some axes, all of them for nothing.

    Raises:
        InvalidArgumentError: The batch axis is among them, or there are no entries.
    """
    places = reduced_axes(x, axes)
    if any(x.dims[place] == 0 for place in places):
        raise _empty(name, "maximum", x)
    if len(places) == 1:
        source, groups = x, Groups.along(x.shape, x.axis(places[0]))
    else:
        source = _merged(build, name, x, places)
        groups = Groups.along(source.shape, len(source.shape) - 1)
    dims = _dims_after(x, places, False)
    if least:
        best = build.minimum(name, source, groups, dims, operation="minimum")
    else:
        best = build.maximum(name, source, groups, dims, operation="maximum")
    return reshape(build, name, best, _dims_after(x, places, True)) if keepdim else best


def log_sum_exp(
    build: Builder, name: str, x: Value, axes: Sequence[int] | None, keepdim: bool
) -> Value:
    """Return the logarithm of the sum of exponentials over some axes.

    Raises:
        InvalidArgumentError: The batch axis is among them.
    """
    places = reduced_axes(x, axes)
    source = x if len(places) == 1 else _merged(build, name, x, places)
    place = places[0] if len(places) == 1 else source.rank - 1
    axis = source.axis(place) - len(source.shape)
    dims = _dims_after(source, [place], True)
    value = build.coupled(name, [source], LogSumExp(axis), dims)
    return reshape(build, name, value, _dims_after(x, places, keepdim))


def cumulative_sum(
    build: Builder,
    name: str,
    x: Value,
    axis: int,
    *,
    exclusive: bool = False,
    reverse: bool = False,
) -> Value:
    """Return the running sum along an axis, from its end if reversed.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is summed.
        axis: The source's axis.
        exclusive: Whether every sum leaves out its own entry.
        reverse: Whether sums run from the end.
    """
    place = x.axis(axis)
    length = x.shape[place]
    ones = torch.ones(length, length, dtype=torch.float64)
    shift = 1 if exclusive else 0
    matrix = ones.triu(shift) if reverse else ones.tril(-shift)
    return build.linear(name, x, x.dims, AlongAxis(matrix, x.shape, place))
