"""Constants and the arithmetic of shapes, worked out while the graph is read."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from relulens.importers.onnx_model.symbols import (
    Multiple,
    PerSample,
    for_one,
    is_symbolic,
    settled,
)
from relulens.importers.registry import RefusedError

Arguments: TypeAlias = Sequence[np.ndarray | None]
Attributes: TypeAlias = dict[str, object]
Number: TypeAlias = int | Multiple

# Reading the value for N = 1 is right for these, as they treat samples alike.
_SAMPLEWISE = frozenset((
    "Abs",
    "Add",
    "And",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Concat",
    "ConstantOfShape",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Floor",
    "Gather",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "Identity",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "MatMul",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "Relu",
    "Reshape",
    "Round",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "Where",
))
_RANDOM = (
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
)


def folded(
    node: onnx.NodeProto,
    version: int,
    inputs: Sequence[np.ndarray | PerSample | None],
    attributes: Attributes,
) -> list[np.ndarray | PerSample]:
    """Return the outputs of a node whose inputs are constant.

    Args:
        node: The node.
        version: Version of its operation set.
        inputs: What its inputs stand for.
        attributes: Its attributes.

    Raises:
        RefusedError: It is random, or does with the batch size what has no meaning
            here.
    """
    if node.op_type in _RANDOM:
        raise RefusedError("its result is random")
    repeated = any(isinstance(entry, PerSample) for entry in inputs)
    symbolic = any(is_symbolic(entry) for entry in inputs)
    if symbolic and not repeated and node.op_type in _ARITHMETIC:
        arrays = [None if e is None else _plain(e) for e in inputs]
        return [settled(_ARITHMETIC[node.op_type](arrays, attributes))]
    arrays = [None if entry is None else for_one(entry) for entry in inputs]
    if not (symbolic or repeated):
        return list(evaluated(node, version, arrays))
    if node.op_type not in _SAMPLEWISE:
        raise RefusedError("it reads the batch size")
    return [PerSample(array) for array in evaluated(node, version, arrays)]


def _plain(entry: "np.ndarray | PerSample") -> np.ndarray:
    return entry.array if isinstance(entry, PerSample) else entry


def evaluated(
    node: onnx.NodeProto, version: int, arrays: Arguments
) -> list[np.ndarray]:
    """Return a node's outputs for given inputs, by the reference implementation."""
    if node.op_type in _MOVES and not node.domain:
        return [_MOVES[node.op_type](arrays)]
    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    names = [f"in{i}" if array is not None else "" for i, array in enumerate(arrays)]
    del bare.input[:]
    bare.input.extend(names)
    outputs = [f"out{i}" if name else "" for i, name in enumerate(node.output)]
    del bare.output[:]
    bare.output.extend(outputs)
    graph = onnx.helper.make_graph(
        [bare],
        "constant",
        [onnx.ValueInfoProto(name=name) for name in names if name],
        [onnx.ValueInfoProto(name=name) for name in outputs if name],
    )
    sets = [onnx.helper.make_opsetid(node.domain, version)]
    model = onnx.helper.make_model(graph, opset_imports=sets)
    feeds = {name: array for name, array in zip(names, arrays, strict=True) if name}
    found = ReferenceEvaluator(model).run(None, feeds)
    return [np.asarray(array) for array in found]


_MOVES: dict[str, Callable[[Arguments], np.ndarray]] = {
    "Identity": lambda arrays: _given(arrays, 0),
}


def _given(arrays: Arguments, place: int) -> np.ndarray:
    array = arrays[place] if place < len(arrays) else None
    if array is None:
        raise RefusedError(f"its input {place} is missing")
    return array


def _axes(
    arrays: Arguments, attributes: Attributes, place: int = 1
) -> list[int] | None:
    if place < len(arrays) and arrays[place] is not None:
        return [int(axis) for axis in _given(arrays, place).reshape(-1)]
    listed = attributes.get("axes")
    return [int(axis) for axis in listed] if isinstance(listed, list) else None


def _gather(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    axis = attributes.get("axis", 0)
    index = _given(arrays, 1)
    if is_symbolic(index) or not isinstance(axis, int):
        raise RefusedError("it reads a list at the batch size")
    return np.asarray(_given(arrays, 0).take(index.astype(np.int64), axis), object)


def _concat(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    return np.concatenate([
        np.atleast_1d(_given(arrays, i)) for i in range(len(arrays))
    ])


def _squeeze(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    axes = _axes(arrays, attributes)
    return np.squeeze(_given(arrays, 0), None if axes is None else tuple(axes))


def _unsqueeze(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    return np.expand_dims(_given(arrays, 0), tuple(_axes(arrays, attributes) or ()))


def _list(attributes: Attributes, name: str) -> list[int]:
    listed = attributes.get(name)
    return [int(number) for number in listed] if isinstance(listed, list) else []


def _slice(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    data = _given(arrays, 0)
    starts, stops = (
        _entries(arrays, place) or _list(attributes, name)
        for place, name in ((1, "starts"), (2, "ends"))
    )
    axes = _axes(arrays, attributes, 3) or list(range(len(starts)))
    steps = _entries(arrays, 4) or [1] * len(starts)
    where = [slice(None)] * data.ndim
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        if any(isinstance(bound, Multiple) for bound in (start, stop, step)):
            raise RefusedError("it cuts a list at the batch size")
        where[axis] = slice(start, stop, step)
    return data[tuple(where)]


def _entries(arrays: Arguments, place: int) -> list[Number]:
    array = arrays[place] if place < len(arrays) else None
    return [] if array is None else array.reshape(-1).tolist()


def _reshape(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    shape = [int(n) for n in _given(arrays, 1).reshape(-1)]
    data = _given(arrays, 0)
    return data.reshape([data.shape[i] if n == 0 else n for i, n in enumerate(shape)])


def _where(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    condition = _given(arrays, 0).astype(bool)
    return np.where(condition, _given(arrays, 1), _given(arrays, 2))


def _product(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    axes = _axes(arrays, attributes)
    total = np.multiply.reduce(_given(arrays, 0), None if axes is None else tuple(axes))
    keep = attributes.get("keepdims", 1)
    shape = (1,) * _given(arrays, 0).ndim if keep else ()
    return np.array(total, dtype=object).reshape(shape)


def _elementwise(
    function: Callable[[Number, Number], object],
) -> Callable[[Arguments, Attributes], np.ndarray]:
    def apply(arrays: Arguments, attributes: Attributes) -> np.ndarray:
        first, second = np.broadcast_arrays(_given(arrays, 0), _given(arrays, 1))
        pairs = zip(
            first.astype(object).reshape(-1),
            second.astype(object).reshape(-1),
            strict=True,
        )
        result = np.empty(first.size, dtype=object)
        for i, (a, b) in enumerate(pairs):
            result[i] = function(a, b)
        return result.reshape(first.shape)

    return apply


def _quotient(a: Number, b: Number) -> Number:
    if isinstance(a, Multiple):
        return a // b
    if isinstance(b, Multiple):
        raise RefusedError("it divides by the batch size")
    return a // b if a % b == 0 else int(a / b)


def _equal(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    # A multiple of N equals no fixed number for every N.
    return _elementwise(lambda a, b: a == b)(arrays, attributes).astype(bool)


def _same(arrays: Arguments, attributes: Attributes) -> np.ndarray:
    return _given(arrays, 0)


_ARITHMETIC: dict[str, Callable[[Arguments, Attributes], np.ndarray]] = {
    "Gather": _gather,
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Reshape": _reshape,
    "Where": _where,
    "ReduceProd": _product,
    "Equal": _equal,
    "Identity": _same,
    "Shape": lambda arrays, attributes: np.array(_given(arrays, 0).shape),
    "Cast": _same,
    "Floor": _same,
    "Ceil": _same,
    "Add": _elementwise(lambda a, b: a + b),
    "Sub": _elementwise(lambda a, b: a - b),
    "Mul": _elementwise(lambda a, b: a * b),
    "Div": _elementwise(_quotient),
}
