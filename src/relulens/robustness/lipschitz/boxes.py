"""Upper bounds of the slopes' norms over batches of boxes."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relulens.bounds.layer_bounds import LayerBounds, layer_bounds
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.robustness.lipschitz.gates import Gates, gates
from relulens.robustness.lipschitz.operator_norms import (
    operator_norm_bounds,
    operator_norms,
)
from relulens.robustness.lipschitz.problem import Problem
from relulens.robustness.lipschitz.relaxation import directional_bounds
from relulens.robustness.lipschitz.slopes import SlopeBounds, slope_bounds

SIGNED = 6
"""Most free entries, or outputs, for which all signs of a direction are tried."""

ROTATED = 64
"""Most free entries, and outputs, for which slopes are bounded in their own axes."""

RELAXED_ENTRIES = 1 << 25
"""Most entries of the forms that a relaxation carries, per box; 0.25 GiB."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evaluated:
    """Upper bounds over N boxes, with what they came from.

    Attributes:
        interval: Bounds [N] from interval slopes.
        upper: The least bounds [N] found.
        gates: What nonlinear nodes can do there.
        choices: Logarithms [N] of the numbers of patterns, base 2.
        empty: Whether a box holds no point with the signs asked for.
        pulls: How fast an entry of the input moves open units [N, in], or one row.
        rounding: What rounding can do to the norm of a slope [N].
        stakes: By node, how much an open unit can change the bound [N, *shape].
    """

    interval: Float[Tensor, " batch"]
    upper: Float[Tensor, " batch"]
    gates: Gates
    choices: Float[Tensor, " batch"]
    empty: Bool[Tensor, " batch"]
    pulls: Float[Tensor, "batch in"]
    rounding: Float[Tensor, " batch"]
    stakes: Mapping[int, Tensor]


def evaluated(
    problem: Problem,
    low: Float[Tensor, "batch ..."],
    high: Float[Tensor, "batch ..."],
    splits: Mapping[int, Tensor] | None = None,
) -> Evaluated:
    """Return upper bounds over boxes.

    Args:
        problem: What is asked.
        low: Lowest inputs [N, *input_shape].
        high: Highest inputs.
        splits: Signs asked of units, as ``layer_bounds`` takes them.

    Cost:
        One walk forward through bounds, one back with intervals, and one forward with
        as many forms as there are directions, for every output.
    """
    bounds = layer_bounds(
        problem.network, low, high, method="relaxation", splits=splits
    )
    with torch.no_grad():
        can = gates(bounds, problem.region)
        rows = _rows(problem)
        found = slope_bounds(problem.region, problem.known, can, rows, low.shape[0])
        least, most = found.low[..., problem.free], found.high[..., problem.free]
        interval = _norm_bounds(problem, least, most)
        upper = interval
        if _affordable(problem):
            turned = problem.norm == 2 and 1 < problem.width <= ROTATED
            relaxed = (
                _turned(problem, can, found)
                if turned
                else _relaxed(problem, can, found, rows)
            )
            upper = torch.minimum(interval, relaxed)
        stakes = _stakes(can, found, bounds)
        return Evaluated(
            interval=interval,
            upper=upper,
            gates=can,
            choices=can.choices() if can.open or can.candidates else interval * 0,
            empty=bounds.empty,
            pulls=_pulls(problem, can, found, bounds) * problem.free,
            rounding=operator_norms(found.size * found.share, problem.norm),
            stakes=stakes,
        )


def row_norm_bounds(
    problem: Problem, low: Float[Tensor, "batch ..."], high: Float[Tensor, "batch ..."]
) -> tuple[Float[Tensor, "batch rows"], LayerBounds]:
    """Return upper bounds of the dual norms of every row of the slope by itself.

    Args:
        problem: What is asked; its rows may be any weights of the output.
        low: Lowest inputs [N, *input_shape].
        high: Highest inputs.

    Returns:
        The bounds, and those of the layers that they came from.
    """
    bounds = layer_bounds(problem.network, low, high, method="relaxation")
    with torch.no_grad():
        can = gates(bounds, problem.region)
        rows = problem.rows[None]
        found = slope_bounds(problem.region, problem.known, can, rows, low.shape[0])
        least, most = found.low[..., problem.free], found.high[..., problem.free]
        several = least.shape[1]
        if _affordable(problem):
            along = _along(problem, can, found, rows, _directions(problem))
            if problem.norm == "inf" and problem.width <= SIGNED:
                return along.amax(2).clamp(min=0.0), bounds
            most, least = _between(least, most, along)
        low_rows, high_rows = (p.flatten(0, 1).unsqueeze(1) for p in (least, most))
        norms = operator_norm_bounds(low_rows, high_rows, problem.norm)
        return norms.reshape(low.shape[0], several), bounds


def _stakes(can: Gates, found: SlopeBounds, bounds: LayerBounds) -> dict[int, Tensor]:
    return {
        index: _stake(index, can, found) * _reach(*bounds.argument(index))
        for index in can.open
    }


def _stake(index: int, can: Gates, found: SlopeBounds) -> Tensor:
    """Return how much of the output's slope by its argument is open with a unit."""
    turn = can.high[index] - can.low[index]
    if index not in found.weights:
        return torch.zeros_like(turn)
    low, high = found.weights[index]
    return turn * torch.maximum(low.abs(), high.abs()).amax(1)


def _reach(low: Tensor, high: Tensor) -> Tensor:
    return torch.minimum(-low, high).clamp(min=0.0) / _width(low, high)


def _width(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=torch.finfo(low.dtype).tiny)


def _pulls(
    problem: Problem, can: Gates, found: SlopeBounds, bounds: LayerBounds
) -> Float[Tensor, "batch in"]:
    """Return how fast every entry of the input moves open units towards their sides.

    Every unit counts by how much of the slope is open with it, per width of its
    argument; absolute weights carry that back to the input.
    """
    sums: dict[int, Tensor] = {}
    for index in sorted(problem.region.nodes, reverse=True):
        node = problem.network.nodes[index]
        weight = sums.pop(index, None)
        if isinstance(node, TwoSlope):
            steep = torch.maximum(can.low[index].abs(), can.high[index].abs())
            part = _stake(index, can, found) * can.open[index]
            part = part / _width(*bounds.argument(index))
            part = part if weight is None else part + weight * steep
            sums[node.source] = sums.get(node.source, 0) + part
        elif isinstance(node, Affine) and weight is not None:
            for term, spread in zip(
                node.terms, problem.known[index].spread, strict=True
            ):
                pulled = spread.adjoint(weight)
                sums[term.source] = sums.get(term.source, 0) + pulled
        elif isinstance(node, Maximum) and weight is not None:
            sums[node.source] = sums.get(node.source, 0) + _pooled(
                node, can, weight, index
            )
        elif isinstance(node, Input) and weight is not None:
            return weight.flatten(1)
    return problem.low.new_zeros((1, problem.free.numel()))


def _pooled(node: Maximum, can: Gates, weight: Tensor, index: int) -> Tensor:
    table = node.groups.ragged.padded()[0].to(weight.device).flatten()
    spread = (weight.flatten(1).unsqueeze(2) * can.candidates[index]).flatten(1)
    size = torch.Size(node.groups.in_shape).numel()
    flat = weight.new_zeros((weight.shape[0], size)).index_add_(1, table, spread)
    return flat.reshape(weight.shape[0], *node.groups.in_shape)


def _rows(problem: Problem) -> Float[Tensor, "one rows out"]:
    """Return the rows to bound: the outputs, or for the norm 1 all signs of them.

    The norm 1 of a column is the largest of its products with signs.
    """
    count = problem.rows.shape[0]
    if problem.norm != 1 or not 1 < count <= SIGNED:
        return problem.rows[None]
    signs = list(itertools.product((1.0, -1.0), repeat=count - 1))
    chosen = torch.tensor([(1.0, *rest) for rest in signs], dtype=torch.float64)
    return (chosen.to(problem.rows.device) @ problem.rows)[None]


def _norm_bounds(problem: Problem, low: Tensor, high: Tensor) -> Tensor:
    if low.shape[1] != problem.rows.shape[0]:
        return torch.maximum(low.abs(), high.abs()).amax((1, 2))
    return operator_norm_bounds(low, high, problem.norm)


def _affordable(problem: Problem) -> bool:
    largest = max(torch.Size(n.shape).numel() for n in problem.region.nodes.values())
    return 2 * problem.width * largest <= RELAXED_ENTRIES


def _relaxed(
    problem: Problem, can: Gates, found: SlopeBounds, rows: Tensor
) -> Float[Tensor, " batch"]:
    """Return bounds of the norms by linear relaxation along fixed directions."""
    directions = _directions(problem)
    along = _along(problem, can, found, rows, directions)
    if problem.norm == "inf" and problem.width <= SIGNED:
        return along.amax((1, 2)).clamp(min=0.0)
    least, most = found.low[..., problem.free], found.high[..., problem.free]
    high, low = _between(least, most, along)
    return _norm_bounds(problem, low, high)


def _turned(
    problem: Problem, can: Gates, found: SlopeBounds
) -> Float[Tensor, " batch"]:
    """Return bounds of the norm 2 in the axes of the slopes' centres.

    The norm 2 does not change if outputs and input are turned. In the singular vectors
    of the centre its first entry is the norm, and the others are second order.
    """
    centre = ((found.low + found.high) / 2)[..., problem.free]
    left, _, right = torch.linalg.svd(centre, full_matrices=True)
    few = left.shape[1] <= ROTATED
    rows = problem.rows[None]
    if few and left.shape[1] > 1:
        rows = left.mT @ problem.rows
        count = found.low.shape[0]
        found = slope_bounds(problem.region, problem.known, can, rows, count)
    turned = right.new_zeros((*right.shape[:2], problem.free.numel()))
    turned[..., problem.free] = right
    along = _along(problem, can, found, rows, torch.cat([turned, -turned], 1))
    half = along.shape[2] // 2
    high, low = along[..., :half], -along[..., half:]
    # The computed singular vectors are orthogonal up to this.
    slack = 1 + 1e-13 * (sum(centre.shape[1:]) + 16)
    return operator_norm_bounds(low, torch.maximum(low, high), 2) * slack


def _between(
    least: Tensor, most: Tensor, along: Tensor
) -> tuple[Float[Tensor, "batch rows in"], Float[Tensor, "batch rows in"]]:
    half = along.shape[2] // 2
    low = torch.maximum(least, -along[..., half:])
    high = torch.minimum(most, along[..., :half])
    return torch.maximum(low, high), torch.minimum(low, high)


def _along(
    problem: Problem, can: Gates, found: SlopeBounds, rows: Tensor, directions: Tensor
) -> Float[Tensor, "batch rows k"]:
    parts = [
        directional_bounds(problem.region, can, one, rows[:, i : i + 1], directions)
        for i, one in enumerate(_by_rows(found))
    ]
    return torch.cat(parts, 1)


def _by_rows(found: SlopeBounds) -> Iterator[SlopeBounds]:
    """Return interval bounds row by row, so that few forms are held at once."""
    for i in range(found.low.shape[1]):
        part = slice(i, i + 1)
        yield replace(
            found,
            low=found.low[:, part],
            high=found.high[:, part],
            size=found.size[:, part],
            weights={
                index: (low[:, part], high[:, part])
                for index, (low, high) in found.weights.items()
            },
        )


def _directions(problem: Problem) -> Float[Tensor, "one k in"]:
    """Return directions in the whole input: signs, or unit vectors both ways."""
    width = problem.width
    if problem.norm == "inf" and width <= SIGNED:
        signs = list(itertools.product((1.0, -1.0), repeat=width))
        chosen = torch.tensor(signs, dtype=torch.float64)
    else:
        eye = torch.eye(width, dtype=torch.float64)
        chosen = torch.cat([eye, -eye])
    whole = torch.zeros((chosen.shape[0], problem.free.numel()), dtype=torch.float64)
    whole[:, problem.free.cpu()] = chosen
    return whole.to(problem.low.device)[None]
