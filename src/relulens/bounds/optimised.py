"""Bounds of rows with a slope of its own below every unit, found by gradient steps.

A line through a unit's kink is sound with any slope. Which slope bounds a row best
depends on the row, and the bound is differentiable in it :cite:p:`xu2021fast`. Every
step's bound is evaluated by the same rigorous walk, so the best of them holds whatever
the steps did.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.bounds.backward import Relaxation, lowest_and_highest
from relulens.bounds.lines import two_slope_lines
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.nodes import TwoSlope

STEPS = 40
_RATE = 0.1
_DECAY = 0.98
_MOMENTS = (0.9, 0.95)


def optimised_bounds(
    relaxation: Relaxation,
    target: int,
    rows: Float[Tensor, "copies rows ..."],
    arguments: Mapping[int, Bounds],
    *,
    steps: int = STEPS,
) -> tuple[Float[Tensor, "batch rows"], Float[Tensor, "batch rows"]]:
    """Return rigorous bounds of rows of a node's value, never wider than plain ones.

    Args:
        relaxation: The network, with lines for all nonlinear ancestors of the target.
        target: Index of the node.
        rows: Weights [1 or N, rows, *shape of the target].
        arguments: Bounds [N, *shape] of what two-slope nodes read, by their index.
        steps: Gradient steps.

    Cost:
        A walk back and its gradient a step; memory for all layers' weights at once.
    """
    best = torch.cat(_signed(lowest_and_highest(relaxation, target, rows)), 1)
    nodes = _crossing(relaxation, target, arguments)
    slopes = {i: _adaptive(nodes[i], arguments[i], best.shape[1]) for i in nodes}
    if slopes:
        optimiser = torch.optim.Adam(list(slopes.values()), _RATE, _MOMENTS)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, _DECAY)
        for _ in range(steps):
            optimiser.zero_grad()
            with torch.enable_grad():
                lines = {
                    i: two_slope_lines(node, _rowwise(arguments[i]), slopes[i])
                    for i, node in nodes.items()
                }
                chosen = replace(relaxation, lines={**relaxation.lines, **lines})
                found = torch.cat(_signed(lowest_and_highest(chosen, target, rows)), 1)
                if not found.requires_grad:
                    break  # Operations without lines let no weight through to units.
                found.sum().neg().backward()
            best = torch.maximum(best, found.detach())
            optimiser.step()
            schedule.step()
            _project(nodes, slopes)
    half = rows.shape[1]
    return best[:, :half], -best[:, half:]


def _signed(bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Return lower bounds of the rows, and of the rows with the other sign."""
    return bounds[0], -bounds[1]


def _rowwise(bounds: Bounds) -> Bounds:
    return bounds[0].unsqueeze(1), bounds[1].unsqueeze(1)


def _crossing(
    relaxation: Relaxation, target: int, arguments: Mapping[int, Bounds]
) -> dict[int, TwoSlope]:
    """Return the two-slope ancestors with an argument of both signs in some box."""
    found: dict[int, TwoSlope] = {}
    for index in relaxation.network.ancestors(target):
        node = relaxation.network.nodes[index]
        if isinstance(node, TwoSlope) and index != target:
            low, high = arguments[index]
            if bool(((low < 0) & (high > 0)).any()):
                found[index] = node
    return found


def _adaptive(node: TwoSlope, bounds: Bounds, rows: int) -> Tensor:
    """Return the slopes [N, rows, *shape] of plain lines, to start from."""
    low, high = _rowwise(bounds)
    slope = torch.where(high >= -low, node.positive, node.negative)
    slope = slope.expand(-1, rows, *slope.shape[2:])
    return slope.clone().requires_grad_()


def _project(nodes: Mapping[int, TwoSlope], slopes: Mapping[int, Tensor]) -> None:
    """Put slopes back between those of the node: others are sound, and looser."""
    with torch.no_grad():
        for index, node in nodes.items():
            least = torch.minimum(node.negative, node.positive)
            most = torch.maximum(node.negative, node.positive)
            slopes[index].copy_(slopes[index].clamp(least, most))
