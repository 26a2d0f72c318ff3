"""Steep points: slopes at sampled inputs, and a climb from the steepest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.graph.tolerances import Tolerances
from relulens.local.affine_map import local_affine_map
from relulens.robustness.lipschitz.problem import Problem

BYTES = 64 << 20
"""Bytes that the slopes and values of one batch of points may take."""

KEPT = 32
"""Points from which a climb goes on, at first."""


@dataclass(slots=True, eq=False)
class Steepest:
    """The steepest point met so far, in the inside of its region.

    Attributes:
        problem: What is asked.
        value: Norm of the slope there; zero before any point was tried.
        point: The point [*input_shape], or nothing.
        tried: Number of points.
    """

    problem: Problem
    value: float = 0.0
    point: Tensor | None = None
    tried: int = 0

    def offer(self, x: Tensor) -> Tensor:
        """Try inputs [N, *input_shape], keep the steepest, return the norms [N]."""
        parts = [self.problem.norms_at(part) for part in x.split(batch(self.problem))]
        norms = torch.cat([x.new_zeros(0), *parts])
        self.tried += x.shape[0]
        for place in norms.argsort(descending=True)[:4].tolist():
            if self.point is not None and float(norms[place]) <= self.value:
                break
            if _in_the_inside(self.problem, x[place : place + 1]):
                self.value, self.point = float(norms[place]), x[place].clone()
                break
        return norms


def _in_the_inside(problem: Problem, x: Tensor) -> bool:
    """Tell whether no unit switches at an input, so that its slope is a region's."""
    found = local_affine_map(problem.network, x, tol=Tolerances())
    return float(found.margin[0]) > 0.0


def batch(problem: Problem) -> int:
    """Return how many slopes are taken at once."""
    sizes = [torch.Size(node.shape).numel() for node in problem.region.nodes.values()]
    return max(1, min(1024, BYTES // (8 * problem.rows.shape[0] * max(sizes))))


def drawn(low: Tensor, high: Tensor, source: torch.Generator) -> Tensor:
    """Return one uniform point of every box [N, *input_shape]."""
    share = torch.rand(low.shape, generator=source, dtype=low.dtype)
    return low + share.to(low.device) * (high - low)


def climb(steepest: Steepest, source: torch.Generator, points: int) -> None:
    """Sample the box, then step from the steepest points by less and less.

    Args:
        steepest: What is improved.
        source: Of the random points.
        points: How many to try, in all.
    """
    problem = steepest.problem
    low, high = problem.low[None], problem.high[None]
    half = (high - low) / 2
    count = max(1, points // 4)
    shape = (count, *problem.low.shape)
    x = drawn(low.expand(shape), high.expand(shape), source)
    norms = steepest.offer(x)
    for turn in range(12):
        kept = norms.argsort(descending=True)[: max(1, KEPT >> (turn // 3))]
        x, norms = x[kept], norms[kept]
        copies = max(1, points // (16 * len(kept)))
        start = x.repeat_interleave(copies, 0)
        noise = torch.randn(start.shape, generator=source, dtype=low.dtype)
        moved = start + 0.5 * 0.7**turn * half * noise.to(low.device)
        moved = torch.minimum(torch.maximum(moved, low), high)
        norms = torch.cat([norms, steepest.offer(moved)])
        x = torch.cat([x, moved])
