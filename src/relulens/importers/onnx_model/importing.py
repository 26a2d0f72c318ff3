"""Import an ONNX file as a network."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch

from relulens.errors import ModelLoadError, NotFiniteError, UnsupportedOperationError
from relulens.graph.domain import Box
from relulens.graph.network import Network, Provenance
from relulens.importers import onnx_rules  # noqa: F401 (registers the rules)
from relulens.importers.builder import Builder, with_batch
from relulens.importers.layers import normalised
from relulens.importers.onnx_model.compare import agreed
from relulens.importers.onnx_model.inputs import GraphInput, graph_input
from relulens.importers.onnx_model.oracle import oracle
from relulens.importers.onnx_model.reading import Opened, opened
from relulens.importers.onnx_model.symbols import Entry, Masked, PerSample, for_one
from relulens.importers.onnx_model.tails import Ending, ending
from relulens.importers.onnx_model.walk import Scope, Walk, array_of, initializers
from relulens.importers.operations.shapes import reshape
from relulens.importers.values import BatchAxis, Value


def from_onnx(
    path: str | Path,
    *,
    input_shape: Sequence[int] | None = None,
    output: str | None = None,
    mean: object = None,
    std: object = None,
    domain: Box | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    check: bool = True,
) -> Network:
    """Return the network in an ONNX file.

    Args:
        path: The file.
        input_shape: Shape of one input, where the file leaves lengths open.
        output: Name of a tensor or node to end at; by default the file's only output,
            or the logits before its softmax or argmax.
        mean: Subtracted from the input first.
        std: The input is divided by it first.
        domain: The inputs that the network is meant for.
        dtype: Type of every number.
        device: Where every number lives.
        check: Whether to compare with onnxruntime, or the reference, on samples.

    Returns:
        The network; what was compared and left out is in its provenance.

    Raises:
        ModelLoadError: The file cannot be read, or its input cannot be used.
        AmbiguousModelError: It has several inputs or outputs, and none was chosen.
        UnsupportedOperationError: Operations have no rule; all are listed.
        NotFiniteError: A weight is NaN or infinite.
        ImportMismatchError: Network and file disagree.

    Cost:
        Reading the file and, for the check, a few forward passes by both.
    """
    file = opened(Path(path))
    end = ending(file.model.graph, output)
    read = graph_input(file.model.graph, input_shape, str(path))
    build = Builder()
    source = build.input(read.name, read.dims)
    scaled = normalised(build, Value(source.node, with_batch(source.shape)), mean, std)
    shown = Value(scaled.node, read.dims)
    build.cut(read.name, shown)
    nodes = needed(file.model.graph, end.tensor)
    value = _imported(build, file, nodes, read, shown, end)
    provenance = Provenance(
        format="onnx",
        path=str(path),
        sha256=file.sha256,
        notes=(*end.notes, *read.notes),
    )
    network = build.network(
        value, provenance=provenance, domain=domain, dtype=dtype, device=device
    )
    if not check:
        return network
    source_model = oracle(file.model, nodes, read, end.tensor, value.dims)
    exact = build.network(value, provenance=provenance, domain=domain)
    rounded = build.network(value, provenance=provenance, dtype=torch.float32)
    agreement, note = agreed(exact, rounded, source_model, str(path))
    notes = (*provenance.notes, *note)
    return replace(
        network, provenance=replace(provenance, agreement=agreement, notes=notes)
    )


def _imported(
    build: Builder,
    file: Opened,
    nodes: Sequence[onnx.NodeProto],
    read: GraphInput,
    x: Value,
    end: Ending,
) -> Value:
    """Walk over the nodes that the output needs.

    Raises:
        UnsupportedOperationError: Some of them cannot be imported.
    """
    graph = file.model.graph
    constants = initializers(graph)
    _check_finite(graph, nodes)
    scope = Scope(versions=file.versions, entries={**constants, read.name: x})
    functions = {(f.domain, f.name, f.overload): f for f in file.model.functions}
    walk = Walk(build=build, fixed=read.fixed, dtype=read.dtype, functions=functions)
    walk.read.update((end.tensor, *(item.name for item in graph.output)))
    walk.nodes(nodes, scope)
    if walk.refused:
        raise UnsupportedOperationError(walk.refused, build.partial())
    return _final(build, scope.lookup(end.tensor), end.tensor, read.fixed)


def _final(build: Builder, entry: Entry, name: str, fixed: bool) -> Value:
    """Return the output as a value, the batch of one put back where it was dropped.

    Raises:
        NotFiniteError: It holds minus infinities.
        ModelLoadError: Nothing makes it.
    """
    if isinstance(entry, Masked):
        raise NotFiniteError(
            f"cannot import the model: {int((entry.mask != 0).sum())} entries of its"
            f" output {name!r} are minus infinity. Choose another with output=NAME,"
            " such as the softmax after it."
        )
    if isinstance(entry, (np.ndarray, PerSample)):
        numbers = torch.from_numpy(np.array(for_one(entry), dtype=np.float64))
        if isinstance(entry, PerSample):
            rest = tuple(numbers.shape[1:])
            return build.constant(name, numbers.reshape(rest), (BatchAxis(), *rest))
        return build.constant(name, numbers, tuple(numbers.shape))
    if not isinstance(entry, Value):
        raise ModelLoadError(
            f"cannot import the model: its output {name!r} was not made by any of its"
            " nodes. Choose another with output=NAME."
        )
    if fixed and entry.batch_position is None and entry.rank and entry.dims[0] == 1:
        return reshape(build, f"{name}.batch", entry, (BatchAxis(), *entry.dims[1:]))
    return entry


def needed(graph: onnx.GraphProto, tensor: str) -> list[onnx.NodeProto]:
    """Return the nodes that a tensor depends on, in the graph's order."""
    wanted, kept = {tensor}, list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(_reads(node))
    return kept[::-1]


def _reads(node: onnx.NodeProto) -> Iterable[str]:
    """Yield the names that a node reads, those of its subgraphs included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)
        for item in attribute.g.output:
            yield item.name


def _check_finite(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Refuse weights that are NaN or infinite.

    A tensor of nothing but zeros and infinities is a mask or a bound; the operation
    that reads it decides.

    Raises:
        NotFiniteError: A weight is not finite.
    """
    used = {name for node in nodes for name in _reads(node)}
    for item in graph.initializer:
        if item.name not in used or item.data_type not in _FLOAT_TYPES:
            continue
        numbers = array_of(item)
        finite = np.isfinite(numbers)
        masked = np.isnan(numbers).sum() == 0 and not numbers[finite].any()
        if not finite.all() and not masked:
            raise NotFiniteError(
                f"cannot import the model: {int((~finite).sum())} of the {numbers.size}"
                f" numbers of its initializer {item.name!r} are NaN or infinite. Train"
                " or export the model again."
            )


_FLOAT_TYPES = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)
