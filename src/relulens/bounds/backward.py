"""Rows of a node's value carried back to the input through lines: CROWN's walk.

A lower bound of ``rows v(target)`` is carried backwards: affine nodes by their
adjoints, nonlinear ones by their line below where the weight is positive and by their
line above where it is negative :cite:p:`zhang2018crown`. What rounding may add up is
carried along, and taken off.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.bounds.images import AbsoluteAffine, largest
from relulens.bounds.lines import Between, Lines, MaximumLines
from relulens.bounds.rounding import gamma
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.linear_map import Shape
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

Relaxed: TypeAlias = Lines | MaximumLines | Between


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ball:
    """All inputs within a radius in the 1- or 2-norm.

    Attributes:
        centre: [N, *input_shape].
        radius: [N].
        dual: Order of the dual norm: infinity for the 1-norm, 2 for the 2-norm.
    """

    centre: Tensor
    radius: Tensor
    dual: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Relaxation:
    """A network on N boxes, with lines for every nonlinear node met so far.

    Attributes:
        network: The network, float64.
        box: Bounds [N, *input_shape] of the input.
        known: Absolute maps of the affine nodes.
        lines: Lines of the nonlinear nodes.
        sizes: Bounds [N, *shape] on the sum of absolute terms of every affine node,
            and on the absolute value of every other one.
        ball: A ball that inputs lie in as well, or nothing.
    """

    network: Network
    box: Bounds
    known: Mapping[int, AbsoluteAffine]
    lines: Mapping[int, Relaxed]
    sizes: Mapping[int, Tensor]
    ball: Ball | None = None


class _Walk:
    """The sums of one walk: weights [1 or N, rows, *shape], constants, rounding."""

    def __init__(self, target: int, rows: Tensor) -> None:
        self.weights: dict[int, Tensor] = {target: rows}
        self.constant = rows.new_zeros(rows.shape[:2])
        self.error = rows.new_zeros(rows.shape[:2])
        self.doubled = False

    def double(self) -> None:
        """Add the rows with the other sign: their lower bounds are upper ones."""
        for index, value in self.weights.items():
            self.weights[index] = torch.cat([value, -value], 1)
        self.constant = torch.cat([self.constant, -self.constant], 1)
        self.error = torch.cat([self.error, self.error], 1)
        self.doubled = True

    def add(self, index: int, part: Tensor) -> None:
        """Add weights to a node's."""
        before = self.weights.get(index)
        self.weights[index] = part if before is None else before + part


def _dot(weights: Tensor, vector: Tensor) -> Tensor:
    """Return the product [N, rows] of weights [1 or N, rows, *] with [1 or N, *].

    The vector may have an axis of rows as well, one for each row of weights.
    """
    if vector.ndim == weights.ndim:
        return (weights.flatten(2) * vector.flatten(2)).sum(-1)
    flat, other = weights.flatten(2), vector.flatten(1)
    if flat.shape[0] == 1:
        return (flat[0] @ other.T).T
    return (flat @ other.unsqueeze(-1)).squeeze(-1)


def lowest_and_highest(
    relaxation: Relaxation, target: int, rows: Float[Tensor, "copies rows ..."]
) -> tuple[Float[Tensor, "batch rows"], Float[Tensor, "batch rows"]]:
    """Return rigorous bounds of rows of a node's value on every box.

    Args:
        relaxation: The network, with lines for all nonlinear ancestors of the target.
        target: Index of the node.
        rows: Weights [1 or N, rows, *shape of the target].
    """
    network = relaxation.network
    walk = _Walk(target, rows)
    for index in sorted(network.ancestors(target), reverse=True):
        if index not in walk.weights:
            continue
        node = network.nodes[index]
        if not walk.doubled and not isinstance(node, Affine):
            walk.double()
        weights = walk.weights.pop(index)
        _step(relaxation, walk, index, node, weights)
    if not walk.doubled:
        walk.double()
    steps = gamma(2 * len(network.nodes))
    total = walk.constant - walk.error * (1 + 1e-6)
    total = total - steps * (walk.constant.abs() + walk.error)
    total = total.expand(relaxation.box[0].shape[0], -1)
    half = rows.shape[1]
    return total[:, :half], -total[:, half:]


def _step(
    relaxation: Relaxation, walk: _Walk, index: int, node: Node, weights: Tensor
) -> None:
    """Carry a node's weights to the nodes that it reads."""
    match node:
        case Input():
            _end(relaxation, walk, weights)
        case Affine():
            _affine(relaxation, walk, index, node, weights)
        case TwoSlope() | Maximum() | Smooth() | Coupled():
            _nonlinear(relaxation, walk, node, relaxation.lines[index], weights)
        case _:
            assert_never(node)


def _nonlinear(
    relaxation: Relaxation,
    walk: _Walk,
    node: TwoSlope | Maximum | Smooth | Coupled,
    lines: Relaxed,
    weights: Tensor,
) -> None:
    match lines:
        case Lines():
            (source,) = sources(node)
            _two_slope(walk, source, lines, relaxation.sizes[source], weights)
        case MaximumLines():
            (source,) = sources(node)
            shape = relaxation.network.nodes[source].shape
            _maximum(relaxation, walk, source, shape, lines, weights)
        case Between(low=low, high=high):
            room = gamma(weights[0, 0].numel()) * largest((low, high))
            over, under = weights.clamp(min=0.0), weights.clamp(max=0.0)
            walk.constant = walk.constant + _dot(over, low - room)
            walk.constant = walk.constant + _dot(under, high + room)
        case _:
            assert_never(lines)


def _end(relaxation: Relaxation, walk: _Walk, weights: Tensor) -> None:
    low, high = relaxation.box
    middle, half = (low + high) / 2, (high - low) / 2
    share = 3 * gamma(weights[0, 0].numel())
    half = half + share * largest(relaxation.box)
    least = _dot(weights, middle)
    if relaxation.ball is None:
        # The input comes last, so that nothing reads its weights any more.
        taped = weights.requires_grad
        least = least - _dot(weights.abs() if taped else weights.abs_(), half)
    else:
        least = least - _dot(weights.abs(), half)
        ball = relaxation.ball
        reached = ball.radius.reshape(-1, *[1] * (low.ndim - 1))
        size = share * (ball.centre.abs() + reached)
        norm = torch.linalg.vector_norm(weights.flatten(2), ball.dual, dim=2)
        reach = norm * ball.radius.unsqueeze(1)
        inside = _dot(weights, ball.centre) - reach - _dot(weights.abs(), size)
        least = torch.maximum(least, inside)
    walk.constant = walk.constant + least


def _affine(
    relaxation: Relaxation, walk: _Walk, index: int, node: Affine, weights: Tensor
) -> None:
    # The adjoint's rounding, times what it multiplies, is relative to the node's size.
    share = relaxation.known[index].share
    if node.bias is not None:
        share += gamma(weights[0, 0].numel())
        bias = node.bias.expand(node.shape).unsqueeze(0)
        walk.constant = walk.constant + _dot(weights, bias)
    walk.error = walk.error + _dot(weights.abs(), share * relaxation.sizes[index])
    copies, rows = weights.shape[:2]
    flat = weights.flatten(0, 1)
    for term in node.terms:
        part = term.map.adjoint(flat)
        walk.add(term.source, part.reshape(copies, rows, *part.shape[1:]))


def _two_slope(
    walk: _Walk, source: int, lines: Lines, size: Tensor, weights: Tensor
) -> None:
    over, under = weights.clamp(min=0.0), weights.clamp(max=0.0)
    steep = torch.maximum(lines.below_slope.abs(), lines.above_slope.abs())
    count = weights[0, 0].numel()
    own = steep.ndim == weights.ndim
    room = gamma(8) * steep * (size.unsqueeze(1) if own else size)
    below = lines.below - room - gamma(count) * (lines.below.abs() + room)
    above = lines.above + room + gamma(count) * (lines.above.abs() + room)
    walk.constant = walk.constant + _dot(over, below) + _dot(under, above)
    low, high = lines.below_slope, lines.above_slope
    if not own:
        low, high = low.unsqueeze(1), high.unsqueeze(1)
    taped = weights.requires_grad or low.requires_grad or high.requires_grad
    if weights.shape[0] == low.shape[0] and not taped:
        walk.add(source, over.mul_(low).add_(under.mul_(high)))
    else:
        walk.add(source, over * low + under * high)


def _maximum(
    relaxation: Relaxation,
    walk: _Walk,
    source: int,
    shape: Shape,
    lines: MaximumLines,
    weights: Tensor,
) -> None:
    batch = lines.winner.shape[0]
    flat = weights.flatten(2).expand(batch, -1, -1)
    rows, count = flat.shape[1:]
    over, under = flat.clamp(min=0.0), flat.clamp(max=0.0)
    winner = lines.winner.reshape(batch, 1, count)
    constant = lines.constant.reshape(batch, count)
    constant = constant + gamma(count) * constant.abs()
    walk.constant = walk.constant + _dot(under, constant)
    size = relaxation.sizes[source].reshape(batch, math.prod(shape))
    result = flat.new_zeros((batch, rows, size.shape[1]))
    spread = torch.zeros_like(result)
    for place, part in _placed(lines, winner, over, under):
        result.scatter_add_(2, place, part)
        spread.scatter_add_(2, place, part.abs())
    # No entry is added to more often than there are entries in all groups.
    room = gamma(lines.table.numel() + count)
    walk.error = walk.error + room * _dot(spread, size)
    walk.add(source, result.reshape(batch, rows, *shape))


def _placed(
    lines: MaximumLines, winner: Tensor, over: Tensor, under: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return flat positions of the argument, and the weights that go there."""
    yield winner.expand_as(over), over
    for column in range(lines.table.shape[1]):
        place = lines.table[:, column].expand_as(over)
        yield place, under * lines.slopes[:, None, :, column]
