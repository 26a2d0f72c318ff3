"""The question of a Lipschitz search: network, box, free entries, rows and norm."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relulens.bounds.images import AbsoluteAffine
from relulens.bounds.layer_bounds import layer_bounds
from relulens.graph.freeze import Frozen, freeze
from relulens.graph.network import Network
from relulens.graph.nodes import Affine
from relulens.graph.polyhedral import Polyhedral
from relulens.local.jacobian import pull
from relulens.robustness.lipschitz_gates import Gates, gates
from relulens.robustness.lipschitz_relaxation import directional_bounds
from relulens.robustness.lipschitz_slopes import SlopeBounds, slope_bounds
from relulens.robustness.operator_norms import (
    Norm,
    operator_norm_bounds,
    operator_norms,
)

SIGNED = 6
"""Most free entries for which all signs of a direction are tried."""

RELAXED_ENTRIES = 1 << 25
"""Most entries of the forms that a relaxation carries, per box; 0.25 GiB."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Problem:
    """What is asked.

    Attributes:
        network: The network, float64.
        region: Its nodes.
        low: Lowest input [*input_shape].
        high: Highest input.
        free: Which flattened entries of the input the box leaves free.
        rows: Weights [rows, out] of the flattened output.
        norm: The norm of the input, and of the output.
        known: Absolute maps of the affine nodes.
    """

    network: Network
    region: Polyhedral
    low: Tensor
    high: Tensor
    free: Bool[Tensor, " in"]
    rows: Float[Tensor, "rows out"]
    norm: Norm
    known: Mapping[int, AbsoluteAffine]

    @property
    def width(self) -> int:
        """Number of entries of the input that can change."""
        return int(self.free.sum())

    def norms(self, frozen: Frozen) -> Float[Tensor, " batch"]:
        """Return the norms of the slopes of frozen maps, at most a few thousand."""
        columns = self.rows.T.expand(frozen.batch, *self.rows.T.shape)
        slope = pull(frozen, columns, 0, self.region.end).transpose(1, 2)
        return operator_norms(slope[:, :, self.free], self.norm)

    def norms_at(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """Return the norms of the slopes at inputs, by the convention on ties."""
        return self.norms(freeze(self.network, x, self.region.end))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evaluated:
    """Upper bounds over N boxes, with what they came from.

    Attributes:
        interval: Bounds [N] from interval slopes.
        upper: The least bounds [N] found.
        gates: What nonlinear nodes can do there.
        choices: Logarithms [N] of the numbers of patterns, base 2.
        empty: Whether a box holds no point with the signs asked for.
        pulls: Sums of absolute terms [N, in] by which an entry can move an output.
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


def absolute_maps(region: Polyhedral) -> dict[int, AbsoluteAffine]:
    """Return the absolute maps of all affine nodes."""
    return {
        index: AbsoluteAffine.of(node)
        for index, node in region.nodes.items()
        if isinstance(node, Affine)
    }


def evaluated(
    problem: Problem,
    low: Float[Tensor, "batch ..."],
    high: Float[Tensor, "batch ..."],
    splits: Mapping[int, Tensor] | None = None,
    *,
    relax: bool = True,
) -> Evaluated:
    """Return upper bounds over boxes.

    Args:
        problem: What is asked.
        low: Lowest inputs [N, *input_shape].
        high: Highest inputs.
        splits: Signs asked of units, as ``layer_bounds`` takes them.
        relax: Whether slopes are bounded by linear relaxation, too.
    """
    bounds = layer_bounds(
        problem.network, low, high, method="relaxation", splits=splits
    )
    with torch.no_grad():
        can = gates(bounds, problem.region)
        count = low.shape[0]
        found = slope_bounds(problem.region, problem.known, can, problem.rows, count)
        least, most = found.low[..., problem.free], found.high[..., problem.free]
        interval = operator_norm_bounds(least, most, problem.norm)
        upper = interval
        if relax and _affordable(problem):
            upper = torch.minimum(upper, _relaxed(problem, can, found, least, most))
        stakes = {
            index: (can.high[index] - can.low[index])
            * torch.maximum(low.abs(), high.abs()).amax(1)
            * _reach(bounds.argument(index))
            for index, (low, high) in found.weights.items()
            if index in can.open
        }
    return Evaluated(
        interval=interval,
        upper=upper,
        gates=can,
        choices=can.choices() if can.open or can.candidates else interval * 0,
        empty=bounds.empty,
        pulls=found.size.amax(1) * problem.free,
        rounding=operator_norms(found.size * found.share, problem.norm),
        stakes=stakes,
    )


def _reach(argument: tuple[Tensor, Tensor]) -> Tensor:
    low, high = argument
    width = (high - low).clamp(min=torch.finfo(low.dtype).tiny)
    return (torch.minimum(-low, high) / width).clamp(min=0.0)


def _affordable(problem: Problem) -> bool:
    largest = max(torch.Size(n.shape).numel() for n in problem.region.nodes.values())
    return 2 * problem.width * largest <= RELAXED_ENTRIES


def _relaxed(
    problem: Problem, can: Gates, found: SlopeBounds, least: Tensor, most: Tensor
) -> Tensor:
    """Return bounds of the norms by linear relaxation, row by row of the output."""
    directions = _directions(problem)
    parts = [
        directional_bounds(
            problem.region, can, one, problem.rows[i : i + 1], directions
        )
        for i, one in enumerate(_by_rows(found))
    ]
    along = torch.cat(parts, 1)  # shape [N, rows, k]
    if problem.norm == "inf" and problem.width <= SIGNED:
        return along.amax((1, 2)).clamp(min=0.0)
    half = along.shape[2] // 2
    high = torch.minimum(most, along[..., :half])
    low = torch.maximum(least, -along[..., half:])
    return operator_norm_bounds(low, torch.maximum(low, high), problem.norm)


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


def _directions(problem: Problem) -> Tensor:
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
    return whole.to(problem.low.device)
