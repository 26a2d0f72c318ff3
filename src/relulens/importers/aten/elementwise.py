"""Rules of elementwise operations."""

import math
from collections.abc import Callable

from torch import Tensor

from relulens.graph import smooth
from relulens.graph.smooth import SmoothFunction
from relulens.importers.aten.call import Call, aten
from relulens.importers.operations import activations, curves
from relulens.importers.operations.arithmetic import add
from relulens.importers.registry import RefusedError
from relulens.importers.values import Value, as_float

_SMOOTH = {
    "sigmoid": smooth.SIGMOID,
    "tanh": smooth.TANH,
    "exp": smooth.EXP,
    "log": smooth.LOG,
    "sqrt": smooth.SQRT,
    "square": smooth.SQUARE,
    "reciprocal": smooth.RECIPROCAL,
    "sin": smooth.SIN,
    "erf": smooth.ERF,
    "rsqrt": curves.RSQRT,
    "expm1": curves.EXPM1,
    "log1p": curves.LOG1P,
    "atan": curves.ATAN,
    "silu": curves.SILU,
    "mish": curves.MISH,
    "hardswish": curves.HARDSWISH,
    "log_sigmoid": curves.LOG_SIGMOID,
}


def _smooth_rule(function: SmoothFunction) -> Callable[[Call], Value]:
    def rule(call: Call) -> Value:
        return call.build.smooth(call.name, call.value(), function)

    return rule


for _operation, _function in _SMOOTH.items():
    aten(_operation, "Smooth")(_smooth_rule(_function))


@aten("relu", "TwoSlope")
def _relu(call: Call) -> Value:
    return activations.relu(call.build, call.name, call.value())


@aten("abs", "TwoSlope")
def _abs(call: Call) -> Value:
    return activations.absolute(call.build, call.name, call.value())


@aten("leaky_relu", "TwoSlope")
def _leaky_relu(call: Call) -> Value:
    slope = call.number("negative_slope")
    return activations.leaky_relu(call.build, call.name, call.value(), slope)


@aten("rrelu", "TwoSlope", note="in eval mode: the mean slope")
def _rrelu(call: Call) -> Value:
    if call.flag("training"):
        raise RefusedError("it draws slopes at random: training=True")
    slope = (call.number("lower") + call.number("upper")) / 2
    return activations.leaky_relu(call.build, call.name, call.value(), slope)


@aten("prelu", "TwoSlope")
def _prelu(call: Call) -> Value:
    slope = call.tensor("weight")
    return activations.prelu_by_channel(call.build, call.name, call.value(), slope)


@aten("_prelu_kernel", "TwoSlope")
def _prelu_kernel(call: Call) -> Value:
    return activations.prelu(call.build, call.name, call.value(), call.tensor("weight"))


def _bound(call: Call, key: str) -> Tensor | float | None:
    return None if call.arguments[key] is None else call.tensor(key)


@aten(("clamp", "clip"), "TwoSlope", note="constant bounds; one ReLU a bound")
def _clamp(call: Call) -> Value:
    bounds = _bound(call, "min"), _bound(call, "max")
    return activations.clamp(call.build, call.name, call.value(), *bounds)


@aten("clamp_min", "TwoSlope")
def _clamp_min(call: Call) -> Value:
    return activations.clamp(
        call.build, call.name, call.value(), call.tensor("min"), None
    )


@aten("clamp_max", "TwoSlope")
def _clamp_max(call: Call) -> Value:
    return activations.clamp(
        call.build, call.name, call.value(), None, call.tensor("max")
    )


@aten("hardtanh", "TwoSlope", note="two ReLUs")
def _hardtanh(call: Call) -> Value:
    bounds = call.number("min_val"), call.number("max_val")
    return activations.hardtanh(call.build, call.name, call.value(), *bounds)


@aten("relu6", "TwoSlope", note="two ReLUs")
def _relu6(call: Call) -> Value:
    return activations.relu6(call.build, call.name, call.value())


@aten("hardsigmoid", "TwoSlope", note="two ReLUs")
def _hardsigmoid(call: Call) -> Value:
    return activations.hardsigmoid(call.build, call.name, call.value())


@aten("softshrink", "TwoSlope", note="two ReLUs")
def _softshrink(call: Call) -> Value:
    width = call.number("lambd")
    return activations.softshrink(call.build, call.name, call.value(), width)


@aten("threshold", "TwoSlope", note="where it does not jump: threshold equal to value")
def _threshold(call: Call) -> Value:
    bound, value = call.number("threshold"), call.number("value")
    return activations.threshold(call.build, call.name, call.value(), bound, value)


@aten("cos", "Smooth", note="a shifted sine")
def _cos(call: Call) -> Value:
    quarter = add(call.build, f"{call.name}.quarter", call.value(), math.pi / 2)
    return call.build.smooth(call.name, quarter, smooth.SIN)


@aten("elu", "Smooth")
def _elu(call: Call) -> Value:
    parts = call.number("alpha"), call.number("scale"), call.number("input_scale")
    return call.build.smooth(call.name, call.value(), curves.elu(*parts))


@aten("selu", "Smooth")
def _selu(call: Call) -> Value:
    return activations.selu(call.build, call.name, call.value())


@aten("celu", "Smooth")
def _celu(call: Call) -> Value:
    return activations.celu(call.build, call.name, call.value(), call.number("alpha"))


@aten("gelu", "Smooth", note="erf and tanh form")
def _gelu(call: Call) -> Value:
    form = call.text("approximate")
    return activations.gelu(call.build, call.name, call.value(), form)


@aten("softplus", "Smooth")
def _softplus(call: Call) -> Value:
    parts = call.number("beta"), call.number("threshold")
    return activations.softplus(call.build, call.name, call.value(), *parts)


@aten("pow.Tensor_Scalar", "Smooth")
def _power(call: Call) -> Value:
    exponent = call.number("exponent")
    return activations.power(call.build, call.name, call.value(), exponent)


@aten("pow.Tensor_Tensor", "Smooth", note="one constant exponent")
def _power_tensor(call: Call) -> Value:
    exponent = as_float(call.tensor("exponent"))
    if exponent.unique().numel() != 1:
        raise RefusedError("its exponents differ")
    number = float(exponent.reshape(-1)[0])
    return activations.power(call.build, call.name, call.value(), number)


@aten("dropout", "Affine", note="in eval mode: the identity")
def _dropout(call: Call) -> Value:
    return _not_random(call, "p", "train", "input")


@aten(
    ("feature_dropout", "alpha_dropout", "feature_alpha_dropout"),
    "Affine",
    note="in eval mode: the identity",
)
def _feature_dropout(call: Call) -> Value:
    return _not_random(call, "p", "train", "input")


def _not_random(call: Call, share: str, flag: str, key: str) -> Value:
    if call.flag(flag) and call.number(share) != 0:
        raise RefusedError(
            "dropout in training mode draws at random; use module.eval() and training="
            "self.training"
        )
    return call.value(key)


@aten("native_dropout", "Affine", note="in eval mode: the identity")
def _native_dropout(call: Call) -> tuple[Value, ...]:
    return (_not_random(call, "p", "train", "input"),)
