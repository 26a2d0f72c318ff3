"""``relulens implicit``."""

import json

import numpy as np
import pytest

import relulens as rl
from relulens.cli.main import run


@pytest.fixture
def small(tmp_path):
    """A model file of a dense network."""
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
    )
    from onnx import TensorProto, helper, numpy_helper

    arrays = [p.detach().numpy() for p in module.parameters()]
    names = ("w0", "b0", "w1", "b1")
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w0", "b0"], ["z"], transB=1),
            helper.make_node("Relu", ["z"], ["h"]),
            helper.make_node("Gemm", ["h", "w1", "b1"], ["y"], transB=1),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(a, k) for a, k in zip(arrays, names, strict=True)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    path = tmp_path / "small.onnx"
    onnx.save(made, path)
    return path


def test_it_prints_and_writes(small, tmp_path, capsys):
    out = tmp_path / "model.npz"
    assert run(["implicit", str(small), "--out", str(out), "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "state n = 4, input p = 3, output q = 2" in text
    assert "well-posed by triangular" in text
    again = rl.read_implicit_model(out)
    network = rl.load(small)
    x = np.ones((2, 3))
    found = rl.equilibrium(again, x).output
    assert (found - rl.evaluate(network, x)).abs().max() < 1e-6


def test_json(small, capsys):
    assert run(["implicit", str(small), "--json", "--quiet"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["state_size"] == 4
    assert answer["verdict"] == "well-posed"
    assert answer["blocks"][0]["reads"] == ["input"]


def test_a_wrong_ending_is_refused(small, tmp_path, capsys):
    out = tmp_path / "model.txt"
    assert run(["implicit", str(small), "--out", str(out), "--quiet"]) == 2
    said = capsys.readouterr()
    assert "neither .npz nor .safetensors" in said.err
    assert said.out == ""


def test_a_missing_folder_is_refused(small, tmp_path, capsys):
    out = tmp_path / "none" / "model.npz"
    assert run(["implicit", str(small), "--out", str(out), "--quiet"]) == 2
    said = capsys.readouterr()
    assert "there is no folder" in said.err
    assert said.out == ""
