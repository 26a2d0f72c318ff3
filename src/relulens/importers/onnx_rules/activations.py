"""Activations, and other functions of one value."""

import math
from collections.abc import Callable

import torch

from relulens.graph.smooth import (
    ERF,
    EXP,
    LOG,
    RECIPROCAL,
    SIGMOID,
    SIN,
    SOFTSIGN,
    SQRT,
    TANH,
    SmoothFunction,
)
from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import Masked
from relulens.importers.operations import activations, curves
from relulens.importers.operations.arithmetic import multiply
from relulens.importers.operations.shapes import reshape
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Dims, Value, sample_shape, source_axis

ONNX = "ai.onnx"

# Beyond it log(1 + exp(z)) and z are the same float64 number.
_SOFTPLUS_THRESHOLD = 40.0


@register(ONNX, "Relu", "TwoSlope")
def relu(step: Step) -> Value:
    """Import ``max(x, 0)``."""
    return activations.relu(step.build, step.name, step.value())


@register(ONNX, "LeakyRelu", "TwoSlope")
def leaky_relu(step: Step) -> Value:
    """Import the leaky ReLU."""
    slope = step.number("alpha", 0.01)
    return activations.leaky_relu(step.build, step.name, step.value(), slope)


@register(ONNX, "PRelu", "TwoSlope", note="constant slopes")
def prelu(step: Step) -> Value:
    """Import the ReLU with trained slopes."""
    return activations.prelu(step.build, step.name, step.value(), step.constant(1))


@register(ONNX, "Abs", "TwoSlope")
def absolute(step: Step) -> Value:
    """Import the absolute value."""
    return activations.absolute(step.build, step.name, step.value())


@register(ONNX, "Clip", "TwoSlope", note="constant bounds")
def clip(step: Step) -> Value:
    """Import ``min(max(x, low), high)``; bounds are attributes before version 11."""
    bounds: list[float | None] = []
    for place, name in ((1, "min"), (2, "max")):
        if step.version >= 11:
            given = float(step.array(place).reshape(())) if step.has(place) else None
        else:
            given = step.number(name, math.nan)
        open_ = given is None or math.isnan(given) or abs(given) >= 3.4028e38
        bounds.append(None if open_ else given)
    low, high = bounds
    if low is not None and high is not None and low >= high:
        raise RefusedError(f"its bounds {low:g} and {high:g} leave one value")
    return activations.clamp(
        step.build, step.name, step.value(), low, high, operation="clip"
    )


@register(ONNX, "HardSigmoid", "TwoSlope")
def hard_sigmoid(step: Step) -> Value:
    """Import ``min(max(alpha x + beta, 0), 1)``."""
    slope, shift = step.number("alpha", 0.2), step.number("beta", 0.5)
    return activations.hardsigmoid(step.build, step.name, step.value(), slope, shift)


@register(ONNX, "ThresholdedRelu", "TwoSlope", note="alpha 0 only, others jump")
def thresholded_relu(step: Step) -> Value:
    """Import ``x`` above a threshold and 0 below."""
    bound = step.number("alpha", 1.0)
    return activations.threshold(step.build, step.name, step.value(), bound, 0.0)


@register(ONNX, "Shrink", "TwoSlope", note="bias equal to lambd only, others jump")
def shrink(step: Step) -> Value:
    """Import soft shrinkage."""
    width, bias = step.number("lambd", 0.5), step.number("bias", 0.0)
    if width != bias or width <= 0:
        raise RefusedError(f"it jumps: lambd is {width:g} and bias {bias:g}")
    return activations.softshrink(step.build, step.name, step.value(), width)


_PLAIN: dict[str, SmoothFunction] = {
    "Sigmoid": SIGMOID,
    "Tanh": TANH,
    "Exp": EXP,
    "Log": LOG,
    "Sqrt": SQRT,
    "Reciprocal": RECIPROCAL,
    "Erf": ERF,
    "Sin": SIN,
    "Softsign": SOFTSIGN,
    "HardSwish": curves.HARDSWISH,
    "Mish": curves.MISH,
    "Atan": curves.ATAN,
}


def _smooth(function: SmoothFunction) -> Callable[[Step], Value]:
    def rule(step: Step) -> Value:
        return step.build.smooth(step.name, step.value(), function)

    return rule


for _operation, _function in _PLAIN.items():
    register(ONNX, _operation, "Smooth")(_smooth(_function))


@register(ONNX, "Cos", "Smooth")
def cosine(step: Step) -> Value:
    """Import the cosine as a shifted sine."""
    quarter = torch.tensor(math.pi / 2, dtype=torch.float64)
    x = step.value()
    shifted = step.build.linear(f"{step.name}.shifted", x, x.dims, bias=quarter)
    return step.build.smooth(step.name, shifted, SIN)


@register(ONNX, "Softplus", "Smooth")
def softplus(step: Step) -> Value:
    """Import ``log(1 + exp(x))``."""
    function = curves.softplus(1.0, _SOFTPLUS_THRESHOLD)
    return step.build.smooth(step.name, step.value(), function)


@register(ONNX, "Gelu", "Smooth", since=20)
def gelu(step: Step) -> Value:
    """Import the Gaussian error linear unit, exact or in its tanh form."""
    form = step.text("approximate", "none")
    return activations.gelu(step.build, step.name, step.value(), form)


@register("com.microsoft", "Gelu", "Smooth")
def exact_gelu(step: Step) -> Value:
    """Import the exact Gaussian error linear unit."""
    return activations.gelu(step.build, step.name, step.value())


@register(ONNX, "Elu", "Smooth")
def elu(step: Step) -> Value:
    """Import the exponential linear unit."""
    alpha = step.number("alpha", 1.0)
    return activations.elu(step.build, step.name, step.value(), alpha)


@register(ONNX, "Selu", "Smooth")
def selu(step: Step) -> Value:
    """Import the scaled exponential linear unit."""
    alpha = step.number("alpha", 1.67326319217681884765625)
    gamma = step.number("gamma", 1.05070102214813232421875)
    return activations.selu(step.build, step.name, step.value(), alpha, gamma)


@register(ONNX, "Celu", "Smooth", since=12)
def celu(step: Step) -> Value:
    """Import the continuously differentiable exponential linear unit."""
    alpha = step.number("alpha", 1.0)
    return activations.celu(step.build, step.name, step.value(), alpha)


@register(ONNX, "Swish", ("Smooth", "Affine"), since=24)
def swish(step: Step) -> Value:
    """Import ``x sigmoid(alpha x)``, a scaled SiLU."""
    alpha, x = step.number("alpha", 1.0), step.value()
    if alpha == 1.0:
        return step.build.smooth(step.name, x, curves.SILU)
    if alpha == 0.0:
        return multiply(step.build, step.name, x, 0.5)
    steep = multiply(step.build, f"{step.name}.steep", x, alpha)
    curved = step.build.smooth(f"{step.name}.silu", steep, curves.SILU)
    return multiply(step.build, step.name, curved, 1.0 / alpha)


def _joined_from(step: Step, x: Value) -> tuple[Value, int, Dims]:
    """Return the scores, the axis that sums to one, and the axes to go back to.

    Before version 13 all axes from the given one on are normalised together.
    """
    if step.version >= 13:
        return x, step.integer("axis", -1), x.dims
    place = source_axis(step.integer("axis", 1), x.rank)
    if place == x.rank - 1:
        return x, place, x.dims
    for axis in range(place, x.rank):
        x.axis(axis)  # Refuses the batch axis.
    size = math.prod(sample_shape(x.dims[place:]))
    flat = reshape(step.build, f"{step.name}.flat", x, (*x.dims[:place], size))
    return flat, -1, x.dims


@register(ONNX, "Softmax", "Coupled", note="cut at the end of a model by default")
def softmax(step: Step) -> Value:
    """Import the softmax, of masked scores too."""
    entry = step.entry(0)
    if isinstance(entry, Masked):
        if step.version < 13 and step.integer("axis", 1) not in (
            -1,
            entry.value.rank - 1,
        ):
            raise RefusedError("it normalises several axes of masked scores together")
        axis = step.integer("axis", -1)
        x, mask = entry.value, entry.mask
        return activations.softmax(step.build, step.name, x, axis, mask)
    x, axis, dims = _joined_from(step, step.value())
    result = activations.softmax(step.build, step.name, x, axis)
    return result if x.dims == dims else reshape(step.build, step.name, result, dims)


@register(ONNX, "LogSoftmax", "Coupled", note="cut at the end of a model by default")
def log_softmax(step: Step) -> Value:
    """Import the logarithm of the softmax."""
    x, axis, dims = _joined_from(step, step.value())
    result = activations.log_softmax(step.build, step.name, x, axis)
    return result if x.dims == dims else reshape(step.build, step.name, result, dims)


@register(ONNX, "Dropout", "Affine", note="does nothing; training mode is refused")
def dropout(step: Step) -> Value:
    """Import dropout as it works when a trained model is used: not at all."""
    if step.version >= 12 and step.has(2) and bool(step.array(2).reshape(())):
        raise RefusedError("dropout in training mode; export the model in eval mode")
    step.only_first_output("its mask is read, and dropout does nothing here")
    x = step.value()
    return step.build.linear(step.name, x, x.dims)
