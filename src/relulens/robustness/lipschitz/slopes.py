"""Bounds of every entry of a slope over boxes: intervals carried back to the input."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.bounds.images import AbsoluteAffine
from relulens.bounds.rounding import UNIT
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.nodes import Affine, Maximum, Node, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.robustness.lipschitz.gates import Gates


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SlopeBounds:
    """Bounds of the rows of slopes over N boxes.

    Attributes:
        low: Least entries [N, rows, in].
        high: Largest entries.
        size: Sums of the absolute terms [N, rows, in] that an entry can add up.
        share: What rounding can do to an entry, relative to ``size``.
        weights: Bounds [N, rows, *shape] of the derivatives of the output by the value
            of every nonlinear node, for a relaxation.
    """

    low: Float[Tensor, "batch rows in"]
    high: Float[Tensor, "batch rows in"]
    size: Float[Tensor, "batch rows in"]
    share: float
    weights: Mapping[int, Bounds]


class _Sums:
    """Centres, radii and sizes of weights on the way back, by node."""

    def __init__(self, end: int, rows: Tensor) -> None:
        self.parts = {end: (rows, torch.zeros_like(rows), rows.abs())}

    def add(self, index: int, part: tuple[Tensor, Tensor, Tensor]) -> None:
        before = self.parts.get(index)
        if before is not None:
            part = (before[0] + part[0], before[1] + part[1], before[2] + part[2])
        self.parts[index] = part


def slope_bounds(
    region: Polyhedral,
    known: Mapping[int, AbsoluteAffine],
    gates: Gates,
    rows: Float[Tensor, "copies rows out"],
    count: int,
) -> SlopeBounds:
    """Return bounds of rows of the slope, by intervals from the output to the input.

    Args:
        region: The network.
        known: Absolute maps of the affine nodes.
        gates: What nonlinear nodes can do on the boxes.
        rows: Weights of the flattened output, one set for all boxes or one each.
        count: Number of boxes.
    """
    nodes, end = region.network.nodes, region.end
    start = rows.reshape(*rows.shape[:2], *nodes[end].shape)
    sums = _Sums(end, start.expand(count, *start.shape[1:]).contiguous())
    weights: dict[int, Bounds] = {}
    share = rounding_share(region, known)
    for index in sorted(region.nodes, reverse=True):
        node = nodes[index]
        if index == 0 or index not in sums.parts:
            continue
        centre, radius, size = sums.parts.pop(index)
        if isinstance(node, Affine):
            _affine(sums, node, known[index], (centre, radius, size))
        elif isinstance(node, TwoSlope | Maximum):
            # What rounding did so far widens the interval before its sign is used.
            radius = radius + share * size
            bounds = centre - radius, centre + radius
            weights[index] = bounds
            _nonlinear(sums, index, node, gates, bounds, size)
    shape = (count, rows.shape[1], region.network.input_size)
    if 0 not in sums.parts:
        zero = rows.new_zeros(shape)
        return SlopeBounds(low=zero, high=zero, size=zero, share=share, weights=weights)
    centre, radius, size = (part.reshape(shape) for part in sums.parts[0])
    radius = radius + share * size
    return SlopeBounds(
        low=centre - radius,
        high=centre + radius,
        size=size,
        share=share,
        weights=weights,
    )


def rounding_share(region: Polyhedral, known: Mapping[int, AbsoluteAffine]) -> float:
    """Return what rounding can add to an entry of a slope, relative to its terms."""
    return sum(known[i].share for i in region.nodes if i in known) + 16 * UNIT * len(
        region.nodes
    )


def _affine(
    sums: _Sums,
    node: Affine,
    known: AbsoluteAffine,
    value: tuple[Tensor, Tensor, Tensor],
) -> None:
    count, rows = value[0].shape[:2]
    centre, radius, size = (part.flatten(0, 1) for part in value)
    for term, spread, parts in zip(node.terms, known.spread, known.parts, strict=True):
        pulled = (
            term.map.adjoint(centre),
            spread.adjoint(radius),
            parts.adjoint(size),
        )
        first, second, third = (part.unflatten(0, (count, rows)) for part in pulled)
        sums.add(term.source, (first, second, third))


def _nonlinear(
    sums: _Sums,
    index: int,
    node: Node,
    gates: Gates,
    bounds: Bounds,
    size: Tensor,
) -> None:
    low, high = bounds
    if isinstance(node, TwoSlope):
        least, most = gates.low[index].unsqueeze(1), gates.high[index].unsqueeze(1)
        ends = torch.stack([low * least, low * most, high * least, high * most])
        first, last = ends.amin(0), ends.amax(0)
        size = size * torch.maximum(least.abs(), most.abs())
        sums.add(node.source, ((first + last) / 2, (last - first) / 2, size))
    elif isinstance(node, Maximum):
        sums.add(node.source, _placed(node, gates.candidates[index], bounds, size))


def _placed(
    node: Maximum, candidates: Tensor, bounds: Bounds, size: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the entries of groups get: all of it, or a share, or nothing."""
    low, high = (bound.flatten(2).unsqueeze(3) for bound in bounds)
    some = candidates.unsqueeze(1)
    sole = some & (some.sum(3, keepdim=True) == 1)
    first = torch.where(sole, low, low.clamp(max=0.0)) * some
    last = torch.where(sole, high, high.clamp(min=0.0)) * some
    whole = size.flatten(2).unsqueeze(3) * some
    centre, radius = (first + last) / 2, (last - first) / 2
    table = node.groups.ragged.padded()[0].to(low.device).flatten()
    shape = (*low.shape[:2], torch.Size(node.groups.in_shape).numel())

    def summed(part: Tensor) -> Tensor:
        flat = low.new_zeros(shape).index_add_(2, table, part.flatten(2))
        return flat.reshape(*shape[:2], *node.groups.in_shape)

    return summed(centre), summed(radius), summed(whole)
