"""A proof that a network is affine in a ball, though some units switch inside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from relulens.graph.freeze import Frozen
from relulens.graph.linear_map import LinearMap
from relulens.graph.nodes import Affine, Maximum, TwoSlope
from relulens.local.row_norms import RowNorms

SLACK = 1e-9
"""Relative: a unit within this of its switch counts as switching."""


@dataclass(frozen=True, slots=True, eq=False)
class AbsoluteMaps:
    """The absolute maps of a network's affine nodes, each made once."""

    _known: dict[LinearMap, LinearMap] = field(default_factory=dict)

    def of(self, map_: LinearMap) -> LinearMap:
        """Return the map of absolute values, or one that dominates it."""
        if map_ not in self._known:
            self._known[map_] = map_.absolute().map
        return self._known[map_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Ball:
    one: Frozen
    norms: RowNorms
    sample: int
    radius: float
    maps: AbsoluteMaps
    excess: dict[int, Tensor] = field(default_factory=dict)
    highest: dict[int, Tensor] = field(default_factory=dict)

    def affine(self, node: Affine) -> Tensor:
        total = self.one.x.new_zeros((1, *node.shape))
        for term in node.terms:
            below = self.excess[term.source]
            if bool(below.any()):
                total = total + self.maps.of(term.map).apply(below)
        return total

    def two_slope(self, index: int, node: TwoSlope) -> Tensor:
        z = self.one.values[node.source]
        norm = self.norms.entries[node.source][self.sample].reshape(z.shape)
        below = self.excess[node.source]
        gate = self.one.gates[index]
        moves = self.radius * norm * (1 + SLACK)
        overshoot = moves - z.abs()
        held = z.abs() > moves + below
        if node.source in self.highest:
            held |= ~gate & (self.highest[node.source] < 0)
        positive, negative = node.positive, node.negative
        slope = torch.where(gate, positive, negative).abs()
        steepest = torch.maximum(positive.abs(), negative.abs())
        flipped = steepest * below + (positive - negative).abs() * overshoot.clamp(
            min=0
        )
        # A constant argument (norm zero, no excess) cannot switch, wherever it stands.
        held |= (norm == 0) & (below == 0)
        return torch.where(held, slope * below, flipped)

    def maximum(self, index: int, node: Maximum) -> Tensor:
        z = self.one.values[node.source].flatten()
        below = self.excess[node.source].flatten()
        table, real = (part.to(z.device) for part in node.groups.ragged.padded())
        winner = self.one.gates[index].flatten()
        reach = self.radius * (1 + SLACK)
        lead = z[winner][:, None] - z[table]
        gain = self.norms.leads[index][self.sample] * reach - lead + below[table]
        other = real & (table != winner[:, None])
        # A tie that is constant on the region gains nothing.
        gain = gain.masked_fill(~other, 0.0).clamp(min=0).amax(1)
        entry = self.norms.entries[node.source][self.sample]
        top = (z + entry * reach + below)[table].masked_fill(~real, -torch.inf).amax(1)
        self.highest[index] = top.reshape(1, *node.shape)
        return torch.maximum(gain, below[winner]).reshape(1, *node.shape)


def excess(
    one: Frozen,
    end: int,
    norms: RowNorms,
    sample: int,
    radius: float,
    maps: AbsoluteMaps,
) -> float:
    """Return a bound on how far the output is from its affine map in an open ball.

    A unit that may switch inside the ball departs from its affine map by no more than
    it can overshoot its switch; that is carried forward with absolute weights, and ends
    at units that stay off all the same.

    Args:
        one: The network, frozen at one sample, with what nonlinear nodes read.
        end: Index of the output's node; all its ancestors are piecewise affine.
        norms: Norms of the rows of all samples.
        sample: Which of them this one is.
        radius: Of the ball around the sample, in the l2 norm.
        maps: Absolute maps, kept from call to call.

    Returns:
        Largest departure of an output; exactly 0 proves that the output is affine.
    """
    ball = _Ball(one=one, norms=norms, sample=sample, radius=radius, maps=maps)
    network = one.network
    for index in sorted(network.ancestors(end)):
        node = network.nodes[index]
        match node:
            case Affine():
                ball.excess[index] = ball.affine(node)
            case TwoSlope():
                ball.excess[index] = ball.two_slope(index, node)
            case Maximum():
                ball.excess[index] = ball.maximum(index, node)
            case _:
                ball.excess[index] = one.x.new_zeros((1, *node.shape))
    return float(ball.excess[end].amax()) if ball.excess[end].numel() else 0.0


def relus_over_maxima(nodes: Mapping[int, object]) -> dict[int, int]:
    """Return the TwoSlope nodes of slope zero below that read a maximum, and which."""
    return {
        index: node.source
        for index, node in nodes.items()
        if isinstance(node, TwoSlope)
        and isinstance(nodes.get(node.source), Maximum)
        and not bool((node.negative != 0).any())
    }
