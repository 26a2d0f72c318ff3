"""Convolutions and transposed convolutions with every padding."""

import math
from collections.abc import Sequence

from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import Adjoint, Convolution, Reshape, Slice, composed
from relulens.graph.maps.windows import Windows
from relulens.importers.builder import Builder
from relulens.importers.values import Dims, Value, as_float, sample_shape


def same_padding(
    window: Sequence[int], dilation: Sequence[int], *, upper: bool = True
) -> tuple[tuple[int, int], ...]:
    """Return the padding that keeps lengths for stride 1; the odd entry at the end.

    Args:
        window: Length of the kernel along every spatial axis.
        dilation: Distance of neighbouring kernel entries.
        upper: Whether the odd entry stands at the end, else at the start.
    """
    reach = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    pairs = [(total // 2, total - total // 2) for total in reach]
    return tuple(pair if upper else (pair[1], pair[0]) for pair in pairs)


def convolution(
    build: Builder,
    name: str,
    x: Value,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int = 1,
) -> Value:
    """Return the cross-correlation along the last axes.

    Args:
        build: The builder.
        name: The operation's name.
        x: ``[batch, channels, *lengths]``; axes in front of the channels do not mix.
        weight: ``[out channels, channels / groups, *window]``.
        bias: One number an out channel.
        stride: Step along every spatial axis.
        padding: Zeros before and after every spatial axis.
        dilation: Distance of neighbouring kernel entries.
        groups: Number of blocks that the channels are split into.

    Raises:
        InvalidArgumentError: The channels do not fit the kernel, an axis is shorter
            than the kernel, or the batch stands among the channels and spatial axes.
    """
    frame, lead = _frame(name, x, weight.ndim - 2)
    if weight.shape[1] * groups != frame[0]:
        raise InvalidArgumentError(
            f"cannot import {name!r}: its kernel reads {weight.shape[1] * groups}"
            f" channels and its argument has {frame[0]}. They must agree."
        )
    stacked = (math.prod(lead) * frame[0], *frame[1:])
    kernel = _repeated(as_float(weight), lead)
    steps = tuple(stride), tuple(padding), tuple(dilation)
    map_ = _convolution(stacked, kernel, *steps, groups * math.prod(lead))
    _check_lengths(name, frame[1:], map_.out_shape[1:])
    dims = (*x.dims[: -len(frame)], weight.shape[0], *map_.out_shape[1:])
    return _framed(build, name, x, map_, bias, dims)


def transposed_convolution(
    build: Builder,
    name: str,
    x: Value,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int = 1,
) -> Value:
    """Return the transpose of a convolution along the last axes.

    Args:
        build: The builder.
        name: The operation's name.
        x: ``[batch, channels, *lengths]``; axes in front of the channels do not mix.
        weight: ``[channels, out channels / groups, *window]``.
        bias: One number an out channel.
        stride: Step of the convolution that is transposed.
        padding: Its padding: what is cropped here before and after every axis.
        dilation: Its dilation.
        output_padding: Entries added at the end of every axis.
        groups: Number of blocks that the channels are split into.

    Raises:
        InvalidArgumentError: The channels do not fit the kernel, nothing is left after
            cropping, or the batch stands among the channels and spatial axes.
    """
    frame, lead = _frame(name, x, weight.ndim - 2)
    if weight.shape[0] != frame[0]:
        raise InvalidArgumentError(
            f"cannot import {name!r}: its kernel reads {weight.shape[0]} channels and"
            f" its argument has {frame[0]}. They must agree."
        )
    count, outs = math.prod(lead), weight.shape[1] * groups
    grown = tuple(
        (n - 1) * s - before - after + d * (k - 1) + 1 + more
        for n, s, (before, after), d, k, more in zip(
            frame[1:],
            stride,
            padding,
            dilation,
            weight.shape[2:],
            output_padding,
            strict=True,
        )
    )
    _check_lengths(name, frame[1:], grown)
    kernel = _repeated(as_float(weight), lead)
    steps = tuple(stride), tuple(padding), tuple(dilation)
    forward = _convolution((count * outs, *grown), kernel, *steps, groups * count)
    stacked = (count * frame[0], *frame[1:])
    if forward.out_shape != stacked:
        # Output padding of a stride or more leaves room for windows that are not there.
        ranges = tuple((0, n, 1) for n in stacked)
        forward = composed(forward, Slice(forward.out_shape, ranges))
    dims = (*x.dims[: -len(frame)], outs, *grown)
    return _framed(build, name, x, Adjoint(forward), bias, dims)


def _frame(name: str, x: Value, rank: int) -> tuple[Shape, Shape]:
    """Return the shape from the channels on, and that in front without the batch."""
    if x.rank < rank + 1:
        raise InvalidArgumentError(
            f"cannot import {name!r}: it needs {rank + 1} axes, and its argument has"
            f" {x.rank}. Add the channel axis."
        )
    for axis in range(-rank - 1, 0):
        x.axis(axis)  # Refuses the batch axis.
    return x.shape[-rank - 1 :], sample_shape(x.dims[: -rank - 1])


def _repeated(kernel: Tensor, lead: Shape) -> Tensor:
    count = math.prod(lead)
    return kernel if count == 1 else kernel.repeat(count, *[1] * (kernel.ndim - 1))


def _check_lengths(name: str, before: Shape, after: Shape) -> None:
    if any(n < 1 for n in after):
        raise InvalidArgumentError(
            f"cannot import {name!r}: lengths {list(before)} leave {list(after)}, and 1"
            " is needed. Use a larger input."
        )


def _convolution(
    shape: Shape,
    kernel: Tensor,
    stride: Shape,
    padding: tuple[tuple[int, int], ...],
    dilation: Shape,
    groups: int,
) -> LinearMap:
    window = tuple(kernel.shape[2:])
    windows = Windows(window, stride, padding, dilation)
    if windows.symmetric:
        return Convolution(kernel, shape, windows, groups)
    wide = (shape[0], *(n + sum(p) for n, p in zip(shape[1:], padding, strict=True)))
    inside = [(p[0], p[0] + n, 1) for n, p in zip(shape[1:], padding, strict=True)]
    hole = Slice(wide, ((0, shape[0], 1), *inside))
    bare = Windows(window, stride, ((0, 0),) * len(window), dilation)
    return composed(Adjoint(hole), Convolution(kernel, wide, bare, groups))


def _framed(
    build: Builder,
    name: str,
    x: Value,
    map_: LinearMap,
    bias: Tensor | None,
    dims: Dims,
) -> Value:
    into = Reshape(x.shape, map_.in_shape)
    back = Reshape(map_.out_shape, sample_shape(dims))
    shift = None
    if bias is not None:
        shift = as_float(bias).reshape(-1, *[1] * (len(map_.out_shape) - 1))
    return build.linear(name, x, dims, into, map_, back, bias=shift)


def symmetric(padding: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return one padding an axis as the same before and after."""
    return tuple((amount, amount) for amount in padding)
