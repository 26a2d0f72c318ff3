"""Resizing by interpolation: one matrix along every resized axis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis
from relulens.importers.builder import Builder
from relulens.importers.values import Dim, Value

Coordinates: TypeAlias = Literal[
    "half_pixel",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
]
Rounding: TypeAlias = Literal[
    "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"
]


@dataclass(frozen=True, slots=True)
class Resized:
    """How one axis is resized.

    Attributes:
        axis: The source's axis.
        size: Its new length.
        scale: New length over old one, as the source states it; the quotient may be
            another number.
    """

    axis: int
    size: int
    scale: float


def _positions(
    old: int,
    how: Resized,
    coordinates: Coordinates,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Return where every new entry lies among the old ones.

    Raises:
        InvalidArgumentError: The coordinates are not known.
    """
    new = torch.arange(how.size, dtype=dtype)
    scale = torch.tensor(how.scale, dtype=dtype)
    half = (new + 0.5) / scale - 0.5
    match coordinates:
        case "half_pixel":
            return half
        case "pytorch_half_pixel":
            return half if how.size > 1 else torch.zeros_like(new)
        case "half_pixel_symmetric":
            # The given scale may not divide evenly; the centre stays in the centre.
            shift = (old / 2) * (1 - how.size / (how.scale * old))
            return shift + half
        case "align_corners":
            return new * ((old - 1) / (how.size - 1)) if how.size > 1 else new * 0.0
        case "asymmetric":
            return new / scale
        case "tf_half_pixel_for_nn":
            return (new + 0.5) / scale
    raise InvalidArgumentError(
        f"cannot resize: coordinates {coordinates!r} are not known. Use half_pixel,"
        " align_corners or asymmetric."
    )


def _rounded(positions: Tensor, rounding: Rounding) -> Tensor:
    match rounding:
        case "floor":
            return positions.floor()
        case "ceil":
            return positions.ceil()
        case "round_prefer_ceil":
            return (positions + 0.5).floor()
        case "round_prefer_floor":
            return (positions - 0.5).ceil()
    raise InvalidArgumentError(
        f"cannot resize: rounding {rounding!r} is not known. Use floor or ceil."
    )


def _nearest_matrix(places: Tensor, old: int) -> Tensor:
    matrix = torch.zeros(places.numel(), old, dtype=torch.float64)
    rows = torch.arange(places.numel())
    matrix[rows, places.clamp(0, old - 1).to(torch.int64)] = 1.0
    return matrix


def _linear_matrix(positions: Tensor, old: int) -> Tensor:
    inside = positions.clamp(0, old - 1)
    low = inside.floor().clamp(max=max(old - 2, 0))
    share = inside - low
    matrix = torch.zeros(positions.numel(), old, dtype=torch.float64)
    rows, column = torch.arange(positions.numel()), low.to(torch.int64)
    matrix[rows, column] += 1.0 - share
    matrix[rows, (column + 1).clamp(max=old - 1)] += share
    return matrix


def _cubic_matrix(positions: Tensor, old: int, a: float, drop_outside: bool) -> Tensor:
    matrix = torch.zeros(positions.numel(), old, dtype=torch.float64)
    rows, first = torch.arange(positions.numel()), positions.floor()
    for offset in (-1, 0, 1, 2):
        place = first + offset
        weight = _cubic_weight((positions - place).abs(), a)
        if drop_outside:
            weight = torch.where((place >= 0) & (place < old), weight, 0.0)
        matrix[rows, place.clamp(0, old - 1).to(torch.int64)] += weight
    return matrix / matrix.sum(1, keepdim=True) if drop_outside else matrix


def _cubic_weight(distance: Tensor, a: float) -> Tensor:
    d = distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))


def _resize(
    build: Builder,
    name: str,
    x: Value,
    axes: Sequence[Resized],
    matrix: Callable[[int, Resized], Tensor],
) -> Value:
    """Apply a matrix along every axis that is resized."""
    shape, dims = x.shape, list[Dim](x.dims)
    maps: list[LinearMap] = []
    for how in axes:
        place = x.axis(how.axis)
        if shape[place] == 0 or not how.scale > 0 or not math.isfinite(how.scale):
            raise InvalidArgumentError(
                f"cannot import {name!r}: it resizes an axis of length {shape[place]}"
                f" by {how.scale:g}, and both must exceed 0. Leave the operation out."
            )
        step = AlongAxis(matrix(shape[place], how), shape, place)
        maps.append(step)
        shape = step.out_shape
        dims[how.axis % x.rank] = how.size
    return build.linear(name, x, tuple(dims), *maps)


def nearest(
    build: Builder,
    name: str,
    x: Value,
    axes: Sequence[Resized],
    coordinates: Coordinates = "asymmetric",
    rounding: Rounding = "floor",
) -> Value:
    """Return axes resized by taking the nearest entry.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is resized.
        axes: The axes and their new lengths.
        coordinates: How positions correspond; ``"asymmetric"`` with ``"floor"`` is
            torch's ``nearest``, ``"half_pixel"`` with ``"round_prefer_ceil"`` its
            ``nearest-exact``.
        rounding: Which neighbour a position between two entries takes.

    Raises:
        InvalidArgumentError: The batch axis is resized, or an axis is empty.
    """

    def matrix(old: int, how: Resized) -> Tensor:
        # Where a position is a whole number but for rounding, single precision decides,
        # as it does in the libraries that networks are trained and run in.
        positions = _positions(old, how, coordinates, torch.float32)
        places = _rounded(positions, rounding)
        return _nearest_matrix(places, old)

    return _resize(build, name, x, axes, matrix)


def linear(
    build: Builder,
    name: str,
    x: Value,
    axes: Sequence[Resized],
    coordinates: Coordinates = "half_pixel",
) -> Value:
    """Return axes resized by linear interpolation; border entries are repeated.

    Raises:
        InvalidArgumentError: The batch axis is resized, or an axis is empty.
    """
    return _resize(
        build,
        name,
        x,
        axes,
        lambda old, how: _linear_matrix(_positions(old, how, coordinates), old),
    )


def cubic(
    build: Builder,
    name: str,
    x: Value,
    axes: Sequence[Resized],
    coordinates: Coordinates = "half_pixel",
    *,
    coefficient: float = -0.75,
    drop_outside: bool = False,
) -> Value:
    """Return axes resized by cubic convolution.

    Args:
        build: The builder.
        name: The operation's name.
        x: What is resized.
        axes: The axes and their new lengths.
        coordinates: How positions correspond.
        coefficient: The kernel's free parameter.
        drop_outside: Whether entries past the border weigh nothing, else the border
            entry stands for them.

    Raises:
        InvalidArgumentError: The batch axis is resized, or an axis is empty.
    """

    def matrix(old: int, how: Resized) -> Tensor:
        positions = _positions(old, how, coordinates)
        return _cubic_matrix(positions, old, coefficient, drop_outside)

    return _resize(build, name, x, axes, matrix)
