"""The only gate to exact polyhedral questions: a view without curved nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from relulens.errors import NotPolyhedralError, OffendingNode
from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Smooth,
    TwoSlope,
)

PolyhedralNode: TypeAlias = Input | Affine | TwoSlope | Maximum


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Polyhedral:
    """The ancestors of a node, all of them piecewise affine.

    Attributes:
        network: The network.
        end: Index of the node asked about.
        nodes: Its ancestors and itself by index, in order.
    """

    network: Network
    end: int
    nodes: Mapping[int, PolyhedralNode]

    def nonlinear(self) -> list[tuple[int, TwoSlope | Maximum]]:
        """Return the nonlinear nodes with their indices, in order."""
        return [
            (index, node)
            for index, node in self.nodes.items()
            if isinstance(node, TwoSlope | Maximum)
        ]


def polyhedral(
    network: Network, node: int, *, question: str = "an exact polyhedral question"
) -> Polyhedral:
    """Return a node's ancestors if all of them are piecewise affine.

    Args:
        network: The network.
        node: Index of the node asked about, as ``network.find`` gives it.
        question: What is asked, for the message.

    Returns:
        The ancestors; of four kinds only, so a ``match`` over these is whole.

    Raises:
        NotPolyhedralError: Smooth or coupled nodes are among them; all are named.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0]], None), ([[2.0]], None)])
        >>> len(polyhedral(network, network.output).nodes)
        4
    """
    kept: dict[int, PolyhedralNode] = {}
    offending: list[OffendingNode] = []
    for index in sorted(network.ancestors(node)):
        candidate = network.nodes[index]
        match candidate:
            case Input() | Affine() | TwoSlope() | Maximum():
                kept[index] = candidate
            case Smooth(function=function) | Coupled(function=function):
                curved = isinstance(candidate, Smooth)
                reason = "curved" if curved else "couples its entries"
                name = source_name(network, index)
                offending.append(
                    OffendingNode(name=name, operation=function.name, reason=reason)
                )
            case _:
                assert_never(candidate)
    if offending:
        raise NotPolyhedralError(question, offending)
    return Polyhedral(network=network, end=node, nodes=kept)


def source_name(network: Network, index: int) -> str:
    """Return the name of the layer that a node belongs to, else the node's own."""
    for layer in network.layers:
        if index in layer.nodes:
            return layer.name
    return network.nodes[index].name
