"""How far changes inside a box carry: gains where the operations really are."""

from collections.abc import Mapping
from typing import assert_never

import torch
from torch import Tensor

from relulens.bounds.images import AbsoluteAffine
from relulens.bounds.layer_bounds import LayerBounds, layer_bounds
from relulens.bounds.rounding import UNIT
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Coupled, Input, Maximum, Node, Smooth, TwoSlope


def steepest_between(node: TwoSlope, bounds: Bounds) -> Tensor:
    """Return the largest absolute slope of a two-slope node between two bounds."""
    low, high = bounds
    over = torch.where(high > 0, node.positive.abs(), torch.zeros_like(high))
    under = torch.where(low < 0, node.negative.abs(), torch.zeros_like(low))
    return torch.maximum(over, under)


def maximum_reach(node: Maximum, bounds: Bounds, moved: Tensor) -> Tensor:
    """Return how far a maximum moves: as far as an entry that can win."""
    table, real = node.groups.ragged.padded()
    table, real = table.to(moved.device), real.to(moved.device)
    low, high = (bound.flatten(1)[:, table] for bound in bounds)
    floor = low.masked_fill(~real, -torch.inf).amax(-1, keepdim=True)
    wins = real & (high >= floor)
    reach = moved.flatten(1)[:, table].masked_fill(~wins, 0.0).amax(-1)
    return reach.reshape(moved.shape[0], *node.shape)


def local_reach(
    network: Network, x: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor, bool]:
    """Return bounds of the output from changes of x, with gains on the box.

    The gain of every operation is the largest one between the interval bounds of its
    argument: units that are off on the whole box carry nothing.

    Args:
        network: The network, float64.
        x: Inputs [N, *input_shape].
        low: Lowest inputs, at most x.
        high: Highest inputs, at least x.

    Returns:
        Lower and upper bounds [N, *output_shape], and whether rounding is accounted
        for.
    """
    found = layer_bounds(network, low, high, method="interval")
    centre = layer_bounds(network, x, x, method="interval")
    change = torch.maximum(high - x, x - low) * (1 + 4 * UNIT)
    with torch.no_grad():
        reach = _carried(network, found, change)
    least, most = centre.output
    return least - reach, most + reach, found.rigorous


def _carried(network: Network, found: LayerBounds, change: Tensor) -> Tensor:
    moved: dict[int, Tensor] = {}
    for index in sorted(network.ancestors(network.output)):
        node = network.nodes[index]
        moved[index] = _step(network, index, node, found, moved, change)
    return moved[network.output]


def _step(
    network: Network,
    index: int,
    node: Node,
    found: LayerBounds,
    moved: Mapping[int, Tensor],
    change: Tensor,
) -> Tensor:
    """Return how far a node's value moves at most, rounded upwards."""
    match node:
        case Input():
            return change
        case Affine(terms=terms):
            known: AbsoluteAffine = found.relaxation.known[index]
            total = change.new_zeros((change.shape[0], *node.shape))
            for term, part in zip(terms, known.spread, strict=True):
                total = total + part.apply(moved[term.source])
            return total * (1 + known.share)
        case TwoSlope(source=source):
            slope = steepest_between(node, found.argument(index))
            return slope * moved[source] * (1 + 2 * UNIT)
        case Maximum(source=source):
            return maximum_reach(node, found.argument(index), moved[source])
        case Smooth(source=source):
            slope = node.function.gain_between(*found.argument(index))
            wide = found.relaxation.sizes[index]
            # An infinite slope is no use; the box of the value always is.
            reach = slope * moved[source] * (1 + 1e-9)
            return torch.where(torch.isfinite(reach), reach, 2 * wide)
        case Coupled():
            return 2 * found.relaxation.sizes[index]
        case _:
            assert_never(node)
