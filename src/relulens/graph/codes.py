"""What every layer does at the points where a network is frozen, as small integers."""

from functools import reduce
from typing import assert_never

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.freeze import Frozen
from relulens.graph.network import Layer
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
)


def node_codes(frozen: Frozen, index: int) -> Tensor | None:
    """Return what one nonlinear node does at the points.

    Args:
        frozen: The network, frozen at the points.
        index: Index of a node that was evaluated.

    Returns:
        [N, *shape]: for two slopes 1 where the argument is positive, else 0 (int8); for
        a maximum the flat position of the winner in the argument (int32); for a smooth
        function the number of kinks strictly below the argument (int8). Nothing for a
        coupled map, which has no codes, nor for affine nodes.
    """
    node: Node = frozen.network.nodes[index]
    match node:
        case Input() | Affine() | Coupled():
            return None
        case TwoSlope():
            return frozen.gates[index].to(torch.int8)
        case Maximum():
            return frozen.gates[index].to(torch.int32)
        case Smooth(function=function):
            (z,) = frozen.arguments[index]
            passed = [(z > kink).to(torch.int8) for kink in function.kinks]
            return reduce(torch.add, passed, torch.zeros_like(z, dtype=torch.int8))
        case _:
            assert_never(node)


def layer_codes(frozen: Frozen, layer: Layer) -> Tensor | None:
    """Return the codes of one layer's features.

    A layer of one node has the node's codes. A clamp is two ReLUs, the second one of
    the distance to the upper bound; its code counts the bounds passed: 0 below, 1
    inside, 2 above.

    Args:
        frozen: The network, frozen at the points past the layer.
        layer: One of the network's layers.

    Raises:
        InvalidArgumentError: The layer has several nodes that are not two-slope.
    """
    if len(layer.nodes) == 1:
        return node_codes(frozen, layer.nodes[0])
    kinds = [frozen.network.nodes[index] for index in layer.nodes]
    if not all(isinstance(node, TwoSlope) for node in kinds):
        names = ", ".join(type(node).__name__ for node in kinds)
        raise InvalidArgumentError(
            f"cannot give codes to layer {layer.name!r}: it has {len(kinds)} nodes"
            f" ({names}), and several must all be TwoSlope. Make them layers each."
        )
    first, *rest = layer.nodes
    passed = frozen.gates[first].to(torch.int8)
    return reduce(
        lambda code, i: code + (~frozen.gates[i]).to(torch.int8), rest, passed
    )


def codes(frozen: Frozen) -> dict[int, Tensor]:
    """Return the codes of every layer that was evaluated and has some.

    Args:
        frozen: The network, frozen at the points.

    Returns:
        Codes [N, *shape of the layer] by the layer's index in ``network.layers``.
    """
    found: dict[int, Tensor] = {}
    for place, layer in enumerate(frozen.network.layers):
        if not all(_evaluated(frozen, index) for index in layer.nodes):
            continue
        code = layer_codes(frozen, layer)
        if code is not None:
            found[place] = code
    return found


def _evaluated(frozen: Frozen, index: int) -> bool:
    return index in frozen.gates or index in frozen.arguments
