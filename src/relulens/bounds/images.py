"""Bounds of one node from the bounds of those it reads, rounding included."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from relulens.bounds.rounding import (
    UNIT,
    gamma,
    is_made_of_maps,
    parts_by_absolute_value,
    roundings,
    widened,
)
from relulens.errors import OffendingNode, UnboundedError
from relulens.graph.coupled_bounds import Bounds, coupled_image
from relulens.graph.freeze import affine_value
from relulens.graph.interval import two_slope_image
from relulens.graph.linear_map import LinearMap
from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Nonlinear,
    Smooth,
    TwoSlope,
    sources,
)
from relulens.graph.polyhedral import source_name

LIBRARY = 1e-12
"""Relative error that functions such as ``tanh`` and ``exp`` are trusted to keep."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AbsoluteAffine:
    """What the bounds of an affine node need, made once a network.

    Attributes:
        spread: Absolute map of every term, as exact as it is to be had.
        exact: Whether every ``spread`` has the absolute values, not upper bounds.
        parts: Map of every term with its parts by absolute value, for rounding.
        bias: Absolute constant part, or nothing.
        share: Relative rounding of the node's value, with respect to ``parts``.
    """

    spread: tuple[LinearMap, ...]
    exact: bool
    parts: tuple[LinearMap, ...]
    bias: Tensor | None
    share: float

    @classmethod
    def of(cls, node: Affine) -> "AbsoluteAffine":
        """Return the absolute maps of a node."""
        spread = tuple(term.map.absolute() for term in node.terms)
        parts = tuple(
            parts_by_absolute_value(term.map)
            if is_made_of_maps(term.map)
            else found.map
            for term, found in zip(node.terms, spread, strict=True)
        )
        count = sum(roundings(term.map) + 1 for term in node.terms)
        return cls(
            spread=tuple(part.map for part in spread),
            exact=all(part.exact for part in spread),
            parts=parts,
            bias=None if node.bias is None else node.bias.abs(),
            share=gamma(count),
        )

    def size(self, node: Affine, sizes: Mapping[int, Tensor]) -> Tensor:
        """Return the sum of the absolute terms that every entry can add up.

        Args:
            node: The node.
            sizes: Largest absolute values [N, *shape] of the nodes that it reads.
        """
        count = next(iter(sizes.values())).shape[0]
        total = next(iter(sizes.values())).new_zeros((count, *node.shape))
        for term, part in zip(node.terms, self.parts, strict=True):
            total = total + part.apply(sizes[term.source])
        return total if self.bias is None else total + self.bias


def largest(bounds: Bounds) -> Tensor:
    """Return the largest absolute value between two bounds."""
    return torch.maximum(bounds[0].abs(), bounds[1].abs())


def affine_bounds(
    node: Affine, known: AbsoluteAffine, values: Mapping[int, Bounds], box: Bounds
) -> tuple[Bounds, Tensor]:
    """Return bounds of an affine node, and the sum of its absolute terms.

    The centre goes through the node and the half-width through the absolute map; both
    are off by at most ``share`` times the sum of absolute terms.
    """
    count = box[0].shape[0]
    read = {term.source: values[term.source] for term in node.terms}
    middle = {i: (low + high) / 2 for i, (low, high) in read.items()}
    centre = affine_value(node, middle, count)
    if not node.terms:
        return (centre, centre), centre.abs()
    size = known.size(node, {i: largest(bounds) for i, bounds in read.items()})
    radius = torch.zeros_like(centre)
    for term, part in zip(node.terms, known.spread, strict=True):
        low, high = read[term.source]
        radius = radius + part.apply((high - low) / 2)
    # Middle and half-width are off by one rounding, centre and radius by the sum's.
    radius = radius + (3 * known.share + 8 * UNIT) * size
    return (centre - radius, centre + radius), size


def _smooth_bounds(node: Smooth, bounds: Bounds) -> Bounds | None:
    low, high = bounds
    first, last = node.function.domain
    if bool((low < first).any()) or bool((high > last).any()):
        return None
    return node.function.image(low, high)


def curved_bounds(
    name: str, node: Smooth | Coupled, arguments: tuple[Bounds, ...]
) -> Bounds:
    """Return bounds of a smooth or coupled node from those of its arguments.

    Raises:
        UnboundedError: It has no finite bounds on its box.
    """
    if isinstance(node, Smooth):
        image = _smooth_bounds(node, arguments[0])
    else:
        image = coupled_image(node.function, arguments)
    if image is None or not bool(torch.isfinite(torch.stack(image)).all()):
        offending = OffendingNode(
            name=name,
            operation=node.function.name,
            reason="no finite image of its box",
        )
        raise UnboundedError("the network on a box", [offending])
    low, high = widened(*image, LIBRARY)
    room = LIBRARY * (high - low)
    return low - room, high + room


def nonlinear_bounds(
    name: str, node: Nonlinear, arguments: tuple[Bounds, ...]
) -> Bounds:
    """Return bounds of a nonlinear node from those [N, *shape] of its arguments.

    Raises:
        UnboundedError: A curved node has no finite bounds on its box.
    """
    match node:
        case TwoSlope():
            return widened(*two_slope_image(node, arguments[0]), 2 * UNIT)
        case Maximum():
            low, high = arguments[0]
            return node.groups.largest(low)[0], node.groups.largest(high)[0]
        case Smooth() | Coupled():
            return curved_bounds(name, node, arguments)
        case _:
            assert_never(node)


def node_bounds(
    network: Network,
    index: int,
    known: Mapping[int, AbsoluteAffine],
    values: Mapping[int, Bounds],
    box: Bounds,
) -> tuple[Bounds, Tensor | None]:
    """Return bounds of a node, and for an affine one the sum of its absolute terms.

    Raises:
        UnboundedError: A curved node has no finite bounds on its box.
    """
    node: Node = network.nodes[index]
    match node:
        case Input():
            return box, None
        case Affine():
            return affine_bounds(node, known[index], values, box)
        case TwoSlope() | Maximum() | Smooth() | Coupled():
            name = source_name(network, index)
            read = tuple(values[i] for i in sources(node))
            return nonlinear_bounds(name, node, read), None
        case _:
            assert_never(node)
