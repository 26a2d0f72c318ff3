"""The same network in another type of number or on another device."""

from dataclasses import replace
from typing import assert_never

import torch

from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Nonlinear,
    Smooth,
    Term,
    TwoSlope,
)


def converted(
    network: Network,
    dtype: torch.dtype = torch.float64,
    device: torch.device | None = None,
) -> Network:
    """Return the network with its coefficients in another type or on another device.

    Args:
        network: The network; it is returned itself if nothing changes.
        dtype: Type of every number; widening changes no coefficient.
        device: Where every number lives; where it is by default.
    """
    place = network.device if device is None else device
    if network.dtype == dtype and network.device == place:
        return network
    nodes = tuple(_converted(node, dtype, place) for node in network.nodes)
    return replace(network, nodes=nodes, dtype=dtype, device=place)


def _converted(node: Node, dtype: torch.dtype, device: torch.device) -> Node:
    match node:
        case Input():
            return node
        case Affine():
            terms = tuple(Term(t.source, t.map.to(dtype, device)) for t in node.terms)
            bias = None if node.bias is None else node.bias.to(device, dtype)
            return replace(node, terms=terms, bias=bias)
        case _:
            return converted_node(node, dtype, device)


def converted_node(
    node: Nonlinear, dtype: torch.dtype, device: torch.device
) -> Nonlinear:
    """Return one nonlinear node in another type or on another device."""
    match node:
        case Maximum() | Smooth():
            return node
        case Coupled():
            return replace(node, function=node.function.to(dtype, device))
        case TwoSlope():
            return replace(
                node,
                negative=node.negative.to(device, dtype),
                positive=node.positive.to(device, dtype),
            )
        case _:
            assert_never(node)
