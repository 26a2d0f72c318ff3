"""Lines below and above a nonlinear node's value, sound between the bounds it reads."""

from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.bounds.rounding import UNIT
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.freeze import two_slope_value
from relulens.graph.nodes import Maximum, TwoSlope


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lines:
    """``below_slope z + below <= phi(z) <= above_slope z + above``, entry by entry.

    With an axis of rows after the first one, every row carried back has its own lines.

    Attributes:
        below_slope: [N, *shape].
        below: [N, *shape].
        above_slope: [N, *shape].
        above: [N, *shape].
    """

    below_slope: Tensor
    below: Tensor
    above_slope: Tensor
    above: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MaximumLines:
    """``z[winner] <= y <= constant + sum of slopes z[table]``, group by group.

    Attributes:
        winner: Flat position [N, groups] of the entry below.
        table: Flat positions [groups, longest] of the entries of every group.
        slopes: [N, groups, longest], zero outside a group.
        constant: [N, groups].
    """

    winner: Tensor
    table: Tensor
    slopes: Tensor
    constant: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Between:
    """Bounds of a value that no line is known for.

    Attributes:
        low: [N, *shape].
        high: [N, *shape].
    """

    low: Tensor
    high: Tensor


def chord(node: TwoSlope, bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Return the slope between the ends, and where the kink lies strictly inside."""
    low, high = bounds
    crossing = (low < 0) & (high > 0)
    width = torch.where(crossing, high - low, torch.ones_like(low))
    slope = (two_slope_value(node, high) - two_slope_value(node, low)) / width
    slope = torch.minimum(slope, torch.maximum(node.positive, node.negative))
    return torch.maximum(slope, torch.minimum(node.positive, node.negative)), crossing


def two_slope_lines(
    node: TwoSlope, bounds: Bounds, inner: Tensor | None = None
) -> Lines:
    """Return lines on both sides of a two-slope node.

    On one side of zero both are the node's own. Across it, a convex kink has its chord
    above and a line through the kink below; a concave one the other way round.

    Args:
        node: The node.
        bounds: Bounds [N, *shape] of its argument.
        inner: Slope of the line through the kink, of any value; by default the one of
            the wider side, which leaves the smaller triangle.
    """
    low, high = bounds
    outer, crossing = chord(node, bounds)
    adaptive = torch.where(high >= -low, node.positive, node.negative)
    through = adaptive if inner is None else inner
    own = torch.where(low >= 0, node.positive, node.negative)
    convex = node.positive >= node.negative
    below = torch.where(crossing, torch.where(convex, through, outer), own)
    above = torch.where(crossing, torch.where(convex, outer, through), own)
    below, above, _ = torch.broadcast_tensors(below, above, low)
    return Lines(
        below_slope=below,
        below=_offset(node, bounds, below, crossing, lowest=True),
        above_slope=above,
        above=_offset(node, bounds, above, crossing, lowest=False),
    )


def _offset(
    node: TwoSlope, bounds: Bounds, slope: Tensor, crossing: Tensor, *, lowest: bool
) -> Tensor:
    """Return the extreme of ``phi(z) - slope z`` between the bounds, rounded outwards.

    It is piecewise linear with its only kink at zero, so any slope is sound.
    """
    ends: list[Tensor] = []
    for z in bounds:
        value, line = two_slope_value(node, z), slope * z
        room = 4 * UNIT * (value.abs() + line.abs())
        ends.append(value - line - room if lowest else value - line + room)
    extreme = torch.minimum(*ends) if lowest else torch.maximum(*ends)
    zero = torch.zeros_like(extreme)
    across = torch.minimum(extreme, zero) if lowest else torch.maximum(extreme, zero)
    # One side of zero: the line is the node's own, and the difference exactly zero.
    return torch.where(crossing, across, zero)


def maximum_lines(node: Maximum, bounds: Bounds) -> MaximumLines:
    r"""Return a line below and one above the maximum of every group.

    Below is the entry with the largest lower bound :math:`l`. Above is either the
    largest upper bound or :math:`l + \sum_i s_i (z_i - l_i)` with
    :math:`s_i = (h_i - l)_+ / (h_i - l_i)`, whichever is lower in the middle; both
    are that entry itself if no other one can exceed it.
    """
    table, real = node.groups.ragged.padded()
    table, real = table.to(bounds[0].device), real.to(bounds[0].device)
    low = bounds[0].flatten(1)[:, table].masked_fill(~real, -torch.inf)
    high = bounds[1].flatten(1)[:, table].masked_fill(~real, -torch.inf)
    floor, place = low.max(-1, keepdim=True)
    own = torch.zeros_like(low).scatter(-1, place, 1.0)
    others = high.masked_fill(own > 0, -torch.inf)
    alone = (others <= floor).all(-1)
    over = (high - floor).clamp(min=0.0)
    width = torch.where(real & (high > low), high - low, torch.ones_like(low))
    steep = torch.where(real, (over / width).clamp(max=1.0), torch.zeros_like(low))
    bottom = low.masked_fill(~real, 0.0)
    # Any slopes are sound whose lines s (z - l) lie above (z - floor)_+ at both ends.
    short = (over - steep * (high - low).masked_fill(~real, 0.0)).clamp(min=0.0)
    parts = short - steep * bottom
    room = 8 * UNIT * (over.abs() + (steep * bottom).abs()).sum(-1)
    room = room + (table.shape[1] + 8) * UNIT * (
        floor[..., 0].abs() + parts.abs().sum(-1)
    )
    summed = floor[..., 0] + parts.sum(-1) + room
    top = high.amax(-1)
    middle = (bottom + high.masked_fill(~real, 0.0)) / 2
    better = summed + (steep * middle).sum(-1) < top
    slopes = torch.where(better.unsqueeze(-1), steep, torch.zeros_like(steep))
    constant = torch.where(better, summed, top)
    slopes = torch.where(alone.unsqueeze(-1), own, slopes)
    constant = constant.masked_fill(alone, 0.0)
    winner = table.expand(low.shape).gather(-1, place).squeeze(-1)
    return MaximumLines(winner=winner, table=table, slopes=slopes, constant=constant)
