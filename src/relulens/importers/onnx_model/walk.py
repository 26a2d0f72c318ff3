"""Walk over an ONNX graph, node by node, and build the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import AttributeProto, numpy_helper

from relulens.errors import InvalidArgumentError, ModelLoadError, OffendingNode
from relulens.importers.builder import Builder
from relulens.importers.onnx_model.attributes import attribute_values, constant_value
from relulens.importers.onnx_model.bodies import Body, body_of
from relulens.importers.onnx_model.folding import folded
from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import (
    Entry,
    Masked,
    PerSample,
    Unknown,
    is_constant,
)
from relulens.importers.operations.shapes import reshape
from relulens.importers.registry import RefusedError, Rule, find
from relulens.importers.values import BatchAxis, Value

_QUANTISED = ("QLinear", "Quantize", "Dequantize", "DynamicQuantize", "ConvInteger")


@dataclass(slots=True, eq=False, kw_only=True)
class Scope:
    """Names of one graph or function body.

    Attributes:
        entries: What they stand for.
        outer: The graph around a subgraph.
        versions: Versions of the operation sets, by domain.
        prefix: Put before names of nodes inside function bodies.
        attributes: Attributes of the call whose body this is.
    """

    versions: dict[str, int]
    entries: dict[str, Entry] = field(default_factory=dict)
    outer: "Scope | None" = None
    prefix: str = ""
    attributes: dict[str, AttributeProto] = field(default_factory=dict)

    def lookup(self, name: str) -> Entry:
        """Return what a name stands for.

        Raises:
            ModelLoadError: Nothing has this name.
        """
        scope: Scope | None = self
        while scope is not None:
            if name in scope.entries:
                return scope.entries[name]
            scope = scope.outer
        raise ModelLoadError(
            f"cannot load the model: a node reads {name!r}, and 0 nodes, inputs or"
            " initializers before it have this name. The file is damaged: export it"
            " again."
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Walk:
    """A walk in progress.

    Attributes:
        build: The builder.
        fixed: Whether the file allows one input at a time only.
        dtype: Type of the values in the file.
        functions: The model's own functions.
        read: Names that some node or output reads.
        refused: Nodes that could not be imported.
    """

    build: Builder
    fixed: bool
    dtype: np.dtype
    functions: dict[tuple[str, str, str], onnx.FunctionProto]
    read: set[str] = field(default_factory=set)
    refused: list[OffendingNode] = field(default_factory=list)

    def nodes(self, nodes: Sequence[onnx.NodeProto], scope: Scope) -> None:
        """Import nodes in order; those that cannot be are collected in ``refused``."""
        self.read.update(name for node in nodes for name in node.input)
        for node in nodes:
            self._node(node, scope)

    def _node(self, node: onnx.NodeProto, scope: Scope) -> None:
        first = next((name for name in node.output if name), "")
        name = scope.prefix + (node.name or first)
        inputs = [scope.lookup(key) if key else None for key in node.input]
        mark = self.build.mark() if self.fixed else None
        try:
            results = self._results(node, name, inputs, scope)
        except (RefusedError, InvalidArgumentError) as error:
            reason = error.reason if isinstance(error, RefusedError) else str(error)
            if mark is None or not any(isinstance(e, Value) for e in inputs):
                self._refuse(node, name, scope, reason)
                return
            self.build.rewind(mark)
            self._again(node, name, inputs, scope, reason)
            return
        self._keep(node, name, results, scope)

    def _again(
        self,
        node: onnx.NodeProto,
        name: str,
        inputs: Sequence[Entry | None],
        scope: Scope,
        reason: str,
    ) -> None:
        """Try a node once more with the batch of one as an axis like any other."""
        bare = [self._without_batch(name, entry) for entry in inputs]
        try:
            results = self._results(node, name, bare, scope)
        except (RefusedError, InvalidArgumentError):
            self._refuse(node, name, scope, reason)
            return
        self._keep(node, name, results, scope)

    def _without_batch(self, name: str, entry: Entry | None) -> Entry | None:
        if not isinstance(entry, Value) or entry.batch_position is None:
            return entry
        dims = tuple(d.factor if isinstance(d, BatchAxis) else d for d in entry.dims)
        return reshape(self.build, f"{name}.batch", entry, dims)

    def _refuse(
        self, node: onnx.NodeProto, name: str, scope: Scope, reason: str
    ) -> None:
        self.refused.append(
            OffendingNode(name=name, operation=node.op_type, reason=reason)
        )
        scope.entries.update({key: Unknown() for key in node.output if key})

    def _results(
        self,
        node: onnx.NodeProto,
        name: str,
        inputs: Sequence[Entry | None],
        scope: Scope,
    ) -> Sequence[Entry]:
        domain = node.domain or "ai.onnx"
        version = scope.versions.get(domain, 1)
        if node.op_type == "Constant" and domain == "ai.onnx":
            return [constant_value(attribute_values(node, scope.attributes))]
        if node.op_type == "If" and domain == "ai.onnx":
            return self._branch(node, inputs, scope)
        constant = [entry for entry in inputs if is_constant(entry)]
        rule = find(domain, node.op_type, version)
        known = self._spelled_out(node, inputs, scope, rule)
        if len(constant) == len(inputs) and known is None:
            attributes = attribute_values(node, scope.attributes)
            arrays = [
                e for e in inputs if e is None or isinstance(e, (np.ndarray, PerSample))
            ]
            return folded(self._resolved(node, scope), version, arrays, attributes)
        if any(isinstance(entry, Unknown) for entry in inputs) and (rule or known):
            return [Unknown() for _ in node.output]
        if known is not None:
            return self._call(node, name, inputs, scope, known)
        if rule is None:
            raise RefusedError(_no_rule(node))
        step = self._step(node, name, inputs, scope, version)
        return _listed(rule.apply(step))

    def _spelled_out(
        self,
        node: onnx.NodeProto,
        inputs: Sequence[Entry | None],
        scope: Scope,
        rule: Rule | None,
    ) -> Body | None:
        key = (node.domain, node.op_type, node.overload)
        if key in self.functions:
            return body_of(node, self.functions, scope.versions, inputs, self.dtype)
        if rule is not None or all(is_constant(entry) for entry in inputs):
            return None
        if any(isinstance(entry, Unknown) for entry in inputs):
            inputs = [None if isinstance(e, Unknown) else e for e in inputs]
        return body_of(node, self.functions, scope.versions, inputs, self.dtype)

    def _step(
        self,
        node: onnx.NodeProto,
        name: str,
        inputs: Sequence[Entry | None],
        scope: Scope,
        version: int,
    ) -> Step:
        return Step(
            build=self.build,
            name=name,
            operation=node.op_type,
            version=version,
            inputs=inputs,
            input_names=list(node.input),
            outputs=[bool(key) and key in self.read for key in node.output],
            attributes=attribute_values(node, scope.attributes),
            fixed=self.fixed,
        )

    def _resolved(self, node: onnx.NodeProto, scope: Scope) -> onnx.NodeProto:
        """Return a node of a function body with the call's attributes put in."""
        if not any(item.ref_attr_name for item in node.attribute):
            return node
        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        del plain.attribute[:]
        for item in node.attribute:
            given = (
                scope.attributes.get(item.ref_attr_name) if item.ref_attr_name else item
            )
            if given is not None:
                copy = plain.attribute.add()
                copy.CopyFrom(given)
                copy.name = item.name
        return plain

    def _keep(
        self,
        node: onnx.NodeProto,
        name: str,
        results: Sequence[Entry],
        scope: Scope,
    ) -> None:
        for key, result in zip(node.output, results, strict=False):
            if not key:
                continue
            scope.entries[key] = result
            found = result.value if isinstance(result, Masked) else result
            if isinstance(found, Value):
                self.build.cuts[scope.prefix + key] = found.node
        first = results[0] if results else None
        if isinstance(first, Value):
            self.build.cuts[name] = first.node

    def _call(
        self,
        node: onnx.NodeProto,
        name: str,
        inputs: Sequence[Entry | None],
        scope: Scope,
        body: Body,
    ) -> Sequence[Entry]:
        """Import the nodes that a function call stands for."""
        given = {item.name: item for item in body.proto.attribute_proto}
        given |= {item.name: item for item in node.attribute}
        inner = Scope(
            versions=body.versions, prefix=f"{name}/", attributes=_passed(given, scope)
        )
        for key, entry in zip(body.proto.input, inputs, strict=False):
            if entry is not None:
                inner.entries[key] = entry
        absent = set(body.proto.input) - inner.entries.keys()
        # An output that the call leaves out need not be made by the body.
        outputs = dict(zip(body.proto.output, node.output, strict=False))
        self.read.update(key for key, wanted in outputs.items() if wanted)
        self.nodes([_without(n, absent) for n in body.proto.node], inner)
        return [inner.lookup(k) if w else Unknown() for k, w in outputs.items()]

    def _branch(
        self, node: onnx.NodeProto, inputs: Sequence[Entry | None], scope: Scope
    ) -> Sequence[Entry]:
        """Import the branch that a constant condition takes."""
        condition = inputs[0]
        if not isinstance(condition, np.ndarray) or condition.dtype == object:
            raise RefusedError("its condition depends on the input or the batch size")
        wanted = "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"
        graph = attribute_values(node, scope.attributes)[wanted]
        if not isinstance(graph, onnx.GraphProto):
            raise RefusedError(f"its attribute {wanted} is no graph")
        inner = Scope(versions=scope.versions, outer=scope, prefix=scope.prefix)
        inner.entries.update(initializers(graph))
        self.read.update(item.name for item in graph.output)
        self.nodes(graph.node, inner)
        return [inner.lookup(item.name) for item in graph.output]


def _passed(
    given: Mapping[str, AttributeProto], scope: Scope
) -> dict[str, AttributeProto]:
    """Return a call's attributes, references to the caller's own ones resolved."""
    resolved: dict[str, AttributeProto] = {}
    for name, item in given.items():
        if not item.ref_attr_name:
            resolved[name] = item
        elif item.ref_attr_name in scope.attributes:
            resolved[name] = scope.attributes[item.ref_attr_name]
    return resolved


def _without(node: onnx.NodeProto, absent: set[str]) -> onnx.NodeProto:
    """Return a body's node with the inputs that the call leaves out left out."""
    if not absent.intersection(node.input):
        return node
    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    kept = ["" if key in absent else key for key in node.input]
    del bare.input[:]
    bare.input.extend(kept)
    return bare


def _listed(result: object) -> Sequence[Entry]:
    results = result if isinstance(result, (list, tuple)) else [result]
    found = [entry for entry in results if isinstance(entry, _ENTRIES)]
    if len(found) == len(results):
        return found
    raise InvalidArgumentError(
        f"cannot use the result of a rule: it is of type {type(result).__name__}, and a"
        " value or a constant is needed. Correct the rule."
    )


_ENTRIES = (Value, np.ndarray, PerSample, Masked, Unknown)


def _no_rule(node: onnx.NodeProto) -> str:
    if node.op_type.startswith(_QUANTISED):
        return "quantised arithmetic is no affine map; import the model before it"
    domain = f" of {node.domain}" if node.domain else ""
    return f"no rule for this operation{domain}"


def initializers(graph: onnx.GraphProto) -> dict[str, Entry]:
    """Return a graph's constants by name.

    Raises:
        ModelLoadError: A tensor's bytes do not fit its shape, or it is sparse.
    """
    if graph.sparse_initializer:
        raise ModelLoadError(
            f"cannot load the model: {len(graph.sparse_initializer)} of its"
            " initializers are sparse, and dense ones are needed. Export it without"
            " sparse tensors."
        )
    return {item.name: array_of(item) for item in graph.initializer}


def array_of(tensor: onnx.TensorProto) -> np.ndarray:
    """Return a tensor's numbers.

    Raises:
        ModelLoadError: Its bytes do not fit its shape.
    """
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise ModelLoadError(
            f"cannot load the model: the numbers of {tensor.name!r} do not fill its"
            f" shape {list(tensor.dims)}. The file is damaged: export or copy it again."
        ) from error
