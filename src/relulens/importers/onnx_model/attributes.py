"""Attributes of ONNX nodes as Python values."""

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


def _value(attribute: AttributeProto) -> object:
    match attribute.type:
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.STRING:
            return attribute.s.decode("utf-8", "replace")
        case AttributeProto.TENSOR:
            return numpy_helper.to_array(attribute.t)
        case AttributeProto.GRAPH:
            return attribute.g
        case AttributeProto.FLOATS:
            return list(attribute.floats)
        case AttributeProto.INTS:
            return list(attribute.ints)
        case AttributeProto.STRINGS:
            return [text.decode("utf-8", "replace") for text in attribute.strings]
    kind = AttributeProto.AttributeType.Name(attribute.type)
    raise RefusedError(f"its attribute {attribute.name} is of type {kind}")


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
