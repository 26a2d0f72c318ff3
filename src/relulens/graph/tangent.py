"""Push directions forward, and pull weights back, through a frozen network."""

from collections.abc import Callable, Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.freeze import Frozen, frozen_part
from relulens.graph.frozen_steps import node_adjoint, node_tangent
from relulens.graph.network import last_uses
from relulens.graph.nodes import sources
from relulens.graph.pieces import Piece, by_pieces, rows_at_once, taken
from relulens.graph.sharing import Sums

# Directions and weights are [N * copies, *shape], the copies of one point side by side.


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
    directions: Float[Tensor, "rows ..."],
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
    path = _between(frozen, start, stop)
    free = last_uses(frozen.network.nodes, frozenset(path))

    def walk(piece: Piece) -> dict[int, Tensor]:
        part = frozen_part(frozen, piece.points)
        values = {start: taken(directions, frozen.batch, piece)}
        result = {start: values[start]} if start in wanted else {}
        for index in path:
            node = frozen.network.nodes[index]
            values[index] = node_tangent(part, index, node, values)
            if index in wanted:
                result[index] = values[index]
            for spent in free.get(index, ()):
                values.pop(spent, None)
        return result

    rows = rows_at_once(frozen.network, frozenset({start, *path}), directions)
    copies = directions.shape[0] // max(frozen.batch, 1)
    with torch.no_grad():
        return by_pieces(frozen.batch, copies, rows, walk)


def tangent(
    frozen: Frozen,
    directions: Float[Tensor, "rows ..."],
    *,
    start: int = 0,
    end: int | None = None,
) -> Float[Tensor, "rows ..."]:
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


def adjoint_walk(
    frozen: Frozen,
    weights: Mapping[int, Tensor],
    *,
    start: int = 0,
    visit: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, "rows ..."]:
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
    live = set[int]().union(*(_between(frozen, start, i) for i in weights), {start})
    order = sorted(live, reverse=True)
    like = next(iter(weights.values()))

    def walk(piece: Piece) -> dict[int, Tensor]:
        part = frozen_part(frozen, piece.points)
        given = {i: taken(w, frozen.batch, piece) for i, w in weights.items()}
        sums = Sums(given)
        for index in order:
            if index not in sums:
                continue
            if visit is not None:
                visit(index, sums[index])
            if index == start:
                break
            whole, spare = sums.pop(index)
            parts = node_adjoint(part, index, nodes[index], whole, spare=spare)
            sums.add([(i, w) for i, w in parts if i in live], whole, spare=spare)
        return {start: sums[start]} if start in sums else {}

    rows = rows_at_once(frozen.network, frozenset({*live, *weights}), like)
    copies = like.shape[0] // max(frozen.batch, 1)
    if visit is not None:
        rows = max(like.shape[0], 1)
    with torch.no_grad():
        found = by_pieces(frozen.batch, copies, rows, walk)
    if start in found:
        return found[start]
    return like.new_zeros((like.shape[0], *nodes[start].shape))


def adjoint(
    frozen: Frozen,
    weights: Float[Tensor, "rows ..."],
    *,
    start: int = 0,
    end: int | None = None,
) -> Float[Tensor, "rows ..."]:
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
