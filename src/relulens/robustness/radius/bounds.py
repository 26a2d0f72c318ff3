"""A radius within which no decision changes, from bounds over growing boxes.

A ball of radius r in any of the three norms lies in the box of half side r. The
decision holds in it if every margin is positive on the box, or if no margin falls so
far: margin at the input over its Lipschitz constant on the box.
"""

import torch
from torch import Tensor

from relulens.bounds.layer_bounds import layer_bounds
from relulens.robustness.lipschitz.boxes import row_norm_bounds
from relulens.robustness.lipschitz.problem import Problem, absolute_maps
from relulens.robustness.radius.walk import Question

BATCH = 4
"""Boxes that are bounded at once."""

TURNS = 3
"""Rounds of ever closer radii."""


def certified_lower(
    question: Question, low: Tensor, high: Tensor, most: float
) -> float:
    """Return a radius within which the decision holds, zero if none was shown.

    Args:
        question: The input and what is asked.
        low: Lowest inputs of the domain [*input_shape], possibly infinite.
        high: Highest inputs.
        most: Radius at which the decision is known to change.
    """
    problem = Problem(
        network=question.network,
        region=question.region,
        low=question.x,
        high=question.x,
        free=torch.ones(question.x.numel(), dtype=torch.bool, device=low.device),
        rows=question.decision.rows,
        norm=question.norm,
        known=absolute_maps(question.region),
    )
    point = question.x[None]
    here = layer_bounds(question.network, point, point)
    margins = here.rows(question.decision.rows[None].reshape(1, -1, *_shape(question)))
    start = margins[0][0]
    if bool((start <= 0).any()):
        return 0.0
    first, last, best = most * 1e-4, most, 0.0
    for _ in range(TURNS):
        radii = torch.logspace(0, 1, BATCH + 2, base=last / first) * first
        radii = radii[1:-1].to(question.x)
        shown = _shown(problem, radii, start, low, high)
        best = max(best, float(shown.max()))
        place = int(shown.argmax())
        # The best radius lies between the neighbours of the best one tried.
        first = float(radii[place - 1]) if place else first
        last = float(radii[place + 1]) if place + 1 < BATCH else last
    return best * (1 - 1e-12)


def _shape(question: Question) -> tuple[int, ...]:
    return question.network.output_shape


def _shown(
    problem: Problem, radii: Tensor, start: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """Return radii that are shown to be safe on boxes of the given half sides."""
    x = problem.low[None]
    reach = radii.reshape(-1, *[1] * problem.low.ndim)
    # Sides are rounded outwards, so that the box holds the ball.
    step = reach * (1 + 1e-15)
    least = torch.maximum(torch.nextafter(x - step, x - torch.inf), low[None])
    most = torch.minimum(torch.nextafter(x + step, x + torch.inf), high[None])
    norms, bounds = row_norm_bounds(problem, least, most)
    weights = problem.rows[None].reshape(1, -1, *problem.network.output_shape)
    holds = (bounds.rows(weights)[0] > 0).all(1)
    steep = (start / norms.clamp(min=torch.finfo(norms.dtype).tiny)).amin(1)
    return torch.where(holds, radii, torch.minimum(radii, steep))
