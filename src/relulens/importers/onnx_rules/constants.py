"""Shapes and other constants; what is folded is listed for the table of operations."""

import numpy as np

from relulens.graph.coupled import Softmax
from relulens.graph.nodes import Coupled
from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import (
    Entry,
    Masked,
    Multiple,
    is_symbolic,
    settled,
)
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import BatchAxis, Value

ONNX = "ai.onnx"

_FOLDED = [
    "Constant",
    "ConstantOfShape",
    "Range",
    "EyeLike",
    "OneHot",
    "NonZero",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "And",
    "Or",
    "Not",
    "Xor",
    "Mod",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "IsInf",
    "Unique",
    "ReduceProd",
    "Compress",
    "TopK",
    "ScatterND",
    "ScatterElements",
    "GatherND",
    "BitShift",
    "If",
]


@register(ONNX, _FOLDED, "constant", note="where its arguments are constant")
def folded(step: Step) -> Value:
    """Refuse what is only worked out where it does not depend on the input.

    Raises:
        RefusedError: Always: folding comes before the rules.
    """
    raise RefusedError("it is known only where its arguments are constant")


@register(ONNX, "IsNaN", "constant", since=9, note="of a softmax: nowhere")
def is_nan(step: Step) -> np.ndarray:
    """Return where a softmax is NaN: nowhere, as a masked row gives zeros here.

    Raises:
        RefusedError: The argument is no softmax.
    """
    x = step.value()
    node = step.build.nodes[x.node]
    if not isinstance(node, Coupled) or not isinstance(node.function, Softmax):
        raise RefusedError("it asks whether numbers that depend on the input are NaN")
    return np.zeros((1,) * x.rank, dtype=bool)


def _lengths(entry: Value, fixed: bool) -> np.ndarray:
    lengths = np.empty(entry.rank, dtype=object)
    for i, dim in enumerate(entry.dims):
        if isinstance(dim, BatchAxis):
            lengths[i] = dim.factor if fixed else Multiple(dim.factor)
        else:
            lengths[i] = dim
    return lengths


def _seen(step: Step) -> Value:
    entry = step.entry(0)
    return entry.value if isinstance(entry, Masked) else step.value()


@register(ONNX, "Shape", "constant", note="the batch size stays a symbol")
def shape(step: Step) -> np.ndarray:
    """Return a value's axes, the batch's as a multiple of the unknown size."""
    x = _seen(step)
    start, end = step.integer("start", 0), step.integer("end", x.rank)
    return settled(_lengths(x, step.fixed)[start:end])


@register(ONNX, "Size", "constant", note="the batch size stays a symbol")
def size(step: Step) -> np.ndarray:
    """Return a value's number of entries."""
    total: int | Multiple = 1
    for length in _lengths(_seen(step), step.fixed):
        total = length * total
    result = np.empty((), dtype=object)
    result[()] = total
    return settled(result)


@register(ONNX, ("Identity", "Cast", "CastLike"), "Affine", note="floating point only")
def cast(step: Step) -> Entry:
    """Import a change of type as the identity.

    Raises:
        RefusedError: Numbers would be rounded to integers or truth values.
    """
    entry = step.entry(0)
    if step.operation == "Cast" and step.integer("to", 1) not in _FLOATING:
        raise RefusedError("it rounds numbers that depend on the input")
    if step.operation == "CastLike" and step.has(1):
        like = step.entry(1)
        if isinstance(like, np.ndarray) and not np.issubdtype(like.dtype, np.floating):
            raise RefusedError("it rounds numbers that depend on the input")
    if isinstance(entry, Masked):
        return entry
    if isinstance(entry, np.ndarray) and not is_symbolic(entry):
        return entry.astype(np.float64)  # Like a value, which is of floating point.
    x = step.value()
    return step.build.linear(step.name, x, x.dims)


_FLOATING = (1, 10, 11, 16)  # FLOAT, FLOAT16, DOUBLE, BFLOAT16 of TensorProto.
