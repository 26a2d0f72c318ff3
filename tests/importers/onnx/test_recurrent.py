"""Recurrent layers against onnxruntime and the reference."""

from pathlib import Path

import numpy as np
import pytest
import torch
from importers.onnx.graphs import by_runtime, model_of, saved
from onnx import helper

from relulens import evaluate
from relulens.errors import UnsupportedOperationError
from relulens.importers.onnx_model.importing import from_onnx

RNG = np.random.default_rng(4)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS, INPUTS, HIDDEN = 4, 3, 2


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def weights(operation: str, directions: int) -> dict[str, np.ndarray]:
    rows = GATES[operation] * HIDDEN
    return {
        "w": draw(directions, rows, INPUTS),
        "r": draw(directions, rows, HIDDEN),
        "b": draw(directions, 2 * rows),
    }


def assert_runtime(model, folder: Path, outputs: int) -> None:
    """Compare every output of the node with onnxruntime, for a batch of three."""
    x = draw(STEPS, 3, INPUTS)
    for name in ("y", "last", "cell")[:outputs]:
        del model.graph.output[:]
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
        network = from_onnx(saved(model, folder), output=name)
        inputs = torch.from_numpy(np.moveaxis(x, 1, 0).astype(np.float64))
        ours = evaluate(network, inputs).numpy()
        theirs = by_runtime(model, x)
        place = 2 if name == "y" else 1
        assert np.abs(ours - np.moveaxis(theirs, place, 0)).max() < 1e-5


@pytest.mark.parametrize("opset", [7, 14])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("operation", ["RNN", "GRU", "LSTM"])
def test_all_states_follow_onnxruntime(
    operation: str, direction: str, opset: int, tmp_path: Path
) -> None:
    outputs = 3 if operation == "LSTM" else 2
    node = helper.make_node(
        operation,
        ["x", "w", "r", "b"],
        ["y", "last", "cell"][:outputs],
        "layer",
        hidden_size=HIDDEN,
        direction=direction,
    )
    directions = 2 if direction == "bidirectional" else 1
    model = model_of(
        [node],
        [STEPS, "batch", INPUTS],
        opset=opset,
        constants=weights(operation, directions),
        outputs=["y"],
        dtype=np.float32,
    )
    assert_runtime(model, tmp_path, outputs)


def test_a_gru_may_reset_before_or_after_its_matrix(tmp_path: Path) -> None:
    constants = weights("GRU", 1)
    for after in (0, 1):
        node = helper.make_node(
            "GRU",
            ["x", "w", "r", "b"],
            ["y"],
            hidden_size=HIDDEN,
            linear_before_reset=after,
        )
        model = model_of(
            [node],
            [STEPS, "batch", INPUTS],
            opset=14,
            constants=constants,
            dtype=np.float32,
        )
        assert_runtime(model, tmp_path, 1)


def test_initial_states_and_relu(tmp_path: Path) -> None:
    constants = {**weights("RNN", 2), "h": draw(2, 1, HIDDEN)}
    node = helper.make_node(
        "RNN",
        ["x", "w", "r", "b", "", "h"],
        ["y"],
        hidden_size=HIDDEN,
        direction="bidirectional",
        activations=["Relu", "Tanh"],
    )
    model = model_of(
        [node], [STEPS, 1, INPUTS], opset=14, constants=constants, dtype=np.float32
    )
    network = from_onnx(saved(model, tmp_path))
    x = draw(STEPS, 1, INPUTS)
    inputs = torch.from_numpy(x.astype(np.float64))[None]
    ours = evaluate(network, inputs).numpy().reshape(-1)
    assert np.abs(ours - by_runtime(model, x).reshape(-1)).max() < 1e-5
    kinds = {item.operation for item in network.layers}
    assert kinds == {"relu", "tanh"}


def test_an_initial_state_repeated_for_the_batch(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["size"]),
        helper.make_node("Unsqueeze", ["size", "zero"], ["sizes"]),
        helper.make_node("Concat", ["ones", "sizes", "hidden"], ["target"], axis=0),
        helper.make_node("Expand", ["start", "target"], ["h"]),
        helper.make_node(
            "LSTM", ["x", "w", "r", "b", "", "h", "h"], ["y"], hidden_size=HIDDEN
        ),
    ]
    constants = {
        **weights("LSTM", 1),
        "one": np.array(1),
        "zero": np.array([0]),
        "ones": np.array([1]),
        "hidden": np.array([HIDDEN]),
        "start": draw(1, 1, HIDDEN),
    }
    model = model_of(
        nodes, [STEPS, "batch", INPUTS], opset=14, constants=constants, dtype=np.float32
    )
    assert_runtime(model, tmp_path, 1)


@pytest.mark.parametrize(
    ("inputs", "attributes", "word"),
    [
        (["x", "w", "r", "b", "lengths"], {}, "sequence_lens"),
        (["x", "w", "r", "b"], {"clip": 1.0}, "clip"),
        (["x", "w", "r", "b"], {"input_forget": 1}, "input_forget"),
        (["x", "w", "r", "b"], {"activations": ["Affine", "Tanh", "Tanh"]}, "Affine"),
        (["x", "w", "r", "b", "", "", "", "p"], {}, "peepholes"),
    ],
)
def test_what_an_unrolled_layer_leaves_out_is_refused_by_name(
    inputs: list[str], attributes: dict, word: str, tmp_path: Path
) -> None:
    node = helper.make_node(
        "LSTM", inputs, ["y"], "layer", hidden_size=HIDDEN, **attributes
    )
    constants = weights("LSTM", 1)
    constants["lengths"] = np.array([STEPS], dtype=np.int32)
    constants["p"] = draw(1, 3 * HIDDEN)
    model = model_of(
        [node],
        [STEPS, "batch", INPUTS],
        opset=14,
        constants=constants,
        dtype=np.float32,
    )
    with pytest.raises(UnsupportedOperationError) as caught:
        from_onnx(saved(model, tmp_path))
    assert caught.value.nodes[0].name == "layer"
    assert word in caught.value.nodes[0].reason
