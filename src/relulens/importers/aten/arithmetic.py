"""Rules of sums, products, maxima of two and selections by a constant condition."""

import math

import torch
from torch import Tensor

from relulens.importers.aten.call import Call, aten
from relulens.importers.aten.sources import Masked
from relulens.importers.operations import arithmetic as operations
from relulens.importers.operations.activations import (
    log_softmax,
    softmax,
    where_constant,
)
from relulens.importers.operations.products import attention, split_mask
from relulens.importers.operations.reductions import sum_over
from relulens.importers.operations.shapes import unsqueeze
from relulens.importers.registry import RefusedError
from relulens.importers.values import Value, as_float


def _closed(operand: Value | Tensor) -> bool:
    return isinstance(operand, Tensor) and bool((as_float(operand) == -math.inf).any())


def _masked_sum(call: Call, alpha: float) -> Value | Masked | None:
    """Return a sum with a mask of minus infinities, if it is one."""
    parts = [call.arguments["self"], call.arguments["other"]]
    held = [part for part in parts if isinstance(part, Masked)]
    if held:
        key = "other" if parts[0] is held[0] else "self"
        if alpha != 1.0:
            raise RefusedError("minus infinity has a meaning only inside a softmax")
        other = call.operand(key)
        total = operations.add(call.build, call.name, held[0].value, other)
        return Masked(total, held[0].mask)
    for key, other in (("self", "other"), ("other", "self")):
        mask, scores = call.operand(key), call.operand(other)
        if isinstance(mask, Tensor) and _closed(mask) and isinstance(scores, Value):
            if alpha != 1.0:
                raise RefusedError("minus infinity has a meaning only inside a softmax")
            bias, closed = split_mask(mask)
            total = scores
            if bias is not None:
                total = operations.add(call.build, call.name, scores, bias)
            return Masked(total, torch.zeros(1) if closed is None else closed)
    return None


@aten("add", "Affine", note="minus infinity in a constant is kept for a softmax")
def _add(call: Call) -> Value | Masked:
    alpha = call.number("alpha")
    masked = _masked_sum(call, alpha)
    if masked is not None:
        return masked
    x, y = call.operand("self"), call.operand("other")
    return operations.add(call.build, call.name, x, y, alpha)


@aten("sub", "Affine")
def _sub(call: Call) -> Value:
    x, y = call.operand("self"), call.operand("other")
    return operations.subtract(call.build, call.name, x, y, call.number("alpha"))


@aten("rsub", "Affine")
def _rsub(call: Call) -> Value:
    x, y = call.operand("other"), call.operand("self")
    return operations.subtract(call.build, call.name, x, y, call.number("alpha"))


@aten("neg", "Affine")
def _neg(call: Call) -> Value:
    return operations.negate(call.build, call.name, call.value())


@aten("mul", ("Affine", "Coupled"), note="by a constant, or of two nodes")
def _mul(call: Call) -> Value:
    return operations.multiply(
        call.build, call.name, call.operand("self"), call.operand("other")
    )


@aten("div", ("Affine", "Coupled"), note="by a constant, or of two nodes")
def _div(call: Call) -> Value:
    if call.arguments.get("rounding_mode") is not None:
        raise RefusedError("it rounds, so it is not continuous")
    return operations.divide(
        call.build, call.name, call.operand("self"), call.operand("other")
    )


@aten("maximum", "Maximum")
def _maximum(call: Call) -> Value:
    x, y = call.operand("self"), call.operand("other")
    return operations.maximum(call.build, call.name, x, y)


@aten("minimum", "Maximum")
def _minimum(call: Call) -> Value:
    x, y = call.operand("self"), call.operand("other")
    return operations.maximum(call.build, call.name, x, y, least=True)


aten("max.other", "Maximum")(_maximum)
aten("min.other", "Maximum")(_minimum)


@aten("matmul", ("Affine", "Coupled"), note="with a constant, or of two nodes")
def _matmul(call: Call) -> Value:
    x, y = call.operand("self"), call.operand("other")
    return operations.matmul(call.build, call.name, x, y)


@aten(("mm", "bmm"), ("Affine", "Coupled"))
def _mm(call: Call) -> Value:
    x, y = call.operand("self"), call.operand("mat2")
    return operations.matmul(call.build, call.name, x, y)


@aten("mv", "Affine")
def _mv(call: Call) -> Value:
    x, y = call.operand("self"), call.operand("vec")
    return operations.matmul(call.build, call.name, x, y)


@aten("linear", "Affine")
def _linear(call: Call) -> Value:
    x, bias = call.value("input"), call.optional_tensor("bias")
    return operations.linear(call.build, call.name, x, call.tensor("weight"), bias)


@aten("_trilinear", "Coupled", note="bilinear layers")
def _trilinear(call: Call) -> Value:
    product: Value | Tensor | float = 1.0
    for i in (1, 2, 3):
        part, axes = call.operand(f"i{i}"), call.integers(f"expand{i}")
        for axis in sorted(axes):
            name = f"{call.name}.factor{i}"
            if isinstance(part, Value):
                part = unsqueeze(call.build, name, part, [axis])
            else:
                part = part.unsqueeze(axis)
        if isinstance(part, Value) or isinstance(product, Value):
            name = f"{call.name}.product{i}"
            product = operations.multiply(call.build, name, product, part)
        else:
            product = part * product
    if not isinstance(product, Value):
        raise RefusedError("all three of its factors are constant")
    return sum_over(call.build, call.name, product, call.integers("sumdim"), False)


def _sum_with_product(call: Call, first: str, second: str) -> Value | Masked:
    beta, alpha = call.number("beta"), call.number("alpha")
    x, y, shift = call.operand(first), call.operand(second), call.operand("self")
    if beta == 1.0 and alpha == 1.0:
        match x, y, shift:
            case Value(), Tensor(ndim=2), Tensor(ndim=1) if not _closed(shift):
                return operations.linear(call.build, call.name, x, y.T, shift)
    product = operations.matmul(call.build, f"{call.name}.product", x, y)
    if alpha != 1.0:
        product = operations.multiply(call.build, f"{call.name}.scaled", product, alpha)
    if isinstance(shift, Tensor) and _closed(shift):
        bias, closed = split_mask(shift)
        if bias is not None:
            product = operations.add(call.build, call.name, product, bias)
        return Masked(product, torch.zeros(1) if closed is None else closed)
    return operations.add(call.build, call.name, product, shift, beta)


@aten("addmm", ("Affine", "Coupled"))
def _addmm(call: Call) -> Value | Masked:
    return _sum_with_product(call, "mat1", "mat2")


@aten("baddbmm", ("Affine", "Coupled"))
def _baddbmm(call: Call) -> Value | Masked:
    return _sum_with_product(call, "batch1", "batch2")


@aten("where.self", "Affine", note="constant condition")
def _where(call: Call) -> Value | Masked:
    condition = call.tensor("condition").to(torch.bool)
    return _selected(call, condition, "self", "other")


@aten("where.ScalarOther", "Affine", note="constant condition")
def _where_other(call: Call) -> Value | Masked:
    return _selected(call, call.tensor("condition").to(torch.bool), "self", "other")


@aten("where.ScalarSelf", "Affine", note="constant condition")
def _where_self(call: Call) -> Value | Masked:
    return _selected(call, call.tensor("condition").to(torch.bool), "self", "other")


def _selected(call: Call, condition: Tensor, yes: str, no: str) -> Value | Masked:
    x, y = call.operand(yes), call.operand(no)
    for scores, other, chosen in ((x, y, condition), (y, x, ~condition)):
        if isinstance(scores, Value) and isinstance(other, Tensor) and _closed(other):
            taken = torch.where(chosen, 0.0, as_float(other))
            return _with_mask(call, scores, taken)
    return where_constant(call.build, call.name, condition, x, y)


def _with_mask(call: Call, scores: Value, taken: Tensor) -> Masked:
    if not bool(((taken == 0) | (taken == -math.inf)).all()):
        raise RefusedError("it puts minus infinity and other numbers into one array")
    return Masked(scores, taken)


@aten(
    "masked_fill", "Affine", note="constant mask; minus infinity is kept for a softmax"
)
def _masked_fill(call: Call) -> Value | Masked:
    mask = call.tensor("mask").to(torch.bool)
    number = call.number("value")
    if number == -math.inf:
        closed = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(mask, number)
        held = call.arguments["self"]
        if isinstance(held, Masked):
            return Masked(held.value, held.mask + closed)
        return Masked(call.value(), closed)
    filled = torch.tensor(number, dtype=torch.float64)
    return where_constant(call.build, call.name, mask, filled, call.value())


@aten(
    ("softmax", "_softmax", "_safe_softmax", "special_softmax"),
    "Coupled",
    note="masked too; at the end of a model it is cut",
)
def _softmax(call: Call) -> Value:
    held, axis = call.arguments["self"], call.integer("dim")
    if isinstance(held, Masked):
        return softmax(call.build, call.name, held.value, axis, held.mask)
    return softmax(call.build, call.name, call.value(), axis)


@aten(
    ("log_softmax", "_log_softmax"), "Coupled", note="at the end of a model it is cut"
)
def _log_softmax(call: Call) -> Value:
    return log_softmax(call.build, call.name, call.value(), call.integer("dim"))


@aten("scaled_dot_product_attention", "Coupled", note="constant masks")
def _attention(call: Call) -> Value:
    if call.number("dropout_p") != 0:
        raise RefusedError("dropout in training mode draws at random")
    operands = [call.operand(key) for key in ("query", "key", "value")]
    if call.arguments.get("enable_gqa"):
        raise RefusedError("heads share keys: enable_gqa=True")
    return attention(
        call.build,
        call.name,
        operands[0],
        operands[1],
        operands[2],
        mask=call.optional_tensor("attn_mask"),
        causal=call.flag("is_causal"),
        scale=call.optional_number("scale"),
    )
