"""From all nodes that an import made to those that the network needs."""

from dataclasses import replace

import torch

from relulens.graph.network import Layer, Network
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


def assembled(draft: Network, dtype: torch.dtype, device: torch.device) -> Network:
    """Return a network without the nodes that its output does not need.

    Args:
        draft: The network with all nodes, in float64.
        dtype: Type of every number.
        device: Where every number lives.
    """
    kept = sorted(draft.ancestors(draft.output) | {0})
    place = {old: new for new, old in enumerate(kept)}
    layers = tuple(
        Layer(
            name=layer.name,
            operation=layer.operation,
            nodes=tuple(place[i] for i in layer.nodes),
            output=place.get(layer.output, place[layer.nodes[-1]]),
        )
        for layer in draft.layers
        if set(layer.nodes) <= place.keys()
    )
    return replace(
        draft,
        nodes=tuple(_moved(draft.nodes[i], place, dtype, device) for i in kept),
        output=place[draft.output],
        layers=layers,
        cuts={name: place[i] for name, i in draft.cuts.items() if i in place},
        dtype=dtype,
        device=device,
    )


def _moved(
    node: Node, place: dict[int, int], dtype: torch.dtype, device: torch.device
) -> Node:
    match node:
        case Input():
            return node
        case Affine():
            return Affine(
                name=node.name,
                shape=node.shape,
                terms=tuple(
                    Term(place[t.source], t.map.to(dtype, device)) for t in node.terms
                ),
                bias=None if node.bias is None else node.bias.to(device, dtype),
                parameters=node.parameters,
            )
        case TwoSlope():
            return TwoSlope(
                name=node.name,
                shape=node.shape,
                source=place[node.source],
                negative=node.negative.to(device, dtype),
                positive=node.positive.to(device, dtype),
            )
        case Maximum():
            return Maximum(
                name=node.name,
                shape=node.shape,
                source=place[node.source],
                groups=node.groups,
            )
        case Smooth():
            return Smooth(
                name=node.name,
                shape=node.shape,
                source=place[node.source],
                function=node.function,
            )
        case Coupled():
            return Coupled(
                name=node.name,
                shape=node.shape,
                sources=tuple(place[i] for i in node.sources),
                function=node.function.to(dtype, device),
            )
