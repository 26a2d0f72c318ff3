"""Functions with a body: the model's own, and those that the standard spells out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from relulens.importers.onnx_model.symbols import Entry, Masked, PerSample
from relulens.importers.values import BatchAxis, Value


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Body:
    """The nodes that a function call stands for.

    Attributes:
        proto: The function.
        versions: Versions of the operation sets inside it, by domain.
    """

    proto: onnx.FunctionProto
    versions: dict[str, int]


def body_of(
    node: onnx.NodeProto,
    functions: dict[tuple[str, str, str], onnx.FunctionProto],
    versions: dict[str, int],
    inputs: Sequence[Entry | None],
    dtype: np.dtype,
) -> Body | None:
    """Return the body of a node's operation, if it has one.

    Args:
        node: The node.
        functions: The model's own functions by domain, name and overload.
        versions: Versions of the operation sets where the node stands.
        inputs: What its inputs stand for.
        dtype: Type of the values.
    """
    local = functions.get((node.domain, node.op_type, node.overload))
    if local is not None:
        sets = {item.domain or "ai.onnx": item.version for item in local.opset_import}
        return Body(proto=local, versions={**versions, **sets})
    version = versions.get(node.domain or "ai.onnx")
    if version is None or not onnx.defs.has(node.op_type, version, node.domain):
        return None
    schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    proto = _schema_body(schema, node, inputs, dtype)
    if proto is None:
        return None
    sets = {item.domain or "ai.onnx": item.version for item in proto.opset_import}
    return Body(proto=proto, versions={**versions, **sets})


def _schema_body(
    schema: onnx.defs.OpSchema,
    node: onnx.NodeProto,
    inputs: Sequence[Entry | None],
    dtype: np.dtype,
) -> onnx.FunctionProto | None:
    if schema.has_function:  # pyrefly: ignore[missing-attribute]
        found = schema.function_body
        return found if isinstance(found, onnx.FunctionProto) else _parsed(found)
    # The stubs of onnx leave these out.
    if schema.has_context_dependent_function:  # pyrefly: ignore[missing-attribute]
        types = [_type(entry, dtype).SerializeToString() for entry in inputs]
        spell_out = schema.get_context_dependent_function  # pyrefly: ignore
        content = spell_out(node.SerializeToString(), types)
        return _parsed(content) if content else None
    return None


def _parsed(content: bytes) -> onnx.FunctionProto:
    proto = onnx.FunctionProto()
    proto.ParseFromString(content)
    return proto


def _type(entry: Entry | None, dtype: np.dtype) -> onnx.TypeProto:
    """Return what the standard needs to know of an input to spell a function out."""
    if isinstance(entry, Masked):
        return _type(entry.value, dtype)
    if isinstance(entry, Value):
        shape = ["N" if isinstance(d, BatchAxis) else d for d in entry.dims]
        kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
        return onnx.helper.make_tensor_type_proto(kind, shape)
    array = entry.array if isinstance(entry, PerSample) else entry
    if not isinstance(array, np.ndarray):
        return onnx.TypeProto()
    if array.dtype == object:
        return onnx.helper.make_tensor_type_proto(TensorProto.INT64, array.shape)
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor_type_proto(kind, array.shape)
