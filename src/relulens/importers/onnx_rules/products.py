"""Matrix products and dense layers."""

import torch
from torch import Tensor

from relulens.importers.onnx_model.step import Step
from relulens.importers.operations import arithmetic
from relulens.importers.operations.arithmetic import Operand
from relulens.importers.operations.shapes import permute
from relulens.importers.registry import register
from relulens.importers.values import Value, sample_constant

ONNX = "ai.onnx"


@register(ONNX, "MatMul", ("Affine", "Coupled"), note="two values: Coupled")
def matmul(step: Step) -> Value:
    """Import a matrix product."""
    return arithmetic.matmul(step.build, step.name, step.operand(0), step.operand(1))


def _turned(step: Step, operand: Operand, turn: bool) -> Operand:
    if not turn:
        return operand
    if isinstance(operand, Value):
        return permute(step.build, f"{step.name}.transposed", operand, [1, 0])
    return torch.as_tensor(operand).mT


@register(ONNX, "Gemm", ("Affine", "Coupled"), note="two values: Coupled")
def gemm(step: Step) -> Value:
    """Import ``alpha A B + beta C``, A and B transposed on demand."""
    a = _turned(step, step.operand(0), bool(step.integer("transA", 0)))
    b = _turned(step, step.operand(1), bool(step.integer("transB", 0)))
    alpha, beta = step.number("alpha", 1.0), step.number("beta", 1.0)
    shift: Operand | None = step.operand(2) if step.has(2) else None
    if (
        isinstance(a, Value)
        and not isinstance(b, Value)
        and not isinstance(shift, Value)
    ):
        return _dense(step, a, alpha * torch.as_tensor(b), shift, beta)
    if not isinstance(a, Value):
        a = alpha * torch.as_tensor(a)
    elif not isinstance(b, Value):
        b = alpha * torch.as_tensor(b)
    product = arithmetic.matmul(step.build, f"{step.name}.product", a, b)
    if alpha != 1.0 and isinstance(a, Value) and isinstance(b, Value):
        product = arithmetic.multiply(step.build, f"{step.name}.alpha", product, alpha)
    if shift is None or beta == 0.0:
        return step.build.linear(step.name, product, product.dims)
    return arithmetic.add(step.build, step.name, product, shift, beta)


def _dense(
    step: Step, x: Value, weight: Tensor, shift: Operand | None, beta: float
) -> Value:
    """Return a dense layer as one node."""
    bias = None
    if shift is not None and not isinstance(shift, Value) and beta != 0.0:
        dims = (*x.dims[:-1], weight.shape[1])
        bias = sample_constant(beta * torch.as_tensor(shift), dims)
    return arithmetic.linear(step.build, step.name, x, weight.mT.contiguous(), bias)
