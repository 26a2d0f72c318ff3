"""Which tensor is the output: classifier tails are cut, logits are the default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from relulens.errors import AmbiguousModelError, UnknownNameError

# What a tail ends in, and which of its inputs the logits come by.
_CUT = {
    "Softmax": 0,
    "LogSoftmax": 0,
    "ArgMax": 0,
    "ArgMin": 0,
    "Hardmax": 0,
    "ZipMap": 0,
    "TopK": 0,
}
# What may follow it; labels are looked up in a list by the index.
_FOLLOWS = {
    "Cast": 0,
    "Identity": 0,
    "Reshape": 0,
    "Flatten": 0,
    "Squeeze": 0,
    "Unsqueeze": 0,
    "ArrayFeatureExtractor": 1,
    "Gather": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Where the import ends.

    Attributes:
        tensor: Name of the tensor that is the network's output.
        notes: What was left out, in words.
    """

    tensor: str
    notes: tuple[str, ...] = ()


def ending(graph: onnx.GraphProto, output: str | None) -> Ending:
    """Return the output that was asked for, or the logits of the only output.

    Args:
        graph: The graph.
        output: Name of a tensor or a node, or nothing.

    Raises:
        UnknownNameError: No tensor or node has this name.
        AmbiguousModelError: There are several outputs, and none was chosen.
    """
    if output is not None:
        return Ending(tensor=_chosen(graph, output))
    producers = {name: node for node in graph.node for name in node.output if name}
    names = [item.name for item in graph.output]
    inner = [_before_tail(name, producers) for name in names]
    if len(set(inner)) != 1:
        advice = (
            "Choose one with output=NAME; any tensor or node name of the graph will do."
        )
        raise AmbiguousModelError("output", names, advice)
    if inner[0] == names[0]:
        return Ending(tensor=names[0])
    tail = _operations(names, inner[0], producers)
    kept = ", ".join(f"output={name!r}" for name in names)
    note = (
        f"the model ends in {tail}: that tail is left out and the output is the logits"
        f" {inner[0]!r}; {kept} keeps it"
    )
    return Ending(tensor=inner[0], notes=(note,))


def _chosen(graph: onnx.GraphProto, output: str) -> str:
    tensors = [name for node in graph.node for name in node.output if name]
    tensors += [item.name for item in graph.input]
    if output in tensors:
        return output
    for node in graph.node:
        if node.name == output:
            return next(name for name in node.output if name)
    names = [*tensors, *(node.name for node in graph.node if node.name)]
    raise UnknownNameError(output, names)


def _before_tail(name: str, producers: Mapping[str, onnx.NodeProto]) -> str:
    """Return the tensor that a tail ending in a name starts at, or the name itself."""
    node = producers.get(name)
    if node is None:
        return name
    if node.op_type in _CUT and len(node.input) > _CUT[node.op_type]:
        source = node.input[_CUT[node.op_type]]
        # A model that is nothing but a softmax keeps it.
        return _before_tail(source, producers) if source in producers else name
    if node.op_type in _FOLLOWS and len(node.input) > _FOLLOWS[node.op_type]:
        source = node.input[_FOLLOWS[node.op_type]]
        inner = _before_tail(source, producers)
        return inner if inner != source else name
    return name


def _operations(
    names: Sequence[str], inner: str, producers: Mapping[str, onnx.NodeProto]
) -> str:
    found: list[str] = []
    for start in names:
        name = start
        while name != inner and name in producers:
            node = producers[name]
            if node.op_type in _CUT and node.op_type not in found:
                found.append(node.op_type)
            place = _CUT.get(node.op_type, _FOLLOWS.get(node.op_type, 0))
            name = node.input[place]
    return " and ".join(found)
