"""How rough an input is: total variation of images, squared length of other inputs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDED = 0.05
"""Differences below this are measured squared, so that the measure is smooth."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Variation:
    """A convex measure of roughness.

    Attributes:
        name: What it is.
        gradient: Its gradient, of flat inputs [N, columns].
        curvature: The gradient changes by at most this times the change of the input.
    """

    name: str
    gradient: Callable[[Tensor], Tensor]
    curvature: float


def variation(shape: tuple[int, ...]) -> Variation:
    """Return the measure for inputs of a shape.

    For ``[channels, height, width]`` it is total variation, which sums the
    differences of neighbours, each rounded at zero as Huber does, over rows and columns
    of every channel.
    """
    if len(shape) != 3 or min(shape[1:], default=0) < 2:
        return Variation(name="squared length", gradient=lambda x: x, curvature=1.0)

    def gradient(x: Tensor) -> Tensor:
        images = x.reshape(len(x), *shape)
        total = torch.zeros_like(images)
        for axis in (-2, -1):
            length = images.shape[axis] - 1
            pull = (images.diff(dim=axis) / ROUNDED).clamp(-1.0, 1.0)
            total.narrow(axis, 1, length).add_(pull)
            total.narrow(axis, 0, length).sub_(pull)
        return total.reshape(len(x), math.prod(shape))

    return Variation(name="total variation", gradient=gradient, curvature=8.0 / ROUNDED)
