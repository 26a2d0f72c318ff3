"""Graphs of several nodes: shape arithmetic, functions, branches, names."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from importers.onnx.graphs import (
    NEWEST,
    OPSETS,
    assert_same,
    model_of,
    saved,
)
from onnx import TensorProto, helper, numpy_helper

from relulens import evaluate
from relulens.importers.onnx_model.importing import from_onnx

RNG = np.random.default_rng(3)
node = helper.make_node


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize("opset", [7, 11, 13, NEWEST])
def test_a_shape_worked_out_in_the_graph_keeps_the_batch(
    opset: int, tmp_path: Path
) -> None:
    axes = {"axes": [0]} if opset < 13 else {}
    extra = [] if opset < 13 else ["zero"]
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "index"], ["size"]),
        node("Unsqueeze", ["size", *extra], ["sizes"], **axes),
        node("Mul", ["sizes", "two"], ["twice"]),
        node("Concat", ["twice", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["halves"]),
        node("Relu", ["halves"], ["y"]),
    ]
    constants = {
        "index": np.array(0),
        "zero": ints(0),
        "two": ints(2),
        "rest": ints(-1, 3),
    }
    model = model_of(nodes, ["N", 4, 6], opset=opset, constants=constants)
    network = assert_same(model, tmp_path)
    assert network.output_shape == (2, 4, 3)


def test_products_quotients_and_slices_of_shapes(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["batch"]),
        node("Slice", ["shape", "one", "ends", "zero"], ["rest"]),
        node("ReduceProd", ["rest", "zero"], ["size"], keepdims=1),
        node("Div", ["size", "two"], ["half"]),
        node("Add", ["batch", "batch"], ["twice"]),
        node("Cast", ["twice"], ["wide"], to=TensorProto.FLOAT),
        node("Floor", ["wide"], ["floor"]),
        node("Cast", ["floor"], ["count"], to=TensorProto.INT64),
        node("Concat", ["count", "half"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    constants = {
        "zero": ints(0),
        "one": ints(1),
        "two": ints(2),
        "ends": ints(2**40),
    }
    model = model_of(nodes, ["N", 4, 3], opset=18, constants=constants)
    assert assert_same(model, tmp_path).output_shape == (2, 6)


def test_an_expanded_constant_carries_the_batch(tmp_path: Path) -> None:
    # The class token of a vision transformer: [1, 1, d] repeated for every input.
    nodes = [
        node("Shape", ["x"], ["size"], start=0, end=1),
        node("Concat", ["size", "minus", "minus"], ["wish"], axis=0),
        node("ConstantOfShape", ["three"], ["ones"], value=_one()),
        node("Equal", ["wish", "minus"], ["open"]),
        node("Where", ["open", "ones", "wish"], ["target"]),
        node("Expand", ["token", "target"], ["tokens"]),
        node("Concat", ["tokens", "x"], ["y"], axis=1),
    ]
    constants = {"minus": ints(-1), "three": ints(3), "token": draw(1, 1, 4)}
    model = model_of(nodes, ["N", 3, 4], constants=constants)
    assert assert_same(model, tmp_path).output_shape == (4, 4)


def _one() -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([1], dtype=np.int64))


@pytest.mark.parametrize("opset", OPSETS)
def test_sums_products_and_quotients_of_two_values(opset: int, tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Abs", ["a"], ["b"]),
        node("Add", ["b", "one"], ["c"]),
        node("Div", ["x", "c"], ["d"], "ratio"),
        node("Mul", ["d", "a"], ["e"], "product"),
        node("Sub", ["e", "x"], ["f"]),
        node("Mul", ["f", "f"], ["g"], "square"),
        node("MatMul", ["g", "a"], ["y"], "matrices"),
    ]
    constants = {"w": draw(3, 3), "one": np.array(1.0)}
    model = model_of(nodes, ["N", 3, 3], opset=opset, constants=constants)
    network = assert_same(model, tmp_path)
    kinds = {item.name: item.operation for item in network.layers}
    assert kinds["ratio"] == "quotient"
    assert kinds["square"] == "square"
    assert kinds["matrices"] == "matrix product"


@pytest.mark.parametrize("operation", ["Max", "Min"])
def test_extremes_of_three_values_and_a_constant_are_one_maximum_each(
    operation: str, tmp_path: Path
) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Neg", ["x"], ["b"]),
        node(operation, ["a", "x", "b"], ["c"], "three"),
        node(operation, ["c", "k"], ["y"], "bound"),
    ]
    constants = {"w": draw(4, 4), "k": draw(4)}
    network = assert_same(model_of(nodes, ["N", 4], constants=constants), tmp_path)
    assert [item.name for item in network.layers] == ["three", "bound"]
    assert network.state_size == 8


def test_functions_of_the_model_are_spelled_out(tmp_path: Path) -> None:
    body = helper.make_function(
        "local",
        "Block",
        ["a", "w"],
        ["b"],
        [
            node("MatMul", ["a", "w"], ["p"]),
            _leaky("p", "b"),
        ],
        [helper.make_opsetid("", 17)],
        ["slope"],
    )
    nodes = [
        helper.make_node(
            "Block", ["x", "w"], ["h"], "first", domain="local", slope=0.5
        ),
        helper.make_node(
            "Block", ["h", "v"], ["y"], "last", domain="local", slope=0.25
        ),
    ]
    model = model_of(
        nodes,
        ["N", 3],
        opset=17,
        constants={"w": draw(3, 4), "v": draw(4, 2)},
        functions=[body],
        domains=[("local", 1)],
    )
    # The reference evaluator cannot pass attributes on to this operation.
    network = assert_same(model, tmp_path, runtime=True, tolerance=1e-6)
    assert [item.name for item in network.layers] == ["first/b", "last/b"]


def _leaky(source: str, result: str) -> onnx.NodeProto:
    made = node("LeakyRelu", [source], [result])
    reference_ = made.attribute.add()
    reference_.name, reference_.ref_attr_name = "alpha", "slope"
    reference_.type = onnx.AttributeProto.FLOAT
    return made


def test_a_branch_with_a_constant_condition_is_taken(tmp_path: Path) -> None:
    def branch(name: str, operation: str) -> onnx.GraphProto:
        made = node(operation, ["x"], [name])
        value = helper.make_tensor_value_info(name, TensorProto.DOUBLE, None)
        return helper.make_graph([made], name, [], [value])

    nodes = [
        node("Shape", ["x"], ["s"], start=1, end=2),
        node("Equal", ["s", "four"], ["is_four"]),
        node("Squeeze", ["is_four"], ["flag"]),
        node(
            "If",
            ["flag"],
            ["y"],
            then_branch=branch("t", "Relu"),
            else_branch=branch("e", "Abs"),
        ),
    ]
    model = model_of(nodes, ["N", 4], constants={"four": ints(4)})
    network = assert_same(model, tmp_path)
    assert network.layers[0].operation == "relu"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_type_of_the_file_does_not_change_the_network(
    dtype: type, tmp_path: Path
) -> None:
    weight = np.array([[1.0, -2.0], [0.5, 3.0]], dtype=dtype)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [node("Gemm", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", kind, ["N", 2])],
        [helper.make_tensor_value_info("y", kind, ["N", 2])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    network = from_onnx(saved(model, tmp_path))
    assert network.dtype == torch.float64
    x = torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=torch.float64)
    wanted = torch.relu(x @ torch.from_numpy(weight.astype(np.float64)))
    assert torch.equal(evaluate(network, x), wanted)


def test_mean_and_std_stand_before_the_file(tmp_path: Path) -> None:
    model = model_of([node("Relu", ["x"], ["y"])], ["N", 2, 3])
    network = from_onnx(saved(model, tmp_path), mean=[1.0, 2.0], std=[2.0, 4.0])
    x = torch.ones(1, 2, 3, dtype=torch.float64) * 6
    shown = evaluate(network, x)
    assert torch.equal(shown[0, :, 0], torch.tensor([2.5, 1.0], dtype=torch.float64))
    assert network.provenance.agreement is not None


def test_names_of_tensors_and_nodes_are_cut_points(tmp_path: Path) -> None:
    nodes = [
        node("Gemm", ["x", "w"], ["h"], "dense"),
        node("Relu", ["h"], ["a"], "act"),
        node("Gemm", ["a", "w"], ["y"]),
    ]
    model = model_of(nodes, ["N", 3], constants={"w": draw(3, 3)})
    network = from_onnx(saved(model, tmp_path))
    assert {"x", "h", "dense", "a", "act", "y"} <= set(network.names())
    x = torch.randn(2, 3, dtype=torch.float64)
    assert torch.equal(
        evaluate(network, x, layer="dense"), evaluate(network, x, layer="h")
    )
    assert network.layer_index("act") == network.layer_index("a") == 0
