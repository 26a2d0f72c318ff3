"""Attributes of ONNX nodes as Python values."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import AttributeProto, numpy_helper

from relulens.importers.registry import RefusedError


def attribute_values(
    node: onnx.NodeProto, outer: dict[str, AttributeProto] | None = None
) -> dict[str, object]:
    """Return a node's attributes by name.

    Args:
        node: The node.
        outer: Attributes of the function call whose body the node stands in.

    Raises:
        RefusedError: An attribute has a type that no rule reads.
    """
    values: dict[str, object] = {}
    for attribute in node.attribute:
        given = attribute
        if attribute.ref_attr_name:
            found = (outer or {}).get(attribute.ref_attr_name)
            if found is None:
                continue
            given = found
        values[attribute.name] = _value(given)
    return values


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


_READERS: dict[int, Callable[[AttributeProto], object]] = {
    AttributeProto.FLOAT: lambda item: item.f,
    AttributeProto.INT: lambda item: item.i,
    AttributeProto.STRING: lambda item: _text(item.s),
    AttributeProto.TENSOR: lambda item: numpy_helper.to_array(item.t),
    AttributeProto.GRAPH: lambda item: item.g,
    AttributeProto.FLOATS: lambda item: list(item.floats),
    AttributeProto.INTS: lambda item: list(item.ints),
    AttributeProto.STRINGS: lambda item: [_text(raw) for raw in item.strings],
}


def _value(attribute: AttributeProto) -> object:
    reader = _READERS.get(attribute.type)
    if reader is None:
        kind = AttributeProto.AttributeType.Name(attribute.type)
        raise RefusedError(f"its attribute {attribute.name} is of type {kind}")
    return reader(attribute)


def constant_value(values: dict[str, object]) -> np.ndarray:
    """Return the array that a Constant node's attributes hold.

    Raises:
        RefusedError: It is sparse or text.
    """
    for name, given in values.items():
        if name == "value" and isinstance(given, np.ndarray):
            return given
        if name in ("value_float", "value_floats"):
            return np.array(given, dtype=np.float32)
        if name in ("value_int", "value_ints"):
            return np.array(given, dtype=np.int64)
    raise RefusedError(f"a constant given as {', '.join(values) or 'nothing'}")
