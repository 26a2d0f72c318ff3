"""Images and Jacobian bounds of coupled maps on boxes."""

import math
from typing import TypeAlias

import torch
from torch import Tensor

from relulens.graph.coupled import (
    CoupledFunction,
    LogSumExp,
    MatrixProduct,
    Normalise,
    Product,
    Quotient,
    Softmax,
)

Bounds: TypeAlias = tuple[Tensor, Tensor]
"""Lowest and highest values [N, *shape], entry by entry."""


def product_image(x: Bounds, y: Bounds) -> Bounds:
    """Return the bounds of an entrywise product: its extremes lie at the corners."""
    corners = torch.stack([a * b for a in x for b in y])
    return corners.amin(0), corners.amax(0)


def matrix_image(x: Bounds, y: Bounds) -> Bounds:
    """Return bounds of a matrix product, every summand bounded by itself.

    Cost:
        Four arrays [N, *stack, a, b, c].
    """
    left = (x[0].unsqueeze(-1), x[1].unsqueeze(-1))
    right = (y[0].unsqueeze(-3), y[1].unsqueeze(-3))
    low, high = product_image(left, right)
    return low.sum(-2), high.sum(-2)


def quotient_image(x: Bounds, y: Bounds) -> Bounds | None:
    """Return the bounds of a quotient, or nothing if the divisor can be zero."""
    if not bool(((y[0] > 0) | (y[1] < 0)).all()):
        return None
    return product_image(x, (1 / y[1], 1 / y[0]))


def softmax_image(function: Softmax, x: Bounds) -> Bounds:
    """Return the exact bounds of a softmax: an entry and the others pull apart.

    The least value of entry i has it lowest and all others highest.
    """
    mask = 0.0 if function.mask is None else function.mask
    low, high = x[0] + mask, x[1] + mask

    def extreme(own: Tensor, others: Tensor) -> Tensor:
        # p_i = 1 / (1 + sum over the others of exp(other - own)), summed without i.
        axis = function.axis % own.ndim
        gap = others.movedim(axis, -1).unsqueeze(-2) - own.movedim(axis, -1).unsqueeze(
            -1
        )
        diagonal = torch.eye(gap.shape[-1], dtype=torch.bool, device=gap.device)
        rest = torch.exp(gap.masked_fill(diagonal, -torch.inf)).sum(-1)
        return (1 / (1 + rest)).movedim(-1, axis)

    if function.mask is None:
        return extreme(low, high), extreme(high, low)
    out = torch.isneginf(function.mask).expand_as(low)
    floor = torch.finfo(low.dtype).min / 4
    low, high = low.clamp(min=floor), high.clamp(min=floor)
    least, most = extreme(low, high), extreme(high, low)
    return least.masked_fill(out, 0.0), most.masked_fill(out, 0.0)


def _squared(low: Tensor, high: Tensor) -> Bounds:
    nearest = torch.where((low <= 0) & (high >= 0), 0.0, torch.minimum(low**2, high**2))
    return nearest, torch.maximum(low**2, high**2)


def normalise_parts(function: Normalise, x: Bounds) -> tuple[Bounds, Bounds]:
    """Return bounds of the centred array and of the scale it is multiplied by."""
    dims = list(range(-function.axes, 0))
    low, high = x
    if function.centred:
        low = x[0] - x[1].mean(dims, keepdim=True)
        high = x[1] - x[0].mean(dims, keepdim=True)
    least, most = _squared(low, high)
    scale = tuple(
        torch.rsqrt(part.mean(dims, keepdim=True) + function.epsilon)
        for part in (most, least)
    )
    return (low, high), (scale[0], scale[1])


def _normalise_image(function: Normalise, x: Bounds) -> Bounds | None:
    centre, scale = normalise_parts(function, x)
    if not bool(torch.isfinite(scale[1]).all()):
        return None
    low, high = product_image(centre, scale)
    reach = normalise_reach(function, x[0].shape)
    return low.clamp(min=-reach), high.clamp(max=reach)


def normalise_reach(function: Normalise, shape: torch.Size) -> float:
    """Return the largest absolute value that a normalised entry can take."""
    size = math.prod(shape[-function.axes :])
    return math.sqrt(size - 1 if function.centred else size)


def coupled_image(
    function: CoupledFunction, boxes: tuple[Bounds, ...]
) -> Bounds | None:
    """Return bounds of a coupled map on boxes.

    Args:
        function: The map.
        boxes: Bounds [N, *shape] of every argument.

    Returns:
        Lowest and highest values [N, *shape], exact for products, quotients, softmax
        and logsumexp; or nothing where there is no finite bound or no rule.
    """
    match function:
        case Product():
            return product_image(*boxes)
        case Quotient():
            return quotient_image(*boxes)
        case MatrixProduct():
            return matrix_image(*boxes)
        case Softmax():
            return softmax_image(function, boxes[0])
        case LogSumExp():
            # It rises in every entry, so the ends are its extremes.
            return function.value(boxes[0][0]), function.value(boxes[0][1])
        case Normalise():
            return _normalise_image(function, boxes[0])
        case _:
            return None
