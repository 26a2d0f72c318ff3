"""Elementwise functions that are not two-slope, with what bounds need to know."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

_SQRT_HALF = math.sqrt(0.5)
_GAUSS = 1 / math.sqrt(2 * math.pi)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SmoothFunction:
    """An elementwise, locally Lipschitz function.

    Attributes:
        name: What it is called, with its parameters.
        value: The function.
        slope: Its derivative; the left one at a kink.
        slopes: Infimum and supremum of the derivative, possibly infinite.
        kinks: Points where the derivative jumps.
        turns: Points where the derivative changes sign.
        domain: Where the function is finite.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    slopes: tuple[float, float]
    kinks: tuple[float, ...] = ()
    turns: tuple[float, ...] = ()
    domain: tuple[float, float] = field(default=(-math.inf, math.inf))

    def gain(self) -> float:
        """Return the largest absolute slope, possibly infinite."""
        return max(abs(self.slopes[0]), abs(self.slopes[1]))

    def image(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest value between two bounds, entrywise."""
        ends = self.value(low), self.value(high)
        least, most = torch.minimum(*ends), torch.maximum(*ends)
        for turn in self.turns:
            inside = (low < turn) & (turn < high)
            value = self.value(torch.full_like(low, turn))
            least = torch.where(inside, torch.minimum(least, value), least)
            most = torch.where(inside, torch.maximum(most, value), most)
        return least, most


def _sigmoid_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s)


SIGMOID = SmoothFunction(
    name="sigmoid", value=torch.sigmoid, slope=_sigmoid_slope, slopes=(0.0, 0.25)
)
TANH = SmoothFunction(
    name="tanh",
    value=torch.tanh,
    slope=lambda z: 1 - torch.tanh(z) ** 2,
    slopes=(0.0, 1.0),
)
EXP = SmoothFunction(
    name="exp", value=torch.exp, slope=torch.exp, slopes=(0.0, math.inf)
)
LOG = SmoothFunction(
    name="log",
    value=torch.log,
    slope=torch.reciprocal,
    slopes=(0.0, math.inf),
    domain=(0.0, math.inf),
)
SQRT = SmoothFunction(
    name="sqrt",
    value=torch.sqrt,
    slope=lambda z: 0.5 * torch.rsqrt(z),
    slopes=(0.0, math.inf),
    domain=(0.0, math.inf),
)
RECIPROCAL = SmoothFunction(
    name="reciprocal",
    value=torch.reciprocal,
    slope=lambda z: -(torch.reciprocal(z) ** 2),
    slopes=(-math.inf, 0.0),
    domain=(0.0, math.inf),
)
SQUARE = SmoothFunction(
    name="square",
    value=torch.square,
    slope=lambda z: 2 * z,
    slopes=(-math.inf, math.inf),
    turns=(0.0,),
)
SIN = SmoothFunction(name="sin", value=torch.sin, slope=torch.cos, slopes=(-1.0, 1.0))
ERF = SmoothFunction(
    name="erf",
    value=torch.erf,
    slope=lambda z: 2 / math.sqrt(math.pi) * torch.exp(-z * z),
    slopes=(0.0, 2 / math.sqrt(math.pi)),
)
SOFTSIGN = SmoothFunction(
    name="softsign",
    value=functional.softsign,
    slope=lambda z: (1 + z.abs()) ** -2,
    slopes=(0.0, 1.0),
)
GELU = SmoothFunction(
    name="gelu",
    value=functional.gelu,
    slope=lambda z: (
        0.5 * (1 + torch.erf(z * _SQRT_HALF)) + z * _GAUSS * torch.exp(-z * z / 2)
    ),
    slopes=(-0.12890482, 1.12890482),
    turns=(-0.7517915246935645,),
)
