"""Boxes and balls around inputs, rounded outwards and cut to the domain."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.bounds.backward import Ball
from relulens.errors import InvalidArgumentError
from relulens.graph.arrays import tensor_of
from relulens.graph.domain import Box, as_box

DUAL = {1.0: math.inf, 2.0: 2.0, math.inf: 1.0}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Surroundings:
    """The inputs around each of N inputs that an answer is about.

    Attributes:
        x: The inputs [N, *input_shape], float64.
        low: Lowest entries, likewise.
        high: Highest entries, likewise.
        ball: The ball in the 1- or 2-norm, or nothing for the infinity norm.
    """

    x: Tensor
    low: Tensor
    high: Tensor
    ball: Ball | None

    @property
    def change(self) -> Tensor:
        """Most that every entry can change, rounded upwards."""
        most = torch.maximum(self.high - self.x, self.x - self.low)
        return most * (1 + 2.0**-50)

    def part(self, rows: slice | Tensor) -> "Surroundings":
        """Return some of the inputs."""
        ball = self.ball
        if ball is not None:
            ball = Ball(
                centre=ball.centre[rows], radius=ball.radius[rows], dual=ball.dual
            )
        return Surroundings(
            x=self.x[rows], low=self.low[rows], high=self.high[rows], ball=ball
        )


def surroundings(
    x: Tensor, radius: object, norm: float, domain: Box | None
) -> Surroundings:
    """Return what lies within a radius of inputs, and in the domain.

    Args:
        x: Inputs [N, *input_shape], float64.
        radius: A number, one an input [N], or for the infinity norm an array that
            broadcasts with x.
        norm: 1, 2 or infinity.
        domain: Bounds of the entries, or nothing.

    Raises:
        InvalidArgumentError: A radius is negative or not finite, it does not fit, the
            norm is another one, or an input lies outside the domain.
    """
    if norm not in DUAL:
        raise InvalidArgumentError(
            f"cannot bound within a radius: the norm is {norm!r}, and 1, 2 and inf are"
            " known. Use one of them."
        )
    reach = tensor_of(radius, subject="radius").to(x.device, torch.float64)
    if reach.numel() and not bool((torch.isfinite(reach) & (reach >= 0)).all()):
        raise InvalidArgumentError(
            f"cannot bound within a radius: it is {float(reach.min()):g} to"
            f" {float(reach.max()):g}, and finite numbers >= 0 are needed. Correct it."
        )
    each = reach.ndim == 1 and reach.shape[0] == x.shape[0]
    wide = reach.reshape(-1, *[1] * (x.ndim - 1)) if each else reach
    if (norm != math.inf and not each and reach.ndim) or not _fits(wide, x):
        raise InvalidArgumentError(
            f"cannot bound within a radius: its shape is {list(reach.shape)}, and x is"
            f" {list(x.shape)}. Give one number, or one an input."
        )
    limit = None if domain is None else as_box(domain)
    low, high = _cut(x, wide.expand(x.shape), limit)
    ball = None
    if norm != math.inf:
        single = reach.expand(x.shape[0])
        ball = Ball(centre=x, radius=single, dual=DUAL[norm])
    return Surroundings(x=x, low=low, high=high, ball=ball)


def _fits(radius: Tensor, x: Tensor) -> bool:
    pairs = zip(reversed(radius.shape), reversed(x.shape), strict=False)
    return radius.ndim <= x.ndim and all(a in {1, b} for a, b in pairs)


def _cut(x: Tensor, radius: Tensor, domain: Box | None) -> tuple[Tensor, Tensor]:
    infinity = torch.full_like(x, torch.inf)
    still = radius == 0
    low = torch.where(still, x, torch.nextafter(x - radius, -infinity))
    high = torch.where(still, x, torch.nextafter(x + radius, infinity))
    if domain is None:
        return low, high
    least, most = domain.low.to(x.device), domain.high.to(x.device)
    outside = int(((x < least) | (x > most)).flatten(1).any(1).sum()) if len(x) else 0
    if outside:
        raise InvalidArgumentError(
            f"cannot bound within a radius: {outside} of {len(x)} inputs lie outside"
            f" {domain}. Leave them out, or pass another domain."
        )
    return torch.maximum(low, least), torch.minimum(high, most)
