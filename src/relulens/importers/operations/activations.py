"""Activations: what they are in nodes, for every importer."""

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import LogSumExp, Softmax
from relulens.graph.linear_map import Shape
from relulens.graph.maps import Scale
from relulens.graph.smooth import GELU, RECIPROCAL, SQRT, SQUARE, TANH
from relulens.importers.builder import Builder
from relulens.importers.operations import curves
from relulens.importers.operations.arithmetic import add, multiply, subtract
from relulens.importers.values import Value, as_float, sample_constant, source_axis


def relu(build: Builder, name: str, x: Value) -> Value:
    """Return ``max(x, 0)``."""
    return build.two_slope(name, x, 0.0, operation="relu")


def leaky_relu(build: Builder, name: str, x: Value, slope: float = 0.01) -> Value:
    """Return ``x`` above 0 and ``slope x`` below."""
    return build.two_slope(name, x, slope, operation="leaky_relu")


def absolute(build: Builder, name: str, x: Value) -> Value:
    """Return ``|x|``."""
    return build.two_slope(name, x, -1.0, operation="abs")


def prelu(build: Builder, name: str, x: Value, slope: Tensor) -> Value:
    """Return ``x`` above 0 and ``slope x`` below.

    Args:
        build: The builder.
        name: The operation's name.
        x: What it is applied to.
        slope: One number, or an array that broadcasts against the source's axes.
    """
    numbers = as_float(slope)
    below = (
        numbers.reshape(())
        if numbers.numel() == 1
        else sample_constant(numbers, x.dims)
    )
    return build.two_slope(name, x, below, operation="prelu")


def prelu_by_channel(build: Builder, name: str, x: Value, slope: Tensor) -> Value:
    """Return ``prelu`` with one slope for every entry of the second axis."""
    channels = as_float(slope).reshape(-1, *[1] * max(x.rank - 2, 0))
    return prelu(build, name, x, channels)


def clamp(
    build: Builder,
    name: str,
    x: Value,
    low: Tensor | float | None,
    high: Tensor | float | None,
    *,
    operation: str = "clamp",
) -> Value:
    """Return ``min(max(x, low), high)``: one ReLU for one bound, two for two.

    Raises:
        InvalidArgumentError: A bound is an array that is larger than ``x``.
    """
    least, most = _bound(low, x), _bound(high, x)
    for bound in (least, most):
        if bound is not None and not _fits(tuple(bound.shape), x.shape):
            raise InvalidArgumentError(
                f"cannot import {name!r}: a bound of shape {list(bound.shape)} does"
                f" not broadcast to {list(x.shape)}. Expand the argument first."
            )
    if least is not None and most is not None:
        return build.clamp(name, x, least, most, operation=operation)
    if least is not None:
        return build.bounded(name, x, least, below=True, operation=operation)
    if most is not None:
        return build.bounded(name, x, most, below=False, operation=operation)
    return x


def _fits(small: Shape, large: Shape) -> bool:
    """Tell whether an array broadcasts to a shape without making it larger."""
    pairs = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(a in (1, b) for a, b in pairs)


def _bound(bound: Tensor | float | None, x: Value) -> Tensor | None:
    """Return a bound against the sample's axes, none for an infinite number."""
    if bound is None:
        return None
    numbers = as_float(bound)
    if numbers.numel() == 1:
        single = numbers.reshape(())
        return None if bool(single.isinf()) else single
    return sample_constant(numbers, x.dims)


def hardtanh(
    build: Builder, name: str, x: Value, low: float = -1.0, high: float = 1.0
) -> Value:
    """Return ``x`` kept between two numbers."""
    return clamp(build, name, x, low, high, operation="hardtanh")


def relu6(build: Builder, name: str, x: Value) -> Value:
    """Return ``min(max(x, 0), 6)``."""
    return clamp(build, name, x, 0.0, 6.0, operation="relu6")


def hardsigmoid(
    build: Builder, name: str, x: Value, slope: float = 1 / 6, shift: float = 0.5
) -> Value:
    """Return ``min(max(slope x + shift, 0), 1)``."""
    steep = Scale(torch.tensor(slope, dtype=torch.float64), x.shape)
    moved = torch.tensor(shift, dtype=torch.float64)
    line = build.linear(f"{name}.line", x, x.dims, steep, bias=moved)
    return clamp(build, name, line, 0.0, 1.0, operation="hardsigmoid")


def softshrink(build: Builder, name: str, x: Value, width: float = 0.5) -> Value:
    """Return ``x`` moved towards 0 by ``width``, and 0 nearer than that."""
    middle = clamp(build, f"{name}.middle", x, -width, width, operation="softshrink")
    return subtract(build, name, x, middle)


def threshold(build: Builder, name: str, x: Value, bound: float, value: float) -> Value:
    """Return ``x`` where it exceeds ``bound``, else ``value``.

    Raises:
        InvalidArgumentError: The two differ, so that the function jumps.
    """
    if bound != value:
        raise InvalidArgumentError(
            f"cannot import {name!r}: below {bound:g} it gives {value:g}, so it jumps,"
            " and networks here are continuous. Use the same number twice."
        )
    return clamp(build, name, x, bound, None, operation="threshold")


def tanhshrink(build: Builder, name: str, x: Value) -> Value:
    """Return ``x - tanh(x)``."""
    return subtract(build, name, x, build.smooth(f"{name}.tanh", x, TANH))


def gelu(build: Builder, name: str, x: Value, approximate: str = "none") -> Value:
    """Return the Gaussian error linear unit, exact or in its tanh form."""
    return build.smooth(name, x, curves.GELU_TANH if approximate == "tanh" else GELU)


def elu(build: Builder, name: str, x: Value, alpha: float = 1.0) -> Value:
    """Return ``x`` above 0 and ``alpha (exp(x) - 1)`` below."""
    return build.smooth(name, x, curves.elu(alpha))


def selu(
    build: Builder,
    name: str,
    x: Value,
    alpha: float = curves.SELU_ALPHA,
    scale: float = curves.SELU_SCALE,
) -> Value:
    """Return ``scale elu(x)`` with SELU's constants by default."""
    return build.smooth(name, x, curves.elu(alpha, scale, name="selu"))


def celu(build: Builder, name: str, x: Value, alpha: float = 1.0) -> Value:
    """Return ``x`` above 0 and ``alpha (exp(x / alpha) - 1)`` below."""
    return build.smooth(name, x, curves.elu(alpha, 1.0, 1.0 / alpha, name="celu"))


def softplus(
    build: Builder, name: str, x: Value, beta: float = 1.0, threshold: float = 20.0
) -> Value:
    """Return ``log(1 + exp(beta x)) / beta``."""
    return build.smooth(name, x, curves.softplus(beta, threshold))


def power(build: Builder, name: str, x: Value, exponent: float) -> Value:
    """Return ``x ** exponent``.

    Raises:
        InvalidArgumentError: The exponent is 0, so that the result is constant.
    """
    named = {2.0: SQUARE, 0.5: SQRT, -0.5: curves.RSQRT, -1.0: RECIPROCAL}
    if exponent == 1:
        return x
    if exponent == 0:
        raise InvalidArgumentError(
            f"cannot import {name!r}: a power of 0 gives 1 for every input, and a layer"
            " must depend on it. Leave it out."
        )
    return build.smooth(name, x, named.get(float(exponent)) or curves.power(exponent))


def softmax(
    build: Builder, name: str, x: Value, axis: int, mask: Tensor | None = None
) -> Value:
    """Return the softmax along an axis of the source.

    Args:
        build: The builder.
        name: The operation's name.
        x: The scores.
        axis: The axis that sums to one.
        mask: Zeros, and minus infinity where an entry takes no part; broadcasts
            against the source's axes.

    Raises:
        InvalidArgumentError: The axis holds the batch.
    """
    place = x.axis(axis) - len(x.shape)
    taken = None if mask is None else sample_constant(as_float(mask), x.dims)
    return build.coupled(name, [x], Softmax(place, taken), x.dims)


def log_softmax(build: Builder, name: str, x: Value, axis: int) -> Value:
    """Return the logarithm of the softmax: ``x`` minus its log-sum-exp."""
    place, first = x.axis(axis) - len(x.shape), source_axis(axis, x.rank)
    dims = (*x.dims[:first], 1, *x.dims[first + 1 :])
    total = build.coupled(f"{name}.log_sum_exp", [x], LogSumExp(place), dims)
    return subtract(build, name, x, total)


def where_constant(
    build: Builder, name: str, condition: Tensor, x: Value | Tensor, y: Value | Tensor
) -> Value:
    """Return ``x`` where a constant condition holds, else ``y``.

    Raises:
        NotFiniteError: A chosen constant is NaN or infinite.
    """
    chosen = as_float(condition.to(torch.float64))
    parts: list[Value | Tensor] = []
    for operand, share in ((x, chosen), (y, 1.0 - chosen)):
        if isinstance(operand, Value):
            parts.append(multiply(build, f"{name}.part", operand, share))
        else:
            # An infinite constant where it is not chosen must not become NaN.
            numbers = as_float(operand)
            parts.append(torch.where(share != 0, numbers, torch.zeros_like(numbers)))
    return add(build, name, parts[0], parts[1])
