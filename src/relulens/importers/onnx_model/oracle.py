"""Run an ONNX model by other means, to compare the import with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeAlias

import numpy as np
import onnx
import torch
from google.protobuf.message import EncodeError
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from relulens.errors import ModelLoadError
from relulens.importers.onnx_model.inputs import GraphInput
from relulens.importers.values import BatchAxis, Dims, batch_position, sample_shape

Run: TypeAlias = Callable[[np.ndarray], np.ndarray]


class RunError(Exception):
    """The source model cannot be run on these inputs."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Oracle:
    """The source model, run on inputs as the network takes them.

    Attributes:
        name: What runs it.
        run: From the source's input to its output.
        read: The source's input.
        dims: The source's axes of the output.
    """

    name: str
    run: Run
    read: GraphInput
    dims: Dims

    def __call__(self, x: Tensor) -> Tensor:
        """Return outputs [N, *shape] for inputs [N, *shape].

        Raises:
            RunError: The source model cannot take these inputs.
        """
        array = x.to(torch.float64).numpy().astype(self.read.dtype)
        single = self.read.fixed or batch_position(self.dims) is None
        if single and len(array) != 1:
            return torch.cat([self(row[None]) for row in x])
        found = self.run(_to_source(array, self.read.dims))
        return _from_source(np.asarray(found, dtype=np.float64), self.dims, len(array))


def _to_source(x: np.ndarray, dims: Dims) -> np.ndarray:
    place = batch_position(dims)
    return x[0] if place is None else np.ascontiguousarray(np.moveaxis(x, 0, place))


def _from_source(y: np.ndarray, dims: Dims, count: int) -> Tensor:
    """Move the batch of an output to the front, apart from what it was merged with."""
    parts: list[int] = []
    place = 0
    for dim in dims:
        if isinstance(dim, BatchAxis):
            before = [dim.before] if dim.before != 1 else []
            place = len(parts) + len(before)
            parts += [*before, count, *([dim.after] if dim.after != 1 else [])]
        else:
            parts.append(dim)
    if batch_position(dims) is None:
        parts = [1, *parts]
    if y.size != int(np.prod(parts)):
        raise RunError(f"its output has shape {list(y.shape)}, not {parts}")
    moved = np.moveaxis(y.reshape(parts), place, 0)
    return torch.from_numpy(moved.copy()).reshape(count, *sample_shape(dims))


def oracle(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    read: GraphInput,
    output: str,
    dims: Dims,
) -> Oracle:
    """Return the source model up to a tensor, by onnxruntime or the reference.

    onnxruntime is used if it is installed and knows all operations in the file's type;
    the record of the agreement says which was.

    Args:
        model: The model.
        nodes: Those of its nodes that the output needs.
        read: Its input.
        output: The tensor that is the network's output.
        dims: Its axes.

    Raises:
        ModelLoadError: Neither can run the model.
    """
    ending = onnx.ModelProto()
    ending.CopyFrom(model)
    del ending.graph.output[:], ending.graph.node[:]
    ending.graph.node.extend(nodes)
    ending.graph.output.append(onnx.ValueInfoProto(name=output))
    if find_spec("onnxruntime") is not None:
        run = _by_runtime(ending, read.name)
        if run is not None:
            return Oracle(name="onnxruntime", run=run, read=read, dims=dims)
    try:
        evaluator = ReferenceEvaluator(ending)
    except (NotImplementedError, ValueError, TypeError, RuntimeError) as error:
        raise ModelLoadError(
            "cannot check the import: neither onnxruntime nor onnx.reference can run"
            f" the model up to {output!r} ({error}). Use check=False to import it all"
            " the same."
        ) from error

    def by_reference(x: np.ndarray) -> np.ndarray:
        try:
            with np.errstate(all="ignore"):  # NaN on both sides is agreement.
                found = evaluator.run([output], {read.name: x})
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            raise RunError(str(error)) from error
        if not isinstance(found, list):
            raise RunError(f"its output is a {type(found).__name__}")
        return np.asarray(found[0])

    return Oracle(name="onnx.reference", run=by_reference, read=read, dims=dims)


def _by_runtime(model: onnx.ModelProto, name: str) -> Run | None:
    """Return a session's run, nothing if onnxruntime cannot take the model."""
    import onnxruntime  # An optional dependency at its one door.
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyrefly: ignore

    failures = (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.NotImplemented,
        state.RuntimeException,
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        content = model.SerializeToString()
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except (*failures, EncodeError):
        return None

    def run(x: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(session.run(None, {name: x})[0])
        except failures as error:
            raise RunError(str(error)) from error

    return run


def runnable(source: Oracle, samples: Tensor, path: str) -> tuple[int, ...]:
    """Return the batch sizes that the source takes: one to three, else one at a time.

    Raises:
        ModelLoadError: The source takes not even one input.
    """
    try:
        source(samples[:1])
    except RunError as error:
        raise ModelLoadError(
            f"cannot check the import of {path!r}: {source.name} cannot run the model"
            f" on 1 input: {error}. Repair the model, or use check=False."
        ) from error
    try:
        source(samples[:2])
    except RunError:
        return (1,)
    return (1, 2, 3)
