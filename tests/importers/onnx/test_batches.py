"""Where the batch axis is, and files that fix it to one input."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from importers.onnx.graphs import (
    assert_same,
    model_of,
    reference,
    saved,
)
from onnx import helper, numpy_helper

from relulens import evaluate
from relulens.importers.onnx_model.importing import from_onnx

RNG = np.random.default_rng(3)
node = helper.make_node


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def test_a_file_for_one_input_is_lifted(tmp_path: Path) -> None:
    nodes = [
        node("Reshape", ["x", "flat"], ["a"]),
        node("MatMul", ["w", "a"], ["b"]),
        node("Relu", ["b"], ["c"]),
        node("Reshape", ["c", "back"], ["d"]),
        node("Conv", ["d", "kernel"], ["e"]),
        node("Squeeze", ["e"], ["f"]),
        node("ReduceSum", ["f", "axes"], ["y"], keepdims=0),
    ]
    constants = {
        "flat": ints(8),
        "w": draw(16, 8),
        "back": ints(1, 1, 4, 4),
        "kernel": draw(3, 1, 2, 2),
        "axes": ints(-1),
    }
    model = model_of(nodes, [1, 2, 4], constants=constants)
    network = from_onnx(saved(model, tmp_path))
    assert (network.input_shape, network.output_shape) == ((2, 4), (3, 3))
    x = draw(5, 2, 4)
    ours = evaluate(network, torch.from_numpy(x)).numpy()
    theirs = np.stack([reference(model, row[None]) for row in x])
    assert np.abs(ours - theirs).max() < 1e-12


@pytest.mark.parametrize(
    ("operation", "attributes", "wanted"),
    [
        ("Concat", {"axis": 0}, (2, 3)),
        ("Transpose", {"perm": [1, 0]}, (3,)),
        ("ReduceMean", {"axes": [0], "keepdims": 1}, (3,)),
        ("Softmax", {"axis": 0}, (3,)),
        ("Flatten", {"axis": 0}, (3,)),
    ],
)
def test_a_batch_of_one_is_an_axis_like_any_other(
    operation: str, attributes: dict, wanted: tuple[int, ...], tmp_path: Path
) -> None:
    inputs = ["x", "x"] if operation == "Concat" else ["x"]
    nodes = [
        node(operation, inputs, ["a"], **attributes),
        node("Add", ["a", "a"], ["y"]),
    ]
    model = model_of(nodes, [1, 3], opset=13)
    network = from_onnx(saved(model, tmp_path))
    assert network.output_shape == wanted
    x = draw(1, 3)
    ours = evaluate(network, torch.from_numpy(x)).numpy()
    assert np.array_equal(ours.reshape(-1), reference(model, x).reshape(-1))


def test_the_batch_may_stand_second(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["y"])]
    model = model_of(nodes, [5, "batch", 3], constants={"w": draw(3, 2)})
    network = from_onnx(saved(model, tmp_path))
    x = draw(4, 5, 3)
    ours = evaluate(network, torch.from_numpy(x)).numpy()
    theirs = np.moveaxis(reference(model, np.moveaxis(x, 0, 1)), 1, 0)
    assert np.abs(ours - theirs).max() < 1e-13


def test_a_file_without_a_batch_axis_counts_as_one_input(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["w", "x"], ["a"]), node("Relu", ["a"], ["y"])]
    model = model_of(nodes, [4], constants={"w": draw(3, 4)})
    network = from_onnx(saved(model, tmp_path))
    assert network.input_shape == (4,)
    assert "as a whole counts as one input" in network.provenance.notes[0]
    x = draw(4)
    ours = evaluate(network, torch.from_numpy(x)[None])[0].numpy()
    assert np.abs(ours - reference(model, x)).max() < 1e-13


def test_pooling_and_convolution_with_axes_merged_into_the_batch(
    tmp_path: Path,
) -> None:
    nodes = [
        node("Reshape", ["x", "frames"], ["a"]),
        node("Conv", ["a", "k"], ["b"]),
        node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["c", "videos"], ["y"]),
    ]
    constants = {
        "frames": ints(-1, 2, 5, 5),
        "k": draw(3, 2, 2, 2),
        "videos": ints(-1, 4, 3, 2, 2),
    }
    network = assert_same(
        model_of(nodes, ["N", 4, 2, 5, 5], constants=constants), tmp_path
    )
    assert network.output_shape == (4, 3, 2, 2)


def test_a_recurrent_cell_that_starts_at_zeros_made_for_the_batch(
    tmp_path: Path,
) -> None:
    nodes = [
        node("Shape", ["x"], ["size"], start=0, end=1),
        node("Concat", ["size", "hidden"], ["shape"], axis=0),
        node("ConstantOfShape", ["shape"], ["zeros"], value=_zero()),
        node("MatMul", ["zeros", "r"], ["back"]),
        node("MatMul", ["x", "w"], ["in"]),
        node("Add", ["in", "back"], ["sum"]),
        node("Tanh", ["sum"], ["y"]),
    ]
    constants = {"hidden": ints(4), "r": draw(4, 4), "w": draw(3, 4)}
    assert_same(model_of(nodes, ["N", 3], constants=constants), tmp_path)


def _zero() -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([0.5]))
