"""Slopes along directions, bounded by linear relaxation of their backward pass.

The derivative along a direction is linear in every derivative that the backward pass
meets. A product of a unit's slope in ``[s, t]`` and of a derivative in ``[l, u]`` lies
between two chords over ``[l, u]``; taken from the input to the output they leave one
linear form in the weights of the output. The relaxation is that of Shi and others
:cite:p:`shi2022efficiently`, for any two slopes and for maxima.
"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.coupled_bounds import Bounds
from relulens.graph.nodes import Affine, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.robustness.lipschitz.gates import Gates
from relulens.robustness.lipschitz.slopes import SlopeBounds


def directional_bounds(
    region: Polyhedral,
    gates: Gates,
    slopes: SlopeBounds,
    rows: Float[Tensor, "copies rows out"],
    directions: Float[Tensor, "copies k in"],
) -> Float[Tensor, "batch rows k"]:
    """Return upper bounds of rows of the slope times directions.

    Args:
        region: The network.
        gates: What nonlinear nodes can do on the N boxes.
        slopes: Interval bounds of the same rows.
        rows: Weights of the flattened output, one set for all boxes or one each.
        directions: Directions in the flattened input, likewise.
    """
    nodes, end = region.network.nodes, region.end
    count, several, _ = slopes.low.shape
    shape = (count, several, directions.shape[1])
    lead = (directions.shape[0], 1, directions.shape[1])
    forms = {0: directions.reshape(*lead, *region.network.input_shape)}
    constant = directions.new_zeros(shape)
    for index in sorted(region.nodes):
        node = nodes[index]
        if isinstance(node, Affine):
            parts = [
                _mapped(term.map.apply, forms[term.source])
                for term in node.terms
                if term.source in forms
            ]
            if parts:
                forms[index] = sum(parts[1:], parts[0])
        elif isinstance(node, TwoSlope | Maximum) and node.source in forms:
            form = forms[node.source]
            forms[index], added = _relaxed(index, node, gates, slopes.weights, form)
            constant = constant + added
    if end not in forms:
        return constant
    last = forms[end].flatten(3)
    value = (last * rows.unsqueeze(2)).sum(3) + constant
    depth = len(region.nonlinear())
    room = 4 * (depth + 1) * slopes.share * (slopes.size @ directions.abs().mT)
    return value + room


def _mapped(apply: Callable[[Tensor], Tensor], form: Tensor) -> Tensor:
    lead = form.shape[:3]
    return apply(form.flatten(0, 2)).unflatten(0, lead)


def _relaxed(
    index: int,
    node: TwoSlope | Maximum,
    gates: Gates,
    weights: Mapping[int, Bounds],
    form: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the form behind a nonlinear node, and what the chords add."""
    if index not in weights:
        # Nothing that the output reads: its derivative is zero.
        return form.new_zeros((*form.shape[:3], *node.shape)), form.new_zeros(())
    low, high = weights[index]
    if isinstance(node, TwoSlope):
        least, most = gates.low[index].unsqueeze(1), gates.high[index].unsqueeze(1)
        passed, added = _chords(form, low, high, least, most)
        return passed, added.flatten(3).sum(3)
    table = node.groups.ragged.padded()[0].to(form.device)
    entries = form.flatten(3)[..., table]  # shape [N, rows, k, groups, longest]
    some = gates.candidates[index].unsqueeze(1)
    sole = some & (some.sum(3, keepdim=True) == 1)
    low, high = (bound.flatten(2).unsqueeze(3) for bound in (low, high))
    passed, added = _chords(entries, low, high, sole.to(low), some.to(low))
    shape = (*passed.shape[:3], *node.shape)
    return passed.sum(4).reshape(shape), added.flatten(3).sum(3)


def _chords(
    form: Tensor, low: Tensor, high: Tensor, least: Tensor, most: Tensor
) -> tuple[Tensor, Tensor]:
    """Bound ``form * s * g`` from above for g in [low, high], s in [least, most].

    Returns:
        The factor of g, and the constant.
    """
    width = (high - low).clamp(min=torch.finfo(low.dtype).tiny)
    cross = (low < 0) & (high > 0)
    over = torch.where(low >= 0, most, least)
    under = torch.where(low >= 0, least, most)
    share = (high / width).nan_to_num(posinf=1.0)
    gap = torch.where(cross, (most - least) * -low * share, 0.0)
    over = torch.where(cross, most * share + least * (1 - share), over)
    under = torch.where(cross, least * share + most * (1 - share), under)
    over, under, gap = (part.unsqueeze(2) for part in (over, under, gap))
    up, down = form.clamp(min=0.0), form.clamp(max=0.0)
    return up * over + down * under, (up - down) * gap
