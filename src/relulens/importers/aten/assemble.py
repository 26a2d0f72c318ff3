"""Make a network from an exported graph and weights; again for new weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, TensorArgument
from torch.fx import Node as GraphNode

from relulens.errors import (
    AmbiguousModelError,
    ModelLoadError,
    UnsupportedOperationError,
)
from relulens.graph.domain import Box
from relulens.graph.linear_map import Shape
from relulens.graph.network import Network, Provenance
from relulens.importers.aten.names import Names
from relulens.importers.aten.outputs import Output
from relulens.importers.aten.sources import Constant, Missing, Source
from relulens.importers.aten.walk import Walk
from relulens.importers.builder import Builder
from relulens.importers.layers import normalised
from relulens.importers.values import Dims, Value


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Inputs:
    """What the placeholders of an exported graph stand for.

    Attributes:
        example: The placeholder of the module's input.
        weights: Names of parameters and buffers by placeholder.
        constants: Arrays that the module made in its forward function.
    """

    example: GraphNode
    weights: Mapping[GraphNode, str]
    constants: Mapping[GraphNode, Tensor]


def read_inputs(program: ExportedProgram) -> Inputs:
    """Return what the placeholders of a program stand for.

    Raises:
        AmbiguousModelError: The program has several inputs.
        ModelLoadError: A placeholder stands for something that is no array.
    """
    nodes = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    examples: list[GraphNode] = []
    weights: dict[GraphNode, str] = {}
    constants: dict[GraphNode, Tensor] = {}
    for spec in program.graph_signature.input_specs:
        node, target = nodes[spec.arg.name], spec.target or ""
        match spec.kind:
            case InputKind.PARAMETER | InputKind.BUFFER:
                weights[node] = target
            case InputKind.USER_INPUT:
                if isinstance(spec.arg, TensorArgument):
                    examples.append(node)
            case InputKind.CONSTANT_TENSOR if isinstance(
                held := program.constants.get(target), Tensor
            ):
                constants[node] = held
            case _:
                raise ModelLoadError(
                    f"cannot import the model: {target!r} of kind {spec.kind.name} is"
                    " no array. Keep weights in parameters and buffers."
                )
    if len(examples) != 1:
        raise AmbiguousModelError(
            "input", [node.name for node in examples], "Fix all but one of them."
        )
    return Inputs(example=examples[0], weights=weights, constants=constants)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TorchSource:
    """What is kept of a module to import it again with other weights.

    Attributes:
        nodes: The output and what it depends on, in order.
        inputs: What placeholders stand for.
        names: Names of the nodes.
        output: Which node is the output.
        dims: Axes of the input.
        dtype: Type of the weights in the exported graph.
        shapes: Shapes of all parameters and buffers by name.
        notes: What a reader of results must know.
        samples: Inputs to compare at [M, *input_shape].
        example_dtype: Type of the inputs that the module takes.
        mean: Subtracted from the input first.
        std: The input is divided by it first.
        domain: The inputs that the network is meant for.
        network_dtype: Type of the network's numbers.
        device: Where they live.
    """

    nodes: Sequence[GraphNode]
    inputs: Inputs
    names: Names
    output: Output
    dims: Dims
    dtype: torch.dtype
    shapes: Mapping[str, Shape]
    notes: tuple[str, ...]
    samples: Tensor
    example_dtype: torch.dtype
    mean: Tensor | None = None
    std: Tensor | None = None
    domain: Box | None = None
    network_dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """A network and the axes that the source sees of its output."""

    network: Network
    dims: Dims


def needed_nodes(output: GraphNode) -> list[GraphNode]:
    """Return a node and what it depends on, in the graph's order."""
    needed, open_ = {output}, [output]
    while open_:
        for source in open_.pop().all_input_nodes:
            if source not in needed:
                needed.add(source)
                open_.append(source)
    return [node for node in output.graph.nodes if node in needed]


def assembled(
    source: TorchSource, weights: Mapping[str, Tensor], sha256: str
) -> Assembled:
    """Return the network of an exported graph with some weights.

    Args:
        source: The graph.
        weights: Parameters and buffers by name.
        sha256: Hash of the weights.

    Raises:
        UnsupportedOperationError: Operations have no rule; all are named.
        ModelLoadError: The output does not depend on the input.
    """
    build = Builder()
    x = build.input("input", source.dims)
    x = normalised(build, x, source.mean, source.std)
    walk = Walk(build=build, names=source.names, given=_given(source, weights, x))
    walk.run(source.nodes)
    walk.finish(source.output.node)
    if walk.offending:
        raise UnsupportedOperationError(walk.offending, build.partial())
    for name, node in source.names.cuts.items():
        _cut(build, name, walk.found.get(node))
    for node, name in source.names.nodes.items():
        _cut(build, name, walk.found.get(node))
    build.cuts = dict(sorted(build.cuts.items(), key=lambda item: item[1]))
    result = walk.found[source.output.node]
    if not isinstance(result, Value):
        raise ModelLoadError(
            f"cannot import the model: its output {source.output.node.name!r} is no"
            " array that depends on the input. Choose another with output=NAME."
        )
    network = build.network(
        result,
        provenance=Provenance(format="torch", sha256=sha256, notes=source.notes),
        domain=source.domain,
        dtype=source.network_dtype,
        device=source.device,
        source=source,
    )
    return Assembled(network, result.dims)


def _cut(build: Builder, name: str, found: Source | None) -> None:
    if isinstance(found, tuple) and found:
        found = found[0]
    if isinstance(found, Value):
        build.cut(name, found)


def _given(
    source: TorchSource, weights: Mapping[str, Tensor], x: Value
) -> dict[GraphNode, Source]:
    inputs = source.inputs
    given: dict[GraphNode, Source] = {inputs.example: x}
    for node, name in inputs.weights.items():
        given[node] = Constant(weights[name], parameters=frozenset({name}))
    for node, tensor in inputs.constants.items():
        given[node] = Constant(tensor)
    for node in source.nodes:
        if node.op == "placeholder" and node not in given:
            given[node] = Missing("an argument of forward that is no array")
    return given
