"""Choose the output of an exported graph; a softmax at its end is cut."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind
from torch.fx import Node as GraphNode
from torch.utils import _pytree as pytree

from relulens.errors import AmbiguousModelError, UnknownNameError
from relulens.importers.aten.names import Names, operation_name

_TAILS = frozenset([
    "softmax",
    "_softmax",
    "log_softmax",
    "_log_softmax",
    "argmax",
    "special_softmax",
])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Output:
    """The node that becomes the network's output.

    Attributes:
        node: The node.
        place: Which of the module's outputs it is, if it is one.
        cut: Operations behind it that were left out, the last first.
    """

    node: GraphNode
    place: int | None
    cut: tuple[GraphNode, ...]


def module_outputs(program: ExportedProgram) -> Mapping[str, tuple[int, GraphNode]]:
    """Return the arrays that the module returns, with their places, by name.

    A single one is ``"output"``; parts of a tuple are ``"output.0"``, of a dictionary
    ``"output.key"``.
    """
    last = next(node for node in program.graph.nodes if node.op == "output")
    held = last.args[0]
    flat = list(held) if isinstance(held, (tuple, list)) else [held]
    specs = program.graph_signature.output_specs
    returned = [
        node
        for node, spec in zip(flat, specs, strict=True)
        if spec.kind is OutputKind.USER_OUTPUT
    ]
    names = _names(program.call_spec.out_spec, len(returned))
    return {
        name: (place, node)
        for place, (name, node) in enumerate(zip(names, returned, strict=True))
        if isinstance(node, GraphNode)
        and isinstance(node.meta.get("val"), torch.Tensor)
    }


def _names(spec: pytree.TreeSpec | None, count: int) -> list[str]:
    if spec is None:
        return ["output"] if count == 1 else [f"output.{i}" for i in range(count)]
    tree = pytree.tree_unflatten(list(range(count)), spec)
    paths, _ = pytree.tree_flatten_with_path(tree)
    return [".".join(["output", *map(_word, path)]) for path, _ in paths]


def _word(key: object) -> str:
    match key:
        case pytree.SequenceKey(idx=place):
            return str(place)
        case pytree.MappingKey(key=word):
            return str(word)
        case pytree.GetAttrKey(name=word):
            return word
    return str(key)


def choose_output(
    program: ExportedProgram, names: Names, output: str | int | None
) -> Output:
    """Return the output that was asked for, or the only one with its tail cut.

    Args:
        program: The exported module.
        names: Names of its nodes.
        output: Place or name of an output, or the name of any node.

    Raises:
        AmbiguousModelError: There are several outputs, and none was asked for.
        UnknownNameError: Nothing has the name.
    """
    returned = module_outputs(program)
    if output is None:
        if len(returned) != 1:
            raise AmbiguousModelError(
                "output", list(returned), "Choose one with output=NAME."
            )
        place, node = next(iter(returned.values()))
        logits, cut = _without_tail(node)
        return Output(node=logits, place=None if cut else place, cut=cut)
    if isinstance(output, int):
        output = _name_at(returned, output)
    for name, (place, node) in returned.items():
        if output in (name, name.removeprefix("output.")):
            return Output(node=node, place=place, cut=())
    found = names.find(output)
    if found is None:
        raise UnknownNameError(output, [*returned, *names.all()])
    return Output(node=found, place=None, cut=())


def _name_at(returned: Mapping[str, tuple[int, GraphNode]], place: int) -> str:
    if not -len(returned) <= place < len(returned):
        raise UnknownNameError(str(place), list(returned))
    return list(returned)[place]


def _without_tail(node: GraphNode) -> tuple[GraphNode, tuple[GraphNode, ...]]:
    """Return the logits before a softmax or argmax at the end, and what was cut."""
    cut: list[GraphNode] = []
    while True:
        source = node.args[0] if node.args else None
        is_best = (
            node.target is operator.getitem
            and node.args[1] == 1
            and isinstance(source, GraphNode)
            and operation_name(source) == "max"
        )
        if not isinstance(source, GraphNode):
            return node, tuple(cut)
        if operation_name(node) in _TAILS:
            cut.append(node)
        elif not is_best:
            return node, tuple(cut)
        else:
            cut.append(source)
            source = source.all_input_nodes[0]
        node = source


def tail_names(cut: Sequence[GraphNode], names: Names) -> str:
    """Return the operations that were cut for a message, first to last."""
    return ", ".join(
        f"{operation_name(node).strip('_')} {names.nodes.get(node, node.name)!r}"
        for node in reversed(cut)
    )
