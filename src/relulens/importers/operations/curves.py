"""Elementwise functions with parameters, with what bounds need to know of each."""

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from relulens.graph.smooth import SILU as SILU
from relulens.graph.smooth import SmoothFunction

# Extreme slopes without a closed form are rounded outwards in the eighth digit.


def _mish_slope(z: Tensor) -> Tensor:
    t = torch.tanh(functional.softplus(z))
    return t + z * torch.sigmoid(z) * (1 - t * t)


MISH = SmoothFunction(
    name="mish",
    value=functional.mish,
    slope=_mish_slope,
    slopes=(-0.11252613, 1.08849817),
    turns=(-1.1924312145154952,),
    bends=(-2.256376396360794, 1.4905711794854284),
)

_ROOT = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _gelu_tanh_slope(z: Tensor) -> Tensor:
    t = torch.tanh(_ROOT * (z + _CUBIC * z**3))
    inner = _ROOT * (1 + 3 * _CUBIC * z * z)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * inner


GELU_TANH = SmoothFunction(
    name="gelu (tanh)",
    value=partial(functional.gelu, approximate="tanh"),
    slope=_gelu_tanh_slope,
    slopes=(-0.12899307, 1.12899307),
    turns=(-0.7524614220710163,),
    bends=(-1.4185040087908285, 1.4185040087908285),
)


def _hardswish_slope(z: Tensor) -> Tensor:
    middle = torch.where(z > -3, (2 * z + 3) / 6, torch.zeros_like(z))
    return torch.where(z > 3, torch.ones_like(z), middle)


HARDSWISH = SmoothFunction(
    name="hardswish",
    value=functional.hardswish,
    slope=_hardswish_slope,
    slopes=(-0.5, 1.5),
    kinks=(-3.0, 3.0),
    turns=(-1.5,),
)

LOG_SIGMOID = SmoothFunction(
    name="log sigmoid",
    value=functional.logsigmoid,
    slope=lambda z: torch.sigmoid(-z),
    slopes=(0.0, 1.0),
    bends=(),
)
ATAN = SmoothFunction(
    name="atan",
    value=torch.atan,
    slope=lambda z: 1 / (1 + z * z),
    slopes=(0.0, 1.0),
    bends=(0.0,),
)
EXPM1 = SmoothFunction(
    name="expm1", value=torch.expm1, slope=torch.exp, slopes=(0.0, math.inf), bends=()
)
LOG1P = SmoothFunction(
    name="log1p",
    value=torch.log1p,
    slope=lambda z: torch.reciprocal(1 + z),
    slopes=(0.0, math.inf),
    domain=(-1.0, math.inf),
    bends=(),
)
RSQRT = SmoothFunction(
    name="rsqrt",
    value=torch.rsqrt,
    slope=lambda z: -0.5 * torch.rsqrt(z) / z,
    slopes=(-math.inf, 0.0),
    domain=(0.0, math.inf),
    bends=(),
)


def elu(
    alpha: float = 1.0,
    scale: float = 1.0,
    input_scale: float = 1.0,
    *,
    name: str = "elu",
) -> SmoothFunction:
    """Return ``scale z`` above 0, ``scale alpha (exp(input_scale z) - 1)`` below.

    SELU and CELU are of this form.
    """

    def value(z: Tensor) -> Tensor:
        low = alpha * torch.expm1(input_scale * z.clamp(max=0.0))
        return scale * torch.where(z > 0, z, low)

    def slope(z: Tensor) -> Tensor:
        steep = alpha * input_scale * torch.exp(input_scale * z.clamp(max=0.0))
        return scale * torch.where(z > 0, torch.ones_like(z), steep)

    # Sources give whole numbers as int.
    scale, at_zero = float(scale), float(scale * alpha * input_scale)
    return SmoothFunction(
        name=name,
        value=value,
        slope=slope,
        slopes=(min(0.0, scale, at_zero), max(0.0, scale, at_zero)),
        kinks=() if alpha * input_scale == 1.0 else (0.0,),
        turns=(0.0,) if alpha * input_scale < 0 else (),
        bends=(),
    )


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def softplus(beta: float = 1.0, threshold: float = 20.0) -> SmoothFunction:
    """Return ``log(1 + exp(beta z)) / beta``, and ``z`` where ``beta z > threshold``.

    The value jumps by ``exp(-threshold) / beta`` at the threshold.
    """

    def slope(z: Tensor) -> Tensor:
        return torch.where(
            beta * z > threshold, torch.ones_like(z), torch.sigmoid(beta * z)
        )

    return SmoothFunction(
        name="softplus",
        value=partial(functional.softplus, beta=beta, threshold=threshold),
        slope=slope,
        slopes=(0.0, 1.0),
        kinks=(threshold / beta,),
    )


def power(exponent: float) -> SmoothFunction:
    """Return ``z ** exponent`` for an exponent other than 0 and 1."""
    whole = float(exponent).is_integer()
    even = whole and exponent % 2 == 0
    bottom = -math.inf if whole and (even or exponent < 0) else 0.0
    top = 0.0 if exponent < 0 and not even else math.inf
    domain = (-math.inf, math.inf) if whole and exponent > 0 else (0.0, math.inf)
    return SmoothFunction(
        name=f"power {exponent:g}",
        value=partial(_power, exponent=exponent),
        slope=lambda z: exponent * torch.pow(z, exponent - 1),
        slopes=(bottom if whole else min(0.0, exponent * math.inf), top),
        turns=(0.0,) if even and exponent > 0 else (),
        domain=domain,
        bends=(0.0,) if whole and not even and exponent > 0 else (),
    )


def _power(z: Tensor, *, exponent: float) -> Tensor:
    return torch.pow(z, exponent)
