"""Tiny ONNX models, and their values by the reference evaluator."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from relulens import evaluate
from relulens.graph.network import Network
from relulens.importers.onnx_model.importing import from_onnx

NEWEST = onnx.defs.onnx_opset_version()
OPSETS = (7, 9, 11, 13, 17, NEWEST)

_TYPES = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}


def model_of(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str | None],
    *,
    opset: int = NEWEST,
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("y",),
    dtype: type = np.float64,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[tuple[str, int]] = (),
) -> onnx.ModelProto:
    """Return a model with the input ``x`` of a shape, the batch included."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info("x", _TYPES[dtype], list(shape))],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()],
    )
    sets = [helper.make_opsetid("", opset)]
    sets += [helper.make_opsetid(domain, version) for domain, version in domains]
    model = helper.make_model(graph, opset_imports=sets, functions=list(functions))
    model.ir_version = min(model.ir_version, 10)
    return model


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    """Write a model into a folder."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def reference(model: onnx.ModelProto, x: np.ndarray, output: str = "y") -> np.ndarray:
    """Return the output for the source's input, by the reference evaluator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(ReferenceEvaluator(model).run([output], {"x": x})[0])


def by_runtime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return the output for the source's input, by onnxruntime."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"x": x})[0])


def assert_same(
    model: onnx.ModelProto,
    folder: Path,
    *,
    numbers: np.ndarray | None = None,
    tolerance: float = 1e-10,
    batch: int = 3,
    runtime: bool = False,
) -> Network:
    """Import a model, compare it with the reference or onnxruntime, and return it.

    The input's first axis is the batch. The output is compared under the network's
    shape, which has the batch in front and by itself.
    """
    network = from_onnx(saved(model, folder))
    rng = np.random.default_rng(0)
    shape = (batch, *network.input_shape)
    x = rng.normal(size=shape) if numbers is None else numbers
    kind = model.graph.input[0].type.tensor_type.elem_type
    x = x.astype(helper.tensor_dtype_to_np_dtype(kind))
    theirs = by_runtime(model, x) if runtime else reference(model, x)
    ours = evaluate(network, torch.from_numpy(x.astype(np.float64))).numpy()
    theirs = theirs.reshape(ours.shape)
    scale = max(float(np.abs(theirs).max()), 1e-30)
    assert float(np.abs(ours - theirs).max()) <= tolerance * scale
    return network
