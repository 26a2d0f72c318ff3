"""Outputs: classifier tails, names, several outputs, several inputs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from importers.onnx.graphs import model_of, saved
from onnx import TensorProto, helper

from relulens import evaluate
from relulens.errors import (
    AmbiguousModelError,
    NotFiniteError,
    UnknownNameError,
    UnsupportedOperationError,
)
from relulens.importers.onnx_model.importing import from_onnx
from relulens.importers.registry import find

node = helper.make_node
WEIGHT = np.array([[1.0, -1.0], [2.0, 0.5]])
X = torch.tensor([[1.0, 2.0], [-3.0, 0.5]], dtype=torch.float64)


def classifier(*tail: onnx.NodeProto, outputs: list[str]) -> onnx.ModelProto:
    return model_of(
        [node("MatMul", ["x", "w"], ["logits"], "dense"), *tail],
        ["N", 2],
        opset=13,
        constants={"w": WEIGHT, "zero": np.array(0.0), "classes": np.array([7, 8])},
        outputs=outputs,
        domains=[("ai.onnx.ml", 3)],
    )


TAILS = {
    "softmax": ([node("Softmax", ["logits"], ["p"])], ["p"]),
    "log-softmax": ([node("LogSoftmax", ["logits"], ["p"])], ["p"]),
    "argmax": ([node("ArgMax", ["logits"], ["c"], axis=1)], ["c"]),
    "softmax-argmax": (
        [
            node("Softmax", ["logits"], ["p"]),
            node("ArgMax", ["p"], ["c"], axis=1, keepdims=0),
            node("Cast", ["c"], ["label"], to=TensorProto.INT32),
        ],
        ["label"],
    ),
    "labels-and-probabilities": (
        [
            node("Softmax", ["logits"], ["p"]),
            node("ArgMax", ["p"], ["c"], axis=1),
            node("ArrayFeatureExtractor", ["classes", "c"], ["l"], domain="ai.onnx.ml"),
            node(
                "ZipMap", ["p"], ["table"], domain="ai.onnx.ml", classlabels_int64s=[7]
            ),
        ],
        ["l", "table"],
    ),
}


@pytest.mark.parametrize("tail", TAILS)
def test_the_tail_is_cut_and_said(tail: str, tmp_path: Path) -> None:
    nodes, outputs = TAILS[tail]
    network = from_onnx(saved(classifier(*nodes, outputs=outputs), tmp_path))
    assert torch.equal(evaluate(network, X), X @ torch.from_numpy(WEIGHT))
    assert len(network.provenance.notes) == 1
    assert "'logits'" in network.provenance.notes[0]
    assert outputs[0] in network.provenance.notes[0]


def test_the_softmax_can_be_kept_by_its_name(tmp_path: Path) -> None:
    nodes, outputs = TAILS["softmax"]
    path = saved(classifier(*nodes, outputs=outputs), tmp_path)
    network = from_onnx(path, output="p")
    wanted = torch.softmax(X @ torch.from_numpy(WEIGHT), 1)
    assert torch.allclose(evaluate(network, X), wanted, atol=1e-15)
    assert network.provenance.notes == ()


def test_a_softmax_in_the_middle_stays(tmp_path: Path) -> None:
    nodes = [node("Softmax", ["logits"], ["p"]), node("Add", ["p", "zero"], ["y"])]
    network = from_onnx(saved(classifier(*nodes, outputs=["y"]), tmp_path))
    assert [item.operation for item in network.layers] == ["softmax"]


def test_a_model_that_is_only_a_softmax_keeps_it(tmp_path: Path) -> None:
    model = model_of([node("Softmax", ["x"], ["y"])], ["N", 2], opset=13)
    network = from_onnx(saved(model, tmp_path))
    assert len(network.layers) == 1


def test_an_output_with_minus_infinities_is_refused(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "mask"], ["s"]), node("Softmax", ["s"], ["p"])]
    constants = {"mask": np.array([0.0, -np.inf])}
    model = model_of(nodes, ["N", 2], outputs=["p"], constants=constants)
    path = saved(model, tmp_path)
    with pytest.raises(NotFiniteError, match="such as the softmax"):
        from_onnx(path)
    kept = evaluate(from_onnx(path, output="p"), X)
    assert torch.equal(kept, torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double())


def test_several_outputs_need_a_choice(tmp_path: Path) -> None:
    model = classifier(node("Relu", ["logits"], ["a"]), outputs=["logits", "a"])
    path = saved(model, tmp_path)
    with pytest.raises(AmbiguousModelError) as caught:
        from_onnx(path)
    assert caught.value.names == ("logits", "a")
    assert "output=NAME" in str(caught.value)
    assert from_onnx(path, output="a").layers[0].operation == "relu"
    assert from_onnx(path, output="dense").layers == ()


def test_a_choice_leaves_out_what_it_does_not_need(tmp_path: Path) -> None:
    model = classifier(node("Det", ["logits"], ["a"]), outputs=["logits", "a"])
    assert from_onnx(saved(model, tmp_path), output="logits").output_shape == (2,)


def test_an_unknown_name_lists_near_ones(tmp_path: Path) -> None:
    path = saved(classifier(outputs=["logits"]), tmp_path)
    with pytest.raises(UnknownNameError) as caught:
        from_onnx(path, output="logit")
    assert caught.value.nearest[0] == "logits"


def test_several_inputs_are_refused_and_initializers_are_none(tmp_path: Path) -> None:
    model = model_of([node("Add", ["x", "z"], ["y"])], ["N", 2], constants={})
    second = helper.make_tensor_value_info("z", TensorProto.DOUBLE, ["N", 2])
    model.graph.input.append(second)
    with pytest.raises(AmbiguousModelError) as caught:
        from_onnx(saved(model, tmp_path))
    assert caught.value.names == ("x", "z")
    filled = onnx.numpy_helper.from_array(np.ones(2), "z")
    model.graph.initializer.append(filled)
    assert from_onnx(saved(model, tmp_path)).input_shape == (2,)


def test_all_operations_without_a_rule_are_listed(tmp_path: Path) -> None:
    nodes = [
        node("Det", ["x"], ["a"], "first"),
        node("Relu", ["a"], ["b"]),
        node("QuantizeLinear", ["b", "scale"], ["c"], "second"),
        node("BatchNormalization", ["x", *"ssss"], ["d"], "third", training_mode=1),
        node("Dropout", ["x", "half", "yes"], ["e"], "fourth"),
        node("MaxPool", ["x"], ["f", "places"], "fifth", kernel_shape=[1]),
        node("Sum", ["d", "e", "f"], ["g"]),
        node("Concat", ["g", "places", "c"], ["y"], axis=1),
    ]
    constants = {
        "scale": np.array(1.0),
        "s": np.ones(2),
        "half": np.array(0.5),
        "yes": np.array(True),
    }
    model = model_of(nodes, ["N", 2, 2], opset=14, constants=constants)
    with pytest.raises(UnsupportedOperationError) as caught:
        from_onnx(saved(model, tmp_path))
    found = {item.name: (item.operation, item.reason) for item in caught.value.nodes}
    assert set(found) == {"first", "second", "third", "fourth", "fifth"}
    assert "quantised" in found["second"][1]
    assert "training mode" in found["third"][1]
    assert "training mode" in found["fourth"][1]
    assert "Indices" in found["fifth"][1]


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (node("Cast", ["x"], ["y"], "bad", to=TensorProto.INT64), "rounds"),
        (node("Gather", ["table", "x"], ["y"], "bad"), "token ids"),
        (node("ThresholdedRelu", ["x"], ["y"], "bad", alpha=1.0), "jumps"),
        (node("Shrink", ["x"], ["y"], "bad", lambd=1.0), "jumps"),
        (node("Slice", ["x", "one", "two", "zero"], ["y"], "bad"), "batch"),
        (node("ReduceSum", ["x"], ["y"], "bad"), "batch"),
        (node("Div", ["x", "zero"], ["y"], "bad"), "zeros"),
        (node("Clip", ["x", "high", "low"], ["y"], "bad"), "one value"),
        (node("RandomNormalLike", ["x"], ["y"], "bad"), "no rule"),
        (
            node(
                "Loop",
                ["", "", "x"],
                ["y"],
                "bad",
                body=helper.make_graph([], "b", [], []),
            ),
            "no rule",
        ),
    ],
)
def test_what_has_no_meaning_here_is_refused(
    made: onnx.NodeProto, word: str, tmp_path: Path
) -> None:
    constants = {
        "table": np.ones((3, 2)),
        "one": np.array([1]),
        "two": np.array([2]),
        "zero": np.array([0]),
        "low": np.array(0.0),
        "high": np.array(1.0),
    }
    model = model_of([made], ["N", 2], opset=13, constants=constants)
    with pytest.raises(UnsupportedOperationError) as caught:
        from_onnx(saved(model, tmp_path))
    assert [item.name for item in caught.value.nodes] == ["bad"]
    assert word in caught.value.nodes[0].reason


def test_every_promised_operation_has_a_rule() -> None:
    promised = [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Neg",
        "Abs",
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Clip",
        "Max",
        "Min",
        "Sigmoid",
        "Tanh",
        "Elu",
        "Softplus",
        "Gelu",
        "HardSigmoid",
        "Softmax",
        "Gemm",
        "MatMul",
        "Conv",
        "ConvTranspose",
        "BatchNormalization",
        "LayerNormalization",
        "AveragePool",
        "GlobalAveragePool",
        "MaxPool",
        "GlobalMaxPool",
        "ReduceMean",
        "ReduceSum",
        "ReduceMax",
        "Flatten",
        "Reshape",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Split",
        "Concat",
        "Pad",
        "Gather",
        "Expand",
        "Upsample",
        "Resize",
        "Identity",
        "Dropout",
        "Cast",
        "Constant",
        "ConstantOfShape",
        "Shape",
        "LSTM",
        "GRU",
        "RNN",
    ]
    assert [name for name in promised if find("ai.onnx", name) is None] == []
