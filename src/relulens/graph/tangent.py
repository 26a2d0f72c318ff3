"""Push directions forward, and pull weights back, through a frozen network."""

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

import torch
from torch import Tensor

from relulens.graph.freeze import Frozen
from relulens.graph.network import last_uses
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

# Directions and weights are [N * copies, *shape], the copies of one point side by side,
# so that linear maps see a plain batch; gates see [N, copies, *shape].


def _gated(frozen: Frozen, index: int, node: TwoSlope, value: Tensor) -> Tensor:
    gate = frozen.gates[index].unsqueeze(1)
    view = value.reshape(frozen.batch, -1, *node.shape)
    if node.negative.numel() == 1 and float(node.negative) == 0.0:
        gated = view * gate
        if not (node.positive.numel() == 1 and float(node.positive) == 1.0):
            gated = gated * node.positive
    else:
        slope = torch.where(gate, node.positive, node.negative)
        gated = view * slope
    return gated.reshape(value.shape)


def _picked(frozen: Frozen, index: int, node: Maximum, value: Tensor) -> Tensor:
    flat = value.reshape(frozen.batch, value.shape[0] // max(frozen.batch, 1), -1)
    winner = frozen.gates[index].reshape(frozen.batch, 1, -1)
    taken = flat.gather(2, winner.expand(-1, flat.shape[1], -1))
    return taken.reshape(value.shape[0], *node.shape)


def _placed(frozen: Frozen, index: int, node: Maximum, weights: Tensor) -> Tensor:
    flat = weights.reshape(frozen.batch, weights.shape[0] // max(frozen.batch, 1), -1)
    winner = frozen.gates[index].reshape(frozen.batch, 1, -1).expand_as(flat)
    size = torch.Size(node.groups.in_shape).numel()
    result = flat.new_zeros((frozen.batch, flat.shape[1], size))
    result.scatter_add_(2, winner, flat)
    return result.reshape(weights.shape[0], *node.groups.in_shape)


def _spread(frozen: Frozen, value: Tensor) -> Tensor:
    """Return [N * copies, *shape] as [N, copies, *shape]."""
    return value.reshape(frozen.batch, -1, *value.shape[1:])


def _points(frozen: Frozen, index: int) -> tuple[Tensor, ...]:
    return tuple(argument.unsqueeze(1) for argument in frozen.arguments[index])


def _node_tangent(
    frozen: Frozen, index: int, node: Node, values: Mapping[int, Tensor]
) -> Tensor:
    match node:
        case Input():
            raise ValueError("the input has no tangent of its own")
        case Affine(terms=terms):
            parts = [t.map.apply(values[t.source]) for t in terms if t.source in values]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            return total
        case TwoSlope():
            return _gated(frozen, index, node, values[node.source])
        case Maximum():
            return _picked(frozen, index, node, values[node.source])
        case Smooth():
            slope = frozen.gates[index].unsqueeze(1)
            direction = values[node.source]
            return (_spread(frozen, direction) * slope).reshape(direction.shape)
        case Coupled():
            points = _points(frozen, index)
            count = next(values[i] for i in node.sources if i in values).shape[0]
            directions = [
                _spread(frozen, values[i])
                if i in values
                else torch.zeros_like(point).expand(
                    -1, count // frozen.batch, *point.shape[2:]
                )
                for i, point in zip(node.sources, points, strict=True)
            ]
            result = node.function.tangent(points, directions)
            return result.reshape(count, *node.shape)
        case _:
            assert_never(node)


def _between(frozen: Frozen, start: int, end: int) -> list[int]:
    """Return the nodes after ``start`` on its paths to ``end``, in order."""
    nodes = frozen.network.nodes
    reached = {start}
    for index in sorted(frozen.network.ancestors(end)):
        if index > start and any(i in reached for i in sources(nodes[index])):
            reached.add(index)
    return sorted(reached - {start}) if end in reached else []


def tangent_walk(
    frozen: Frozen,
    directions: Tensor,
    *,
    start: int = 0,
    end: int | None = None,
    keep: Iterable[int] | None = None,
) -> dict[int, Tensor]:
    """Push directions at one node forward to others, by the chain rule.

    Args:
        frozen: The network, frozen up to ``end`` at least.
        directions: [N * copies, *shape of start], the copies of one point side by side.
        start: Index of the node where the directions are given.
        end: Index of the node to stop at; the frozen network's end by default.
        keep: Nodes whose directions are returned; ``end`` alone by default.

    Returns:
        The directions [N * copies, *shape] at every kept node that ``start`` reaches.
    """
    stop = frozen.end if end is None else end
    wanted = {stop} if keep is None else set(keep)
    values = {start: directions}
    path = _between(frozen, start, stop)
    free = last_uses(frozen.network.nodes, frozenset(path))
    result = {start: directions} if start in wanted else {}
    with torch.no_grad():
        for index in path:
            node = frozen.network.nodes[index]
            values[index] = _node_tangent(frozen, index, node, values)
            if index in wanted:
                result[index] = values[index]
            for spent in free.get(index, ()):
                values.pop(spent, None)
    return result


def tangent(
    frozen: Frozen, directions: Tensor, *, start: int = 0, end: int | None = None
) -> Tensor:
    """Return the Jacobian between two nodes times directions.

    Args:
        frozen: The network, frozen up to ``end`` at least.
        directions: [N * copies, *shape of start].
        start: Index of the node where the directions are given.
        end: Index of the node to stop at; the frozen network's end by default.

    Returns:
        [N * copies, *shape of end]; zeros if ``end`` does not depend on ``start``.
    """
    stop = frozen.end if end is None else end
    result = tangent_walk(frozen, directions, start=start, end=stop)
    if stop in result:
        return result[stop]
    return directions.new_zeros((
        directions.shape[0],
        *frozen.network.nodes[stop].shape,
    ))


def _node_adjoint(
    frozen: Frozen, index: int, node: Node, weights: Tensor
) -> list[tuple[int, Tensor]]:
    match node:
        case Input():
            return []
        case Affine(terms=terms):
            return [(term.source, term.map.adjoint(weights)) for term in terms]
        case TwoSlope():
            return [(node.source, _gated(frozen, index, node, weights))]
        case Maximum():
            return [(node.source, _placed(frozen, index, node, weights))]
        case Smooth():
            slope = frozen.gates[index].unsqueeze(1)
            pulled = (_spread(frozen, weights) * slope).reshape(weights.shape)
            return [(node.source, pulled)]
        case Coupled():
            points = _points(frozen, index)
            pulled = node.function.adjoint(points, _spread(frozen, weights))
            count = weights.shape[0]
            return [
                (i, part.reshape(count, *part.shape[2:]))
                for i, part in zip(node.sources, pulled, strict=True)
            ]
        case _:
            assert_never(node)


def adjoint_walk(
    frozen: Frozen,
    weights: Mapping[int, Tensor],
    *,
    start: int = 0,
    visit: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Pull weights at some nodes back to an earlier one, by the chain rule.

    Args:
        frozen: The network, frozen up to the nodes with weights.
        weights: [N * copies, *shape] at every node where weights are given.
        start: Index of the node to pull back to.
        visit: Called with every node's index and its whole weights, latest node first.

    Returns:
        [N * copies, *shape of start].
    """
    nodes = frozen.network.nodes
    sums = dict(weights)
    count = next(iter(weights.values())).shape[0]
    live = set[int]().union(*(_between(frozen, start, i) for i in weights), {start})
    with torch.no_grad():
        for index in sorted(live, reverse=True):
            if index not in sums:
                continue
            if visit is not None:
                visit(index, sums[index])
            if index == start:
                break
            for source, part in _node_adjoint(frozen, index, nodes[index], sums[index]):
                if source in live:
                    sums[source] = sums[source] + part if source in sums else part
            del sums[index]
    if start in sums:
        return sums[start]
    like = next(iter(weights.values()))
    return like.new_zeros((count, *nodes[start].shape))


def adjoint(
    frozen: Frozen, weights: Tensor, *, start: int = 0, end: int | None = None
) -> Tensor:
    """Return the transposed Jacobian between two nodes times weights.

    Args:
        frozen: The network, frozen up to ``end`` at least.
        weights: [N * copies, *shape of end].
        start: Index of the node to pull back to; the input by default.
        end: Index of the node where the weights are given.

    Returns:
        [N * copies, *shape of start].
    """
    stop = frozen.end if end is None else end
    return adjoint_walk(frozen, {stop: weights}, start=start)
