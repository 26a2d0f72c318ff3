"""Rules of sums, means, maxima and norms over axes."""

import math

import torch

from relulens.graph.maps import Scale
from relulens.graph.smooth import SQRT, SQUARE
from relulens.importers.aten.call import Call, aten
from relulens.importers.aten.sources import Missing, Source
from relulens.importers.operations import reductions as operations
from relulens.importers.operations.activations import absolute, power
from relulens.importers.operations.arithmetic import subtract
from relulens.importers.registry import RefusedError
from relulens.importers.values import Value


def _axes(call: Call, key: str = "dim") -> list[int] | None:
    """Return the axes, or nothing for all of them."""
    if call.arguments.get(key) is None:
        return None
    return call.integers(key) or None


def _kept(call: Call) -> bool:
    return bool(call.arguments.get("keepdim", False))


@aten("mean", "Affine")
def _mean(call: Call) -> Value:
    return operations.mean(
        call.build, call.name, call.value(), _axes(call), _kept(call)
    )


@aten("sum", "Affine")
def _sum(call: Call) -> Value:
    return operations.sum_over(
        call.build, call.name, call.value(), _axes(call), _kept(call)
    )


@aten("amax", "Maximum")
def _amax(call: Call) -> Value:
    return operations.maximum_over(
        call.build, call.name, call.value(), _axes(call), _kept(call)
    )


@aten("amin", "Maximum")
def _amin(call: Call) -> Value:
    return operations.maximum_over(
        call.build, call.name, call.value(), _axes(call), _kept(call), least=True
    )


_PLACES = Missing("positions of maxima are not continuous")


@aten("max.dim", "Maximum", note="values only")
def _max(call: Call) -> tuple[Source, ...]:
    return _amax(call), _PLACES


@aten("min.dim", "Maximum", note="values only")
def _min(call: Call) -> tuple[Source, ...]:
    return _amin(call), _PLACES


aten("max.default", "Maximum")(_amax)
aten("min.default", "Maximum")(_amin)


@aten("logsumexp", "Coupled")
def _logsumexp(call: Call) -> Value:
    return operations.log_sum_exp(
        call.build, call.name, call.value(), _axes(call), _kept(call)
    )


@aten("cumsum", "Affine")
def _cumsum(call: Call) -> Value:
    return operations.cumulative_sum(
        call.build, call.name, call.value(), call.integer("dim")
    )


def _variance(call: Call, name: str) -> Value:
    x, axes = call.value(), _axes(call)
    places = operations.reduced_axes(x, axes)
    count = math.prod(x.shape[x.axis(place)] for place in places)
    correction = 1.0
    if "correction" in call.arguments and call.arguments["correction"] is not None:
        correction = call.number("correction")
    elif call.arguments.get("unbiased") is False:
        correction = 0.0
    if count <= correction:
        raise RefusedError(f"a variance of {count} entries is not defined")
    centre = operations.mean(call.build, f"{name}.mean", x, places, True)
    gap = subtract(call.build, f"{name}.deviation", x, centre)
    square = call.build.smooth(f"{name}.square", gap, SQUARE)
    total = operations.sum_over(call.build, f"{name}.sum", square, places, _kept(call))
    share = torch.tensor(1 / (count - correction), dtype=torch.float64)
    return call.build.linear(name, total, total.dims, Scale(share, total.shape))


@aten("var", ("Smooth", "Affine"))
def _var(call: Call) -> Value:
    return _variance(call, call.name)


@aten("std", ("Smooth", "Affine"), note="infinite slope where the variance is zero")
def _std(call: Call) -> Value:
    inner = _variance(call, f"{call.name}.variance")
    return call.build.smooth(call.name, inner, SQRT)


@aten("var_mean", ("Smooth", "Affine"))
def _var_mean(call: Call) -> tuple[Source, ...]:
    inner = _variance(call, call.name)
    centre = operations.mean(
        call.build, f"{call.name}.centre", call.value(), _axes(call), _kept(call)
    )
    return inner, centre


@aten(
    "linalg_vector_norm",
    ("TwoSlope", "Smooth", "Maximum"),
    note="orders 1, 2, even ones and infinity",
)
def _norm(call: Call) -> Value:
    order, axes, kept = call.number("ord"), _axes(call), _kept(call)
    build, name, x = call.build, call.name, call.value()
    if order in (1, math.inf):
        size = absolute(build, f"{name}.abs", x)
        if order == 1:
            return operations.sum_over(build, name, size, axes, kept)
        return operations.maximum_over(build, name, size, axes, kept)
    if order < 2 or order % 2:
        raise RefusedError(f"a norm of order {order:g} has no rule")
    powers = power(build, f"{name}.power", x, order)
    total = operations.sum_over(build, f"{name}.sum", powers, axes, kept)
    return power(build, name, total, 1 / order)
