"""Values of nodes at homogeneous points, with bounds on their rounding errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from relulens.graph.freeze import two_slope_value
from relulens.graph.linear_map import LinearMap
from relulens.graph.nodes import Affine, Maximum, TwoSlope

_ROUND = 2.0**-52


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """Numbers and how far from the true ones they can be.

    Attributes:
        value: Numbers [N, *shape].
        error: Bounds [N, *shape].
    """

    value: Tensor
    error: Tensor


def affine(
    node: Affine,
    values: Mapping[int, Rounded],
    t: Rounded,
    absolutes: dict[int, LinearMap],
) -> Rounded:
    """Return an affine node's value, its bias counted ``t`` times.

    Args:
        node: The node.
        values: Values of the nodes that it reads.
        t: The last homogeneous coordinate [N].
        absolutes: Absolute maps by the identity of a map, filled here.
    """
    column = (-1, *[1] * len(node.shape))
    total = t.value.new_zeros((t.value.shape[0], *node.shape))
    error, size, fan = torch.zeros_like(total), torch.zeros_like(total), 2
    for term in node.terms:
        read = values[term.source]
        total = total + term.map.apply(read.value)
        key = id(term.map)
        if key not in absolutes:
            absolutes[key] = term.map.absolute().map
        error = error + absolutes[key].apply(read.error)
        size = size + absolutes[key].apply(read.value.abs())
        fan += term.map.fans()[0] + 2
    if node.bias is not None:
        total = total + node.bias * t.value.reshape(column)
        error = error + node.bias.abs() * t.error.reshape(column)
        size = size + (node.bias * t.value.reshape(column)).abs()
    # Products of the bounds themselves are rounded, too: a little is added.
    return Rounded(total, 1.0001 * (error + fan * _ROUND * size))


def two_slope(node: TwoSlope, z: Rounded) -> Rounded:
    """Return a two-slope node's value; a surely negative argument uses its slope."""
    value = two_slope_value(node, z.value)
    low, high = node.negative.abs(), node.positive.abs()
    slope = torch.where(
        z.value > z.error,
        high,
        torch.where(z.value < -z.error, low, torch.maximum(low, high)),
    )
    return Rounded(value, 1.0001 * slope * z.error + _ROUND * value.abs())


def maximum(node: Maximum, z: Rounded) -> Rounded:
    """Return a maximum's value; its error is the largest of its group."""
    value, _ = node.groups.largest(z.value)
    error, _ = node.groups.largest(z.error)
    return Rounded(value, error)


def step(
    node: Affine | TwoSlope | Maximum,
    values: Mapping[int, Rounded],
    t: Rounded,
    absolutes: dict[int, LinearMap],
) -> Rounded:
    """Return one node's value from those of earlier ones."""
    match node:
        case Affine():
            return affine(node, values, t, absolutes)
        case TwoSlope():
            return two_slope(node, values[node.source])
        case Maximum():
            return maximum(node, values[node.source])
        case _:
            assert_never(node)
