"""Evaluate a network, and freeze its nonlinear operations at the points met."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.network import Network, last_uses
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
    sources,
)
from relulens.graph.pieces import by_rows, joined, row_ranges, rows_at_once
from relulens.graph.sharing import shares_memory


def affine_value(node: Affine, values: Mapping[int, Tensor], batch: int) -> Tensor:
    """Return the value of an affine node from the values that it reads.

    Raises:
        ValueError: The node has neither terms nor a bias.
    """
    shape = (batch, *node.shape)
    if not node.terms:
        if node.bias is None:
            raise ValueError(f"affine node {node.name!r} has neither terms nor bias")
        return node.bias.expand(shape)
    first, *rest = node.terms
    total = first.map.apply(values[first.source])
    # What a map gives may lie in its argument's memory, and must not be written to.
    own = total.is_contiguous() and not shares_memory(total, values[first.source])
    for part in (term.map.apply(values[term.source]) for term in rest):
        total, own = total.add_(part) if own else total + part, True
    if node.bias is None:
        return total
    return total.add_(node.bias) if own else total + node.bias


def two_slope_value(node: TwoSlope, z: Tensor) -> Tensor:
    """Return the value of a two-slope node at its argument."""
    if node.positive.numel() == 1 and node.negative.numel() == 1:
        low, high = float(node.negative), float(node.positive)
        if low == 0.0 and high == 1.0:
            return torch.relu(z)
        if high == 1.0:
            return torch.nn.functional.leaky_relu(z, low)
    return torch.where(z > 0, node.positive * z, node.negative * z)


def node_value(node: Node, values: Mapping[int, Tensor], x: Tensor) -> Tensor:
    """Return the value of one node from the values of earlier ones."""
    match node:
        case Input():
            return x
        case Affine():
            return affine_value(node, values, x.shape[0])
        case TwoSlope():
            return two_slope_value(node, values[node.source])
        case Maximum():
            return node.groups.largest(values[node.source])[0]
        case Smooth():
            return node.function.value(values[node.source])
        case Coupled():
            return node.function.value(*(values[i] for i in node.sources))
        case _:
            assert_never(node)


def node_values(
    network: Network, x: Float[Tensor, "batch ..."], wanted: Collection[int]
) -> dict[int, Tensor]:
    """Return the values of some nodes, in one forward pass that frees what it can.

    Args:
        network: The network.
        x: Inputs [N, *input_shape] of the network's type.
        wanted: Indices of the nodes.

    Returns:
        The value [N, *shape] of every wanted node.
    """
    needed = frozenset[int]().union(*(network.ancestors(i) for i in wanted))
    free = last_uses(network.nodes, needed)

    def walk(part: Tensor) -> dict[int, Tensor]:
        values: dict[int, Tensor] = {}
        for index in sorted(needed):
            values[index] = node_value(network.nodes[index], values, part)
            for spent in free.get(index, ()):
                if spent not in wanted:
                    del values[spent]
        return {index: values[index] for index in wanted}

    with torch.no_grad():
        return by_rows(x, rows_at_once(network, needed, x), walk)


def _frozen_value(
    node: Node, values: Mapping[int, Tensor], x: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return a node's value and what it does there."""
    match node:
        case Input() | Affine() | Coupled():
            return node_value(node, values, x), None
        case TwoSlope():
            z = values[node.source]
            return two_slope_value(node, z), z > 0
        case Maximum():
            return node.groups.largest(values[node.source])
        case Smooth():
            z = values[node.source]
            return node.function.value(z), node.function.slope(z)
        case _:
            assert_never(node)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Frozen:
    """A network with its nonlinear operations frozen at a batch of points.

    Attributes:
        network: The network.
        x: The points [N, *input_shape].
        end: Index of the last node that was evaluated.
        gates: What each nonlinear node does at the points: whether arguments are
            positive (TwoSlope), the winner of each group (Maximum), the derivative
            (Smooth).
        arguments: Values that Smooth and Coupled nodes read, for their affine parts.
        values: Values of the nodes that were asked for.
    """

    network: Network
    x: Tensor
    end: int
    gates: Mapping[int, Tensor]
    arguments: Mapping[int, tuple[Tensor, ...]]
    values: Mapping[int, Tensor]

    @property
    def batch(self) -> int:
        """Number of points."""
        return self.x.shape[0]


def frozen_part(frozen: Frozen, points: slice) -> Frozen:
    """Return a network frozen at some of the points, sharing the arrays."""
    if points.start == 0 and points.stop == frozen.batch:
        return frozen
    return Frozen(
        network=frozen.network,
        x=frozen.x[points],
        end=frozen.end,
        gates={index: gate[points] for index, gate in frozen.gates.items()},
        arguments={
            index: tuple(argument[points] for argument in read)
            for index, read in frozen.arguments.items()
        },
        values={index: value[points] for index, value in frozen.values.items()},
    )


def freeze(
    network: Network,
    x: Float[Tensor, "batch ..."],
    end: int,
    keep: Collection[int] = (),
) -> Frozen:
    """Evaluate up to a node and keep what every nonlinear operation did.

    Args:
        network: The network.
        x: Points [N, *input_shape] of the network's type.
        end: Index of the node to stop at.
        keep: Further nodes, before ``end``, whose values are kept.

    Returns:
        The frozen network; the values of ``end`` and ``keep`` are in it.
    """
    needed = network.ancestors(end)
    kept = frozenset({end, *(index for index in keep if index in needed)})
    rows = rows_at_once(network, needed, x)
    with torch.no_grad():
        parts = [
            _frozen_rows(network, x[part], end, kept)
            for part in row_ranges(x.shape[0], rows)
        ]
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return Frozen(
        network=network,
        x=x,
        end=end,
        gates={i: joined([part.gates[i] for part in parts]) for i in first.gates},
        arguments={
            i: tuple(
                joined(list(read))
                for read in zip(*(part.arguments[i] for part in parts), strict=True)
            )
            for i in first.arguments
        },
        values={i: joined([part.values[i] for part in parts]) for i in kept},
    )


def _frozen_rows(network: Network, x: Tensor, end: int, kept: frozenset[int]) -> Frozen:
    """Return the network frozen at points that are few enough to take at once."""
    needed = network.ancestors(end)
    free = last_uses(network.nodes, needed)
    values: dict[int, Tensor] = {}
    gates: dict[int, Tensor] = {}
    arguments: dict[int, tuple[Tensor, ...]] = {}
    for index in sorted(needed):
        node = network.nodes[index]
        value, gate = _frozen_value(node, values, x)
        values[index] = value
        if gate is not None:
            gates[index] = gate
        if isinstance(node, Smooth | Coupled):
            arguments[index] = tuple(values[i] for i in sources(node))
        for spent in free.get(index, ()):
            if spent not in kept:
                del values[spent]
    return Frozen(
        network=network,
        x=x,
        end=end,
        gates=gates,
        arguments=arguments,
        values={index: values[index] for index in kept},
    )
