"""One node of a frozen network: directions pushed through it, weights pulled back.

Directions and weights are [N * copies, *shape], the copies of one point side by side,
so that linear maps see a plain batch; gates see [N, copies, *shape].
"""

from collections.abc import Mapping
from typing import assert_never

import torch
from torch import Tensor

from relulens.graph.freeze import Frozen
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
)


def _spread(frozen: Frozen, value: Tensor) -> Tensor:
    """Return [N * copies, *shape] as [N, copies, *shape]."""
    copies = value.shape[0] // max(frozen.batch, 1)
    return value.reshape(frozen.batch, copies, *value.shape[1:])


def _gated(
    frozen: Frozen, index: int, node: TwoSlope, value: Tensor, *, spare: bool
) -> Tensor:
    """Return the slopes times ``value``, in its own memory if that is to spare."""
    gate = frozen.gates[index].unsqueeze(1)
    view = _spread(frozen, value)
    low, high = node.negative, node.positive
    if low.numel() == 1 and float(low) == 0.0:
        gated = view.mul_(gate) if spare else view * gate
        if not (high.numel() == 1 and float(high) == 1.0):
            gated = gated.mul_(high)
    else:
        gated = view * torch.where(gate, high, low)
    return gated.reshape(value.shape)


def _flat(frozen: Frozen, value: Tensor) -> Tensor:
    """Return [N * copies, *shape] as [N, copies, size], even for scalars and N = 0."""
    spread = _spread(frozen, value)
    return spread.reshape(*spread.shape[:2], spread.shape[2:].numel())


def _picked(frozen: Frozen, index: int, node: Maximum, value: Tensor) -> Tensor:
    flat = _flat(frozen, value)
    size = torch.Size(node.shape).numel()
    winner = frozen.gates[index].reshape(frozen.batch, 1, size)
    taken = flat.gather(2, winner.expand(-1, flat.shape[1], -1))
    return taken.reshape(value.shape[0], *node.shape)


def _placed(frozen: Frozen, index: int, node: Maximum, weights: Tensor) -> Tensor:
    flat = _flat(frozen, weights)
    winner = frozen.gates[index].reshape(frozen.batch, 1, flat.shape[2]).expand_as(flat)
    size = torch.Size(node.groups.in_shape).numel()
    result = flat.new_zeros((frozen.batch, flat.shape[1], size))
    result.scatter_add_(2, winner, flat)
    return result.reshape(weights.shape[0], *node.groups.in_shape)


def _sloped(frozen: Frozen, index: int, value: Tensor) -> Tensor:
    slope = frozen.gates[index].unsqueeze(1)
    return (_spread(frozen, value) * slope).reshape(value.shape)


def _points(frozen: Frozen, index: int) -> tuple[Tensor, ...]:
    return tuple(argument.unsqueeze(1) for argument in frozen.arguments[index])


def _coupled_tangent(
    frozen: Frozen, index: int, node: Coupled, values: Mapping[int, Tensor]
) -> Tensor:
    points = _points(frozen, index)
    count = next(values[i] for i in node.sources if i in values).shape[0]
    copies = count // max(frozen.batch, 1)
    directions = [
        _spread(frozen, values[i])
        if i in values
        else torch.zeros_like(point).expand(-1, copies, *point.shape[2:])
        for i, point in zip(node.sources, points, strict=True)
    ]
    result = node.function.tangent(points, directions)
    return result.reshape(count, *node.shape)


def node_tangent(
    frozen: Frozen, index: int, node: Node, values: Mapping[int, Tensor]
) -> Tensor:
    """Return the directions at one node from those at the nodes that it reads.

    Args:
        frozen: The frozen network.
        index: Index of the node.
        node: The node; the input has no directions of its own.
        values: Directions [N * copies, *shape]; sources that are missing have none.

    Raises:
        ValueError: The node is the input.
    """
    match node:
        case Input():
            raise ValueError("the input has no tangent of its own")
        case Affine(terms=terms):
            live = [term for term in terms if term.source in values]
            total = live[0].map.apply(values[live[0].source])
            for term in live[1:]:
                total = total + term.map.apply(values[term.source])
            return total
        case TwoSlope():
            return _gated(frozen, index, node, values[node.source], spare=False)
        case Maximum():
            return _picked(frozen, index, node, values[node.source])
        case Smooth():
            return _sloped(frozen, index, values[node.source])
        case Coupled():
            return _coupled_tangent(frozen, index, node, values)
        case _:
            assert_never(node)


def _coupled_adjoint(
    frozen: Frozen, index: int, node: Coupled, weights: Tensor
) -> list[tuple[int, Tensor]]:
    pulled = node.function.adjoint(_points(frozen, index), _spread(frozen, weights))
    count = weights.shape[0]
    return [
        (i, part.reshape(count, *part.shape[2:]))
        for i, part in zip(node.sources, pulled, strict=True)
    ]


def node_adjoint(
    frozen: Frozen, index: int, node: Node, weights: Tensor, *, spare: bool
) -> list[tuple[int, Tensor]]:
    """Return what one node's weights add to those of the nodes that it reads.

    Args:
        frozen: The frozen network.
        index: Index of the node.
        node: The node.
        weights: Weights [N * copies, *shape of the node].
        spare: Whether the weights' memory may be written over.
    """
    match node:
        case Input():
            return []
        case Affine(terms=terms):
            return [(term.source, term.map.adjoint(weights)) for term in terms]
        case TwoSlope():
            gated = _gated(frozen, index, node, weights, spare=spare)
            return [(node.source, gated)]
        case Maximum():
            return [(node.source, _placed(frozen, index, node, weights))]
        case Smooth():
            return [(node.source, _sloped(frozen, index, weights))]
        case Coupled():
            return _coupled_adjoint(frozen, index, node, weights)
        case _:
            assert_never(node)
