"""Boxes pushed forward through a network: bounds for every node."""

from collections.abc import Collection, Mapping
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import OffendingNode, UnboundedError
from relulens.graph.coupled_bounds import Bounds, coupled_image
from relulens.graph.freeze import affine_value, two_slope_value
from relulens.graph.network import Network, last_uses
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    Term,
    TwoSlope,
)
from relulens.graph.polyhedral import source_name


def affine_image(node: Affine, values: Mapping[int, Bounds], batch: int) -> Bounds:
    """Return the bounds of an affine node: its centre plus and minus its radius.

    Exact for one term whose absolute map is exact; several terms are bounded each by
    itself, and a dominating absolute map widens the bounds.
    """
    middle = {i: (low + high) / 2 for i, (low, high) in values.items()}
    spread = {i: (high - low) / 2 for i, (low, high) in values.items()}
    centre = affine_value(node, middle, batch)
    radius = torch.zeros_like(centre)
    for term in node.terms:
        radius = radius + term.map.absolute().map.apply(spread[term.source])
    return centre - radius, centre + radius


def _read_only(node: Affine, values: Mapping[int, Bounds]) -> dict[int, Bounds]:
    terms: tuple[Term, ...] = node.terms
    return {term.source: values[term.source] for term in terms}


def two_slope_image(node: TwoSlope, bounds: Bounds) -> Bounds:
    """Return the exact bounds of a two-slope node: at the ends, or zero between."""
    low, high = bounds
    ends = two_slope_value(node, low), two_slope_value(node, high)
    least, most = torch.minimum(*ends), torch.maximum(*ends)
    crossing = (low < 0) & (high > 0)
    zero = torch.zeros_like(least)
    return (
        torch.where(crossing, torch.minimum(least, zero), least),
        torch.where(crossing, torch.maximum(most, zero), most),
    )


def _smooth_image(node: Smooth, bounds: Bounds) -> Bounds | None:
    low, high = bounds
    first, last = node.function.domain
    if bool((low < first).any()) or bool((high > last).any()):
        return None
    least, most = node.function.image(low, high)
    finite = torch.isfinite(least).all() & torch.isfinite(most).all()
    return (least, most) if bool(finite) else None


def _node_image(node: Node, values: Mapping[int, Bounds], box: Bounds) -> Bounds | None:
    """Return the bounds of one node, or nothing if it has no finite ones."""
    match node:
        case Input():
            return box
        case Affine():
            return affine_image(node, _read_only(node, values), box[0].shape[0])
        case TwoSlope():
            return two_slope_image(node, values[node.source])
        case Maximum():
            low, high = values[node.source]
            return node.groups.largest(low)[0], node.groups.largest(high)[0]
        case Smooth():
            return _smooth_image(node, values[node.source])
        case Coupled():
            return coupled_image(node.function, tuple(values[i] for i in node.sources))
        case _:
            assert_never(node)


def interval(
    network: Network,
    low: Float[Tensor, "batch ..."],
    high: Float[Tensor, "batch ..."],
    wanted: Collection[int],
) -> dict[int, Bounds]:
    """Return bounds of nodes for inputs between two bounds, by interval arithmetic.

    The bounds hold up to the rounding of the network's type, which is not accounted
    for; they are exact node by node, not for the network.

    Args:
        network: The network.
        low: Lowest inputs [N, *input_shape], of the network's type: N boxes.
        high: Highest inputs, likewise.
        wanted: Indices of the nodes whose bounds are returned.

    Returns:
        Lowest and highest values [N, *shape] of every wanted node.

    Raises:
        UnboundedError: A node has no finite bounds on its box, such as a quotient whose
            divisor can be zero.

    Cost:
        About two forward passes and one with absolute coefficients.
    """
    needed = frozenset[int]().union(*(network.ancestors(i) for i in wanted))
    free = last_uses(network.nodes, needed)
    values: dict[int, Bounds] = {}
    with torch.no_grad():
        for index in sorted(needed):
            image = _node_image(network.nodes[index], values, (low, high))
            if image is None:
                offending = _unbounded(network, index)
                raise UnboundedError("the network on a box", [offending])
            values[index] = image
            for spent in free.get(index, ()):
                if spent not in wanted:
                    del values[spent]
    return {index: values[index] for index in wanted}


def _unbounded(network: Network, index: int) -> OffendingNode:
    node = network.nodes[index]
    kind = type(node).__name__
    operation = node.function.name if isinstance(node, Smooth | Coupled) else kind
    name = source_name(network, index)
    return OffendingNode(
        name=name, operation=operation, reason="no finite image of its box"
    )
