"""Conjugate gradients for many right-hand sides at once, matrix-free."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Solution:
    """What the iteration reached.

    Attributes:
        value: The solutions [N, n].
        residual: Norm of each residual over the norm of its right-hand side [N].
        iterations: Steps taken.
    """

    value: Float[Tensor, "batch n"]
    residual: Float[Tensor, " batch"]
    iterations: int


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    right: Float[Tensor, "batch n"],
    *,
    tolerance: float = 1e-8,
    most: int = 200,
) -> Solution:
    """Solve ``apply(v) = right`` for a symmetric positive semidefinite map, row by row.

    Args:
        apply: The map, on rows of a batch.
        right: Right-hand sides.
        tolerance: Residual norm over right-hand norm to stop at.
        most: Most steps.

    Returns:
        The solutions with the residuals that they leave.

    Cost:
        One application a step.
    """
    value = torch.zeros_like(right)
    residual, direction = right.clone(), right.clone()
    scale = right.norm(dim=1).clamp(min=torch.finfo(right.dtype).tiny)
    energy = residual.square().sum(1)
    steps = 0
    while steps < most:
        steps += 1
        image = apply(direction)
        curvature = (direction * image).sum(1)
        length = torch.where(curvature > 0, energy / curvature, 0.0)
        value += length[:, None] * direction
        residual -= length[:, None] * image
        fresh = residual.square().sum(1)
        if bool((fresh.sqrt() <= tolerance * scale).all()) or not bool(length.any()):
            break
        ratio = torch.where(energy > 0, fresh / energy, 0.0)
        direction = residual + ratio[:, None] * direction
        energy = fresh
    return Solution(
        value=value, residual=residual.norm(dim=1) / scale, iterations=steps
    )
