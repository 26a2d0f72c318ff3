"""Walk over an exported graph and apply the rule of every node."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import SymInt, Tensor
from torch.fx import Node as GraphNode

from relulens.errors import InvalidArgumentError, NotFiniteError, OffendingNode
from relulens.importers.aten.call import DOMAIN, Call
from relulens.importers.aten.names import Names, operation_name
from relulens.importers.aten.sources import (
    Constant,
    Masked,
    Missing,
    Source,
    applied,
    size_at,
    target_of,
)
from relulens.importers.builder import Builder
from relulens.importers.registry import RefusedError, Rule, find
from relulens.importers.values import Value, lengths

_REASONS = {
    "embedding": "start at the embedding's output: a network's input is an array of"
    " numbers that move continuously, not token ids",
    "embedding_bag": "start at the embedding's output",
    "argmax": "positions of maxima are not continuous",
    "argmin": "positions of minima are not continuous",
    "topk": "it sorts, so its positions are not continuous",
    "sort": "it sorts, so its positions are not continuous",
}
_JUMPS = frozenset([
    "sign",
    "floor",
    "ceil",
    "round",
    "trunc",
    "gt",
    "ge",
    "lt",
    "le",
    "eq",
    "ne",
    "bitwise_not",
    "logical_not",
    "one_hot",
    "bucketize",
    "heaviside",
    "hardshrink",
    "bernoulli",
])


_FROM_SHAPE = frozenset([
    "zeros_like",
    "ones_like",
    "full_like",
    "empty_like",
    "new_zeros",
    "new_ones",
    "new_full",
])


def find_rule(node: GraphNode) -> Rule | None:
    """Return the rule of a node: of its overload, else of its operation."""
    target = node.target
    return find_operation(target) if isinstance(target, torch._ops.OpOverload) else None


def find_operation(operation: torch._ops.OpOverload) -> Rule | None:
    """Return the rule of an overload, else of its operation."""
    if operation.namespace != DOMAIN:
        return None
    name = operation.overloadpacket.__name__
    overload = f"{name}.{operation._overloadname}"
    return find(DOMAIN, overload) or find(DOMAIN, name)


def _no_rule(node: GraphNode) -> str:
    name = operation_name(node)
    if name in _REASONS:
        return _REASONS[name]
    return "it jumps, so it is not continuous" if name in _JUMPS else "no rule"


@dataclass(slots=True, eq=False, kw_only=True)
class Walk:
    """The state of a walk.

    Attributes:
        build: The network under construction.
        names: What nodes are called.
        given: What placeholders stand for: the input, parameters, buffers, constants.
        found: What every node visited stands for.
        offending: Nodes that could not be taken.
    """

    build: Builder
    names: Names
    given: Mapping[GraphNode, Source]
    found: dict[GraphNode, Source] = field(default_factory=dict)
    offending: list[OffendingNode] = field(default_factory=list)

    def run(self, nodes: Sequence[GraphNode]) -> None:
        """Visit nodes in order; those without a rule are collected in ``offending``."""
        for node in nodes:
            if node.op == "placeholder":
                self.found[node] = self.given[node]
            elif node.op == "call_function":
                self.found[node] = self._visited(node)
            else:
                reason = "a nested graph, as enable_grad, checkpoint or cond make it"
                self.found[node] = self._refused(node, reason)

    def finish(self, output: GraphNode) -> None:
        """Refuse an output that is no array of numbers."""
        held = self.found[output]
        if isinstance(held, Masked):
            self._refused(output, "minus infinity has a meaning only inside a softmax")
        elif isinstance(held, Missing) and held.reason is not None:
            self._refused(output, held.reason)

    def _refused(self, node: GraphNode, reason: str) -> Missing:
        name = self.names.nodes.get(node, node.name)
        operation = operation_name(node)
        self.offending.append(
            OffendingNode(name=name, operation=operation, reason=reason)
        )
        return Missing()

    def _visited(self, node: GraphNode) -> Source:
        value = node.meta.get("val")
        if isinstance(value, (SymInt, bool, int, float)):
            return value
        if node.target is operator.getitem:
            return self._item(node)
        inputs = [self.found[source] for source in node.all_input_nodes]
        if any(isinstance(source, Missing) and not source.reason for source in inputs):
            return Missing()
        dependent = any(_depends(source) for source in inputs)
        if dependent and operation_name(node) not in _FROM_SHAPE:
            return self._ruled(node)
        return self._folded(node)

    def _item(self, node: GraphNode) -> Source:
        whole, place = node.args[0], node.args[1]
        held = self.found[whole] if isinstance(whole, GraphNode) else Missing()
        if isinstance(held, Missing):
            return held
        if not isinstance(held, tuple) or not isinstance(place, int):
            return self._refused(node, "it takes a part of what is no list")
        return held[place]

    def _folded(self, node: GraphNode) -> Source:
        """Evaluate an operation on constants, for batches of one and two if needed."""
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            return self._refused(node, "it draws at random")
        sources = [self.found[source] for source in node.all_input_nodes]
        scaled = any(
            isinstance(source, (SymInt, Value))
            or (isinstance(source, Constant) and source.two is not None)
            for source in sources
        )
        try:
            one = self._evaluated(node, 1)
            two = self._evaluated(node, 2) if scaled else None
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            return self._refused(node, f"its constants cannot be folded: {error}")
        parameters = frozenset[str]().union(
            *(source.parameters for source in sources if isinstance(source, Constant))
        )
        return _constants(one, two, parameters)

    def _evaluated(self, node: GraphNode, batch: int) -> object:
        def plain(source: GraphNode) -> object:
            held = self.found[source]
            if isinstance(held, Constant):
                return held.at(batch)
            if isinstance(held, Value):
                return torch.zeros(lengths(held.dims, batch), dtype=torch.float64)
            return size_at(held, batch) if isinstance(held, SymInt) else held

        return applied(node, plain)

    def _ruled(self, node: GraphNode) -> Source:
        rule = find_rule(node)
        if rule is None:
            return self._refused(node, _no_rule(node))
        self.build.parameters = self._parameters(node)
        try:
            result = rule.apply(self._call(node))
        except RefusedError as error:
            return self._refused(node, error.reason)
        except (InvalidArgumentError, NotFiniteError) as error:
            return self._refused(node, str(error))
        finally:
            self.build.parameters = ()
        if not isinstance(result, (Value, Masked, tuple)):
            return self._refused(node, "its rule gives no value")
        return result

    def _parameters(self, node: GraphNode) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for source in node.all_input_nodes:
            held = self.found[source]
            if isinstance(held, Constant):
                names.update(dict.fromkeys(sorted(held.parameters)))
        return tuple(names)

    def _call(self, node: GraphNode) -> Call:
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):
            raise RefusedError("it is no operation of torch")
        given, positional = _bound(target, node)

        def resolved(argument: object) -> object:
            if isinstance(argument, GraphNode):
                return self.found[argument]
            if isinstance(argument, (list, tuple)):
                return [resolved(item) for item in argument]
            return argument

        value = node.meta.get("val")
        kind = value.dtype if isinstance(value, Tensor) else torch.float64
        floating = kind if kind.is_floating_point else torch.float64
        return Call(
            build=self.build,
            name=self.names.nodes.get(node, node.name),
            operation=operation_name(node),
            arguments={key: resolved(item) for key, item in given.items()},
            target=target_of(node),
            rounding=torch.finfo(floating).eps,
            function=target,
            positional=positional,
        )


def _bound(
    target: torch._ops.OpOverload, node: GraphNode
) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return arguments by name with defaults, and which are passed by position."""
    given: dict[str, object] = {}
    positional: list[str] = []
    for place, argument in enumerate(target._schema.arguments):
        if not argument.kwarg_only:
            positional.append(argument.name)
        if place < len(node.args) and not argument.kwarg_only:
            given[argument.name] = node.args[place]
        elif argument.name in node.kwargs:
            given[argument.name] = node.kwargs[argument.name]
        else:
            given[argument.name] = argument.default_value
    return given, tuple(positional)


def _depends(source: Source) -> bool:
    if isinstance(source, tuple):
        return any(_depends(item) for item in source)
    return isinstance(source, (Value, Masked, Missing))


def _constants(one: object, two: object, parameters: frozenset[str]) -> Source:
    if isinstance(one, (tuple, list)):
        pairs = list(two) if isinstance(two, (tuple, list)) else [None] * len(one)
        return tuple(
            _constants(a, b, parameters) for a, b in zip(one, pairs, strict=True)
        )
    if isinstance(one, Tensor):
        return Constant(one, two if isinstance(two, Tensor) else None, parameters)
    if isinstance(one, (bool, int, float)):
        return one
    return Missing("it is no array")
