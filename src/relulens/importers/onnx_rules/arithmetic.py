"""Sums, products, quotients, powers and maxima of values and constants."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from relulens.errors import NotFiniteError
from relulens.graph.smooth import EXP, SQUARE
from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import Masked, PerSample, for_one
from relulens.importers.operations import activations, arithmetic
from relulens.importers.operations.arithmetic import Operand
from relulens.importers.operations.indexing import stack
from relulens.importers.operations.products import split_mask
from relulens.importers.operations.reductions import maximum_over
from relulens.importers.operations.shapes import expand
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Dims, Value, broadcast_dims

ONNX = "ai.onnx"


def _mask_of(step: Step, place: int) -> Tensor | None:
    """Return a constant input with minus infinities in it, nothing if it has none."""
    entry = step.entry(place)
    if not isinstance(entry, (np.ndarray, PerSample)):
        return None
    array = for_one(entry)
    closed = np.issubdtype(array.dtype, np.floating) and bool(np.isneginf(array).any())
    return torch.from_numpy(np.array(array, dtype=np.float64)) if closed else None


@register(ONNX, "Add", "Affine")
def add(step: Step) -> Value | Masked:
    """Import a sum; minus infinities are kept for a softmax."""
    for place in (0, 1):
        mask = _mask_of(step, place)
        if mask is not None:
            return _masked(step, step.entry(1 - place), mask)
    for place in (0, 1):
        entry = step.entry(place)
        if isinstance(entry, Masked):
            total = arithmetic.add(
                step.build, step.name, entry.value, step.operand(1 - place)
            )
            return Masked(total, entry.mask)
    return arithmetic.add(step.build, step.name, step.operand(0), step.operand(1))


def _masked(step: Step, other: object, mask: Tensor) -> Masked:
    bias, closed = split_mask(mask)
    if isinstance(other, Masked) and closed is not None:
        x, closed = other.value, closed + other.mask
    elif isinstance(other, Value):
        x = other
    else:
        raise RefusedError("it adds minus infinity to a constant")
    if closed is None:
        raise RefusedError("its mask is empty")
    shift = torch.zeros(mask.shape, dtype=torch.float64) if bias is None else bias
    if not bool(torch.isfinite(shift).all()):
        raise NotFiniteError(
            f"cannot import {step.name!r}: its mask holds NaN or plus infinity. Use 0"
            " and minus infinity."
        )
    return Masked(arithmetic.add(step.build, step.name, x, shift), closed)


@register(ONNX, "Sub", "Affine")
def subtract(step: Step) -> Value:
    """Import a difference."""
    return arithmetic.subtract(step.build, step.name, step.operand(0), step.operand(1))


@register(ONNX, "Neg", "Affine")
def negate(step: Step) -> Value:
    """Import a negative."""
    return arithmetic.negate(step.build, step.name, step.value())


@register(
    ONNX, "Mul", ("Affine", "Coupled"), note="two values: Coupled; a square: Smooth"
)
def multiply(step: Step) -> Value:
    """Import a product."""
    x, y = step.operand(0), step.operand(1)
    if isinstance(x, Value) and isinstance(y, Value) and x == y:
        return step.build.smooth(step.name, x, SQUARE)
    return arithmetic.multiply(step.build, step.name, x, y)


@register(ONNX, "Div", ("Affine", "Coupled"), note="two values: Coupled")
def divide(step: Step) -> Value:
    """Import a quotient.

    Raises:
        RefusedError: The divisor is a constant that holds a zero.
    """
    x, y = step.operand(0), step.operand(1)
    if not isinstance(y, Value) and not bool((torch.as_tensor(y) != 0).all()):
        raise RefusedError("it divides by a constant that holds zeros")
    return arithmetic.divide(step.build, step.name, x, y)


@register(ONNX, "Pow", "Smooth", note="one of the two constant, exponents all the same")
def power(step: Step) -> Value:
    """Import a power of a value, or of a constant."""
    base, exponent = step.operand(0), step.operand(1)
    if isinstance(base, Value) and not isinstance(exponent, Value):
        numbers = torch.as_tensor(exponent).unique()
        if numbers.numel() != 1:
            raise RefusedError(f"it has {numbers.numel()} different exponents")
        x = expand(step.build, step.name, base, _joint(base, torch.as_tensor(exponent)))
        raised = activations.power(step.build, step.name, x, float(numbers[0]))
        return raised
    if not isinstance(base, Value) and isinstance(exponent, Value):
        numbers = torch.as_tensor(base)
        if not bool((numbers > 0).all()):
            raise RefusedError("it raises numbers that are not positive")
        logarithms = torch.log(numbers)
        scaled = arithmetic.multiply(
            step.build, f"{step.name}.scaled", exponent, logarithms
        )
        return step.build.smooth(step.name, scaled, EXP)
    raise RefusedError("base and exponent both depend on the input")


def _joint(x: Value, constant: Tensor) -> Dims:
    shape = tuple(constant.shape)
    return x.dims if constant.numel() == 1 and len(shape) <= x.rank else shape


def _operands(step: Step) -> list[Operand]:
    return [step.operand(i) for i in range(len(step.inputs))]


@register(ONNX, "Sum", "Affine")
def total(step: Step) -> Value:
    """Import a sum of any number of operands."""
    return _chained(step, _operands(step), step.name)


def _chained(step: Step, operands: list[Operand], name: str) -> Value:
    constants = [o for o in operands if not isinstance(o, Value)]
    values = [o for o in operands if isinstance(o, Value)]
    result: Operand = values[0]
    rest: list[Operand] = [*values[1:], *constants]
    for i, operand in enumerate(rest):
        label = name if i == len(rest) - 1 else f"{name}.{i}"
        result = arithmetic.add(step.build, label, result, operand)
    if not rest and isinstance(result, Value):
        return step.build.linear(name, result, result.dims)
    return _value(result)


def _value(operand: Operand) -> Value:
    if not isinstance(operand, Value):
        raise RefusedError("none of its operands depends on the input")
    return operand


@register(ONNX, "Mean", "Affine")
def average(step: Step) -> Value:
    """Import the mean of any number of operands."""
    operands = _operands(step)
    total = _chained(step, operands, f"{step.name}.sum")
    return arithmetic.multiply(step.build, step.name, total, 1.0 / len(operands))


def _extreme(step: Step, *, least: bool) -> Value:
    operands = _operands(step)
    values = [o for o in operands if isinstance(o, Value)]
    constants = [torch.as_tensor(o) for o in operands if not isinstance(o, Value)]
    pick: Callable[[Tensor, Tensor], Tensor] = torch.minimum if least else torch.maximum
    bound: Tensor | None = None
    for constant in constants:
        bound = constant if bound is None else pick(bound, constant)
    if len(values) == 1:
        if bound is None:
            return step.build.linear(step.name, values[0], values[0].dims)
        return arithmetic.maximum(step.build, step.name, values[0], bound, least=least)
    if len(values) == 2 and bound is None:
        return arithmetic.maximum(step.build, step.name, *values, least=least)
    return _extreme_of_many(step, values, bound, least=least)


def _extreme_of_many(
    step: Step, values: list[Value], bound: Tensor | None, *, least: bool
) -> Value:
    """Take one extreme over all values, then one with the constants."""
    dims = values[0].dims
    for value in values[1:]:
        dims = broadcast_dims(dims, value.dims)
    wide = [expand(step.build, step.name, value, dims) for value in values]
    joined = stack(step.build, f"{step.name}.all", wide, 0)
    name = step.name if bound is None else f"{step.name}.values"
    best = maximum_over(step.build, name, joined, [0], False, least=least)
    if bound is None:
        return best
    return arithmetic.maximum(step.build, step.name, best, bound, least=least)


@register(ONNX, "Max", "Maximum")
def maximum(step: Step) -> Value:
    """Import the entrywise maximum of any number of operands."""
    return _extreme(step, least=False)


@register(ONNX, "Min", "Maximum")
def minimum(step: Step) -> Value:
    """Import the entrywise minimum of any number of operands."""
    return _extreme(step, least=True)


@register(ONNX, "Where", "Affine", note="constant condition")
def where(step: Step) -> Value | Masked:
    """Import a choice by a constant condition; minus infinity is kept for a softmax."""
    condition = torch.from_numpy(np.array(step.array(0), dtype=bool))
    for place, chosen in ((1, condition), (2, ~condition)):
        mask = _mask_of(step, place)
        other = step.entry(3 - place)
        if mask is not None and isinstance(other, (Value, Masked)):
            filled = torch.where(chosen, mask, torch.zeros((), dtype=torch.float64))
            if bool((torch.where(chosen, mask, -torch.inf) == -torch.inf).all()):
                return _masked(step, other, filled)
            raise RefusedError("it mixes minus infinities and numbers into a value")
    x, y = (_branch(step, place) for place in (1, 2))
    return activations.where_constant(step.build, step.name, condition, x, y)


def _branch(step: Step, place: int) -> Value | Tensor:
    entry = step.entry(place)
    if isinstance(entry, Value):
        return entry
    return torch.from_numpy(np.array(step.array(place), dtype=np.float64))


@register("ai.onnx.ml", "Scaler", "Affine")
def scaler(step: Step) -> Value:
    """Import ``(x - offset) scale``."""
    offset, scale = step.numbers("offset") or [0.0], step.numbers("scale") or [1.0]
    shift = torch.tensor(offset, dtype=torch.float64)
    moved = arithmetic.subtract(step.build, f"{step.name}.offset", step.value(), shift)
    factor = torch.tensor(scale, dtype=torch.float64)
    return arithmetic.multiply(step.build, step.name, moved, factor)
