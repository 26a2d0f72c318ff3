"""How far values along a line can be from the true ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.graph.linear_map import LinearMap
from relulens.graph.nodes import Affine, Maximum, TwoSlope

ROUND = 2.0**-52

_MORE = 1.0001
"""Products of the bounds themselves are rounded, too."""

_LARGEST = 1e200


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Bounds on the errors of a node's entries at all kinks of a line.

    A value at a kink whose parameter is off by d is off by ``error + d * steep``.

    Attributes:
        error: Rounding [*shape].
        steep: Largest slopes along the line [*shape].
        size: Bounds on the absolute values at the kinks [*shape].
    """

    error: Tensor
    steep: Tensor
    size: Tensor

    def at(self, off: float) -> Tensor:
        """Return the bound where parameters are off by as much."""
        return self.error + off * self.steep

    def mixed(self) -> "Limits":
        """Return the bounds after values were mixed with their neighbours'."""
        return Limits(self.error + 4 * ROUND * self.size, self.steep, self.size)


def on_the_line(start: Tensor, direction: Tensor) -> Limits:
    """Return the bounds of points of a line with parameters up to 1."""
    steep = direction.abs()
    size = start.abs() + steep
    return Limits(4 * ROUND * size, steep, size)


def through_affine(
    node: Affine,
    read: Mapping[int, Limits],
    absolutes: dict[int, LinearMap],
) -> Limits:
    """Return the bounds of an affine node's value.

    Args:
        node: The node.
        read: Bounds of the nodes that it reads.
        absolutes: Absolute maps by the identity of a map, filled here.
    """
    error = torch.zeros(node.shape, dtype=torch.float64)
    steep, size, fan = torch.zeros_like(error), torch.zeros_like(error), 2
    for term in node.terms:
        key, source = id(term.map), read[term.source]
        if key not in absolutes:
            absolutes[key] = term.map.absolute().map
        both = torch.stack([source.error, source.steep, source.size])
        reach = absolutes[key].apply(both)
        error, steep, size = error + reach[0], steep + reach[1], size + reach[2]
        fan += term.map.fans()[0] + 2
    if node.bias is not None:
        size = size + node.bias.abs()
    error = _MORE * (error + fan * ROUND * size)
    found = (error, _MORE * steep, _MORE * size)
    return Limits(*(part.clamp(max=_LARGEST) for part in found))


def through_two_slope(
    node: TwoSlope, read: Limits, low: Tensor, high: Tensor
) -> Limits:
    """Return the bounds of a two-slope node's value, with the slopes it takes.

    Args:
        node: The node.
        read: Bounds of its argument.
        low: The argument's least values at the kinks, flat.
        high: Its largest ones.
    """
    down = torch.where(low.reshape(node.shape) < 0, node.negative.abs(), 0.0)
    up = torch.where(high.reshape(node.shape) > 0, node.positive.abs(), 0.0)
    gain = torch.maximum(down, up).to(torch.float64)
    size = gain * torch.maximum(high, -low).reshape(node.shape)
    return Limits(gain * read.error + ROUND * size, gain * read.steep, size)


def through_maximum(node: Maximum, read: Limits) -> Limits:
    """Return the bounds of a maximum, the largest of each group."""
    three = torch.stack([read.error, read.steep, read.size])
    error, steep, size = node.groups.largest(three)[0]
    return Limits(error, steep, size)
