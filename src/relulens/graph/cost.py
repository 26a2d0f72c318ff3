"""What a node costs: multiply-adds of one evaluation, by counting."""

import math
from typing import assert_never

from relulens.graph.coupled import MatrixProduct
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import (
    Added,
    Adjoint,
    Composed,
    Diagram,
    Gather,
    Identity,
    Permute,
    Reshape,
    Slice,
)
from relulens.graph.network import Network
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


def map_cost(map_: LinearMap) -> int:
    """Return about how many multiply-adds one application of a map takes.

    Padding counts as if it were multiplied; maps that only move entries cost nothing.
    """
    match map_:
        case Identity() | Reshape() | Permute() | Slice() | Gather():
            return 0
        case Adjoint(map=inner):
            return map_cost(inner)
        case Composed(maps=parts) | Added(maps=parts):
            return sum(map(map_cost, parts))
        case Diagram(arrows=arrows):
            return sum(map_cost(arrow.map) for arrow in arrows)
        case _:
            return map_.entries()


def node_cost(network: Network, node: Node) -> int:
    """Return about how many multiply-adds a node takes for one input.

    Elementwise functions count one an entry, a maximum one an entry that it compares.
    """
    size = math.prod(node.shape)
    match node:
        case Input():
            return 0
        case Affine(terms=terms, bias=bias):
            sums = len(terms) - 1 + (bias is not None)
            return sum(map_cost(term.map) for term in terms) + max(sums, 0) * size
        case TwoSlope() | Smooth():
            return size
        case Maximum(groups=groups):
            return groups.entries()
        case Coupled(function=function):
            inner = network.nodes[sources(node)[0]].shape[-1:]
            wide = math.prod(inner) if isinstance(function, MatrixProduct) else 1
            return size * wide
        case _:
            assert_never(node)
