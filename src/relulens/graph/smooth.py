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
        bends: Points where the derivative stops rising or falling, kinks left out; or
            nothing, where they are not known and ``slopes`` has to do.
        period: Distance after which the turns repeat with their values, if they do.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    slopes: tuple[float, float]
    kinks: tuple[float, ...] = ()
    turns: tuple[float, ...] = ()
    domain: tuple[float, float] = field(default=(-math.inf, math.inf))
    bends: tuple[float, ...] | None = None
    period: float | None = None

    def gain(self) -> float:
        """Return the largest absolute slope, possibly infinite."""
        return max(abs(self.slopes[0]), abs(self.slopes[1]))

    def gain_between(self, low: Tensor, high: Tensor) -> Tensor:
        """Return an upper bound on the absolute slope between two bounds, entrywise.

        Exact where the bends are known: the slope is monotone between them and the
        kinks. Else the largest slope anywhere.
        """
        everywhere = torch.full_like(low, self.gain())
        if self.bends is None or self.kinks:
            return everywhere
        most = torch.maximum(self.slope(low).abs(), self.slope(high).abs())
        for bend in self.bends:
            inside = (low < bend) & (bend < high)
            steep = self.slope(torch.full_like(low, bend)).abs()
            most = torch.where(inside, torch.maximum(most, steep), most)
        return torch.minimum(most, everywhere)

    def image(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest value between two bounds, entrywise."""
        ends = self.value(low), self.value(high)
        least, most = torch.minimum(*ends), torch.maximum(*ends)
        for turn in self.turns:
            first = self._first_after(low, turn)
            inside = (low < first) & (first < high)
            value = self.value(torch.full_like(low, turn))
            least = torch.where(inside, torch.minimum(least, value), least)
            most = torch.where(inside, torch.maximum(most, value), most)
        return least, most

    def _first_after(self, low: Tensor, turn: float) -> Tensor:
        """Return the turn, or its first repetition above ``low``."""
        if self.period is None:
            return torch.full_like(low, turn)
        laps = torch.floor((low - turn) / self.period) + 1
        return turn + laps * self.period


def _sigmoid_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s)


SIGMOID = SmoothFunction(
    name="sigmoid",
    value=torch.sigmoid,
    slope=_sigmoid_slope,
    slopes=(0.0, 0.25),
    bends=(0.0,),
)
TANH = SmoothFunction(
    name="tanh",
    value=torch.tanh,
    slope=lambda z: 1 - torch.tanh(z) ** 2,
    slopes=(0.0, 1.0),
    bends=(0.0,),
)
EXP = SmoothFunction(
    name="exp",
    value=torch.exp,
    slope=torch.exp,
    slopes=(0.0, math.inf),
    bends=(),
)
LOG = SmoothFunction(
    name="log",
    value=torch.log,
    slope=torch.reciprocal,
    slopes=(0.0, math.inf),
    domain=(0.0, math.inf),
    bends=(),
)
SQRT = SmoothFunction(
    name="sqrt",
    value=torch.sqrt,
    slope=lambda z: 0.5 * torch.rsqrt(z),
    slopes=(0.0, math.inf),
    domain=(0.0, math.inf),
    bends=(),
)
RECIPROCAL = SmoothFunction(
    name="reciprocal",
    value=torch.reciprocal,
    slope=lambda z: -(torch.reciprocal(z) ** 2),
    slopes=(-math.inf, 0.0),
    domain=(0.0, math.inf),
    bends=(),
)
SQUARE = SmoothFunction(
    name="square",
    value=torch.square,
    slope=lambda z: 2 * z,
    slopes=(-math.inf, math.inf),
    turns=(0.0,),
    bends=(),
)
SIN = SmoothFunction(
    name="sin",
    value=torch.sin,
    slope=torch.cos,
    slopes=(-1.0, 1.0),
    turns=(-math.pi / 2, math.pi / 2),
    period=2 * math.pi,
)
ERF = SmoothFunction(
    name="erf",
    value=torch.erf,
    slope=lambda z: 2 / math.sqrt(math.pi) * torch.exp(-z * z),
    slopes=(0.0, 2 / math.sqrt(math.pi)),
    bends=(0.0,),
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
    bends=(-math.sqrt(2), math.sqrt(2)),
)


def _silu_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


SILU = SmoothFunction(
    name="silu",
    value=functional.silu,
    slope=_silu_slope,
    slopes=(-0.09983933, 1.09983933),
    turns=(-1.278464542761074,),
    bends=(-2.399357280515467, 2.399357280515467),
)
