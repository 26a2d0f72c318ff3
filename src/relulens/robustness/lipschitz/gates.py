"""What nonlinear nodes can do on boxes: slopes, and entries that can win a maximum."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.bounds.layer_bounds import LayerBounds
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Gates:
    """The slopes that nonlinear nodes can have inside N boxes.

    Attributes:
        low: Least slope [N, *shape] of every two-slope unit.
        high: Largest slope.
        on: Whether a unit's argument is nowhere negative, so that it is on or without
            a slope of its own wherever the box is open.
        open: Whether a unit can have either sign.
        candidates: Which entries can win, [N, groups, longest], by node of a maximum.
    """

    low: Mapping[int, Tensor]
    high: Mapping[int, Tensor]
    on: Mapping[int, Tensor]
    open: Mapping[int, Tensor]
    candidates: Mapping[int, Tensor]

    def choices(self) -> Tensor:
        """Return the logarithm [N] of the number of patterns that are left, base 2."""
        parts = [
            part.flatten(1).sum(1).to(torch.float64) for part in self.open.values()
        ]
        parts += [
            part.sum(2).clamp(min=1).to(torch.float64).log2().sum(1)
            for part in self.candidates.values()
        ]
        return torch.stack(parts).sum(0)


def gates(bounds: LayerBounds, region: Polyhedral) -> Gates:
    """Return what nonlinear nodes can do where bounds of their arguments hold.

    An argument that touches zero from one side only keeps that side: where it is zero
    on a region of full dimension, it has no derivative to pass on.
    """
    low: dict[int, Tensor] = {}
    high: dict[int, Tensor] = {}
    on: dict[int, Tensor] = {}
    open_: dict[int, Tensor] = {}
    candidates: dict[int, Tensor] = {}
    for index, node in region.nonlinear():
        least, most = bounds.argument(index)
        if isinstance(node, TwoSlope):
            positive = least >= 0
            free = ~positive & (most > 0) & (node.positive != node.negative)
            slope = torch.where(positive, node.positive, node.negative)
            other = torch.where(free, node.positive, slope)
            low[index] = torch.minimum(slope, other)
            high[index] = torch.maximum(slope, other)
            on[index], open_[index] = positive, free
        else:
            candidates[index] = _can_win(node, least, most)
    return Gates(low=low, high=high, on=on, open=open_, candidates=candidates)


def _can_win(node: Maximum, least: Tensor, most: Tensor) -> Tensor:
    table, real = (part.to(least.device) for part in node.groups.ragged.padded())
    low = least.flatten(1)[:, table].masked_fill(~real, -torch.inf)
    return real & (most.flatten(1)[:, table] >= low.amax(2, keepdim=True))
