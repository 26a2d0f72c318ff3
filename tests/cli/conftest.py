"""Models and data for the command line, in an empty folder."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3) - 5
BIAS = np.ones(3, dtype=np.float32)
NODES = [
    helper.make_node("Gemm", ["x", "W", "b"], ["z"], name="gemm"),
    helper.make_node("Relu", ["z"], ["y"], name="relu"),
]


def save_model(path: Path, nodes=(), outputs=("y",), weight=WEIGHT) -> Path:
    graph = helper.make_graph(
        [*NODES, *nodes],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", 4))],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
        [numpy_helper.from_array(weight, "W"), numpy_helper.from_array(BIAS, "b")],
    )
    versions = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=8), path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give an empty working folder with a model and data that fit."""
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "model.onnx")
    x = np.random.default_rng(0).integers(-4, 5, size=(6, 4)).astype(np.float64)
    np.savez(tmp_path / "data.npz", x=x, y=np.array([0, 1, 2, 0, 1, 2]))
    return tmp_path


@pytest.fixture
def saved():
    """Give the function that saves a variant of the model."""
    return save_model
