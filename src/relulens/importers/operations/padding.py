"""Padding and cropping along the source's axes, with every border convention."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import Adjoint, Gather, Slice
from relulens.importers.builder import Builder
from relulens.importers.values import (
    BatchAxis,
    Dims,
    Value,
    describe_dims,
    sample_shape,
    with_lengths,
)

PadMode: TypeAlias = Literal["constant", "reflect", "edge", "wrap"]
Pads: TypeAlias = Sequence[tuple[int, int]]


def pad(
    build: Builder,
    name: str,
    x: Value,
    pads: Pads,
    mode: PadMode = "constant",
    value: float = 0.0,
) -> Value:
    """Return a value with entries added around it, or cropped where a pad is negative.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is padded.
        pads: Entries before and after every source axis.
        mode: What stands around: a constant, or the value itself mirrored at its border
            entries, repeated from them, or wrapped around.
        value: The constant.

    Raises:
        InvalidArgumentError: The batch axis is padded, or more is cropped than is
            there.
    """
    around = _node_pads(x, pads)
    _check_crops(name, x, around)
    kept = Slice(
        x.shape,
        tuple(
            (max(0, -before), n - max(0, -after), 1)
            for n, (before, after) in zip(x.shape, around, strict=True)
        ),
    )
    grown = [(max(0, before), max(0, after)) for before, after in around]
    lengths = [n + sum(pair) for n, pair in zip(kept.out_shape, grown, strict=True)]
    dims = with_lengths(x.dims, tuple(lengths))
    if mode == "constant":
        return _constant(build, name, x, dims, kept, grown, value)
    places = np.arange(math.prod(x.shape)).reshape(1, *x.shape)
    inside = kept.apply(torch.from_numpy(places))[0].numpy()
    index = torch.from_numpy(np.ascontiguousarray(np.pad(inside, grown, mode=mode)))
    return build.linear(name, x, dims, Gather(x.shape, index))


def _node_pads(x: Value, pads: Pads) -> list[tuple[int, int]]:
    around: list[tuple[int, int]] = []
    for axis, (dim, amounts) in enumerate(zip(x.dims, pads, strict=True)):
        if any(amounts):
            x.axis(axis)  # Refuses the batch axis.
        parts = dim.parts() if isinstance(dim, BatchAxis) else (dim,)
        around.extend(amounts for _ in parts)
    return around


def _check_crops(name: str, x: Value, around: Pads) -> None:
    for length, (before, after) in zip(x.shape, around, strict=True):
        cropped = max(0, -before) + max(0, -after)
        if cropped > length:
            raise InvalidArgumentError(
                f"cannot import {name!r}: it crops {cropped} entries of an axis of"
                f" {describe_dims(x.dims)} that has {length}. Crop less."
            )


def _constant(
    build: Builder,
    name: str,
    x: Value,
    dims: Dims,
    kept: Slice,
    grown: Pads,
    value: float,
) -> Value:
    shape = sample_shape(dims)
    ranges = tuple(
        (before, n - after, 1) for n, (before, after) in zip(shape, grown, strict=True)
    )
    hole = Slice(shape, ranges)
    bias = None
    if value != 0.0 and hole.out_size != hole.in_size:
        bias = torch.full(shape, value, dtype=torch.float64)
        bias[tuple(slice(start, stop) for start, stop, _ in ranges)] = 0.0
    maps: list[LinearMap] = []
    if kept.out_size != kept.in_size:
        maps.append(kept)
    if hole.out_size != hole.in_size:
        maps.append(Adjoint(hole))
    return build.linear(name, x, dims, *maps, bias=bias)
