"""Maximum and average pooling with every border convention."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.groups import Groups, Ragged
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import AlongAxis, AveragePool, Reshape, Scale
from relulens.graph.maps.windows import Windows
from relulens.importers.builder import Builder, with_batch
from relulens.importers.values import Dim, Value, sample_shape


def _channels(name: str, x: Value, rank: int) -> Shape:
    """Return the node's shape with all axes in front of the spatial ones merged."""
    if x.rank < rank:
        raise InvalidArgumentError(
            f"cannot import {name!r}: it pools {rank} axes, and its argument has"
            f" {x.rank}. Add the missing axes."
        )
    for axis in range(-rank, 0):
        x.axis(axis)  # Refuses the batch axis.
    return (math.prod(x.shape[: len(x.shape) - rank]), *x.shape[len(x.shape) - rank :])


def _pooled_dims(x: Value, lengths: Shape) -> tuple[Dim, ...]:
    return (*x.dims[: x.rank - len(lengths)], *lengths)


def _check_windows(name: str, shape: Shape, windows: Windows) -> None:
    if any(n < 1 for n in windows.out_lengths(shape[1:])):
        raise InvalidArgumentError(
            f"cannot import {name!r}: windows of {list(windows.size)} do not fit into"
            f" lengths {list(shape[1:])}. Use a larger input."
        )


def max_pool(build: Builder, name: str, x: Value, windows: Windows) -> Value:
    """Return the maximum over every window of the last axes; padding belongs to none.

    Raises:
        InvalidArgumentError: A window covers padding only, or the batch axis is pooled.
    """
    shape = _channels(name, x, windows.rank)
    _check_windows(name, shape, windows)
    return _maxima(build, name, x, Groups.of_windows(shape, windows), "max_pool")


def _maxima(
    build: Builder, name: str, x: Value, groups: Groups, operation: str
) -> Value:
    """Add a maximum whose groups see all axes in front of the spatial ones as one."""
    dims = _pooled_dims(x, groups.out_shape[1:])
    if groups.in_shape == x.shape:
        return build.maximum(name, x, groups, dims, operation=operation)
    into, back = with_batch(groups.in_shape), with_batch(groups.out_shape)
    merged = Reshape(x.shape, groups.in_shape)
    flat = build.linear(f"{name}.channels", x, into, merged)
    best = build.maximum(name, flat, groups, back, operation=operation)
    return build.linear(
        f"{name}.axes", best, dims, Reshape(best.shape, sample_shape(dims))
    )


def average_pool(
    build: Builder,
    name: str,
    x: Value,
    windows: Windows,
    *,
    count_padding: bool,
    divisor: int | None = None,
) -> Value:
    """Return the average over every window of the last axes.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is pooled; axes in front of the spatial ones do not mix.
        windows: The windows, without dilation.
        count_padding: Whether padded zeros count in the divisor.
        divisor: Divides every sum in place of the count.

    Raises:
        InvalidArgumentError: A window does not fit, or the batch axis is pooled.
    """
    shape = _channels(name, x, windows.rank)
    _check_windows(name, shape, windows)
    pool = AveragePool(shape, windows, count_padding)
    maps: list[LinearMap] = [Reshape(x.shape, shape), pool]
    if divisor is not None:
        counts = torch.from_numpy(np.asarray(pool.divisors(), dtype=np.float64))
        factor = counts.reshape(1, *pool.out_shape[1:]) / divisor
        maps.append(Scale(factor, pool.out_shape))
    dims = _pooled_dims(x, pool.out_shape[1:])
    maps.append(Reshape(pool.out_shape, sample_shape(dims)))
    return build.linear(name, x, dims, *maps)


def _adaptive_windows(lengths: Shape, sizes: Shape) -> Windows | None:
    """Return plain windows where every length is a multiple of its new one."""
    if any(size < 1 or n % size for n, size in zip(lengths, sizes, strict=True)):
        return None
    steps = tuple(n // size for n, size in zip(lengths, sizes, strict=True))
    ones = (1,) * len(sizes)
    return Windows(steps, steps, ((0, 0),) * len(sizes), ones)


def _adaptive_ranges(length: int, size: int) -> list[range]:
    """Return which entries every window of adaptive pooling covers."""
    return [
        range(i * length // size, -(-(i + 1) * length // size)) for i in range(size)
    ]


def _adaptive_lengths(name: str, x: Value, sizes: Sequence[int | None]) -> Shape:
    lengths = _channels(name, x, len(sizes))[1:]
    wanted = tuple(
        n if size is None else size for n, size in zip(lengths, sizes, strict=True)
    )
    if any(size < 1 or n < 1 for n, size in zip(lengths, wanted, strict=True)):
        raise InvalidArgumentError(
            f"cannot import {name!r}: it pools lengths {list(lengths)} to"
            f" {list(wanted)}, and both must be 1 at least. Use a larger input."
        )
    return wanted


def adaptive_average_pool(
    build: Builder, name: str, x: Value, sizes: Sequence[int | None]
) -> Value:
    """Return averages over windows that cover the last axes evenly.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is pooled.
        sizes: New lengths; nothing keeps a length.

    Raises:
        InvalidArgumentError: A length is 0, or the batch axis is pooled.
    """
    shape = _channels(name, x, len(sizes))
    wanted = _adaptive_lengths(name, x, sizes)
    windows = _adaptive_windows(shape[1:], wanted)
    if windows is not None:
        return average_pool(build, name, x, windows, count_padding=False)
    # Windows are products of intervals, so averages are taken axis by axis.
    current, maps = x.shape, list[LinearMap]()
    for back, size in enumerate(reversed(wanted), start=1):
        axis = len(current) - back
        maps.append(AlongAxis(_averages(current[axis], size), current, axis))
        current = maps[-1].out_shape
    return build.linear(name, x, _pooled_dims(x, wanted), *maps)


def _averages(length: int, size: int) -> Tensor:
    matrix = torch.zeros(size, length, dtype=torch.float64)
    for row, covered in enumerate(_adaptive_ranges(length, size)):
        matrix[row, covered.start : covered.stop] = 1.0 / len(covered)
    return matrix


def adaptive_max_pool(
    build: Builder, name: str, x: Value, sizes: Sequence[int | None]
) -> Value:
    """Return maxima over windows that cover the last axes evenly.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is pooled.
        sizes: New lengths; nothing keeps a length.

    Raises:
        InvalidArgumentError: A length is 0, or the batch axis is pooled.
    """
    shape = _channels(name, x, len(sizes))
    wanted = _adaptive_lengths(name, x, sizes)
    windows = _adaptive_windows(shape[1:], wanted)
    if windows is not None:
        return max_pool(build, name, x, windows)
    groups = Groups(shape, (shape[0], *wanted), lists=_adaptive_lists(shape, wanted))
    return _maxima(build, name, x, groups, "max_pool")


def _adaptive_lists(shape: Shape, wanted: Shape) -> Ragged:
    places = np.arange(math.prod(shape)).reshape(shape)
    ranges = [
        _adaptive_ranges(n, size) for n, size in zip(shape[1:], wanted, strict=True)
    ]
    lists = [
        places[(channel, *(slice(r.start, r.stop) for r in window))].reshape(-1)
        for channel in range(shape[0])
        for window in product(*ranges)
    ]
    pointers = np.cumsum([0, *(len(entries) for entries in lists)])
    return Ragged(torch.from_numpy(np.concatenate(lists)), torch.from_numpy(pointers))
