"""What a bad ONNX file gets: one clear refusal, with its fields."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from importers.onnx.graphs import model_of, saved
from onnx import TensorProto, external_data_helper, helper

from relulens import Box, evaluate, load
from relulens.errors import (
    ImportMismatchError,
    ModelLoadError,
    NotFiniteError,
)

node = helper.make_node


def dense(weight: np.ndarray | None = None) -> onnx.ModelProto:
    given = np.arange(6.0).reshape(2, 3) if weight is None else weight
    nodes = [node("MatMul", ["x", "weight"], ["h"]), node("Relu", ["h"], ["y"])]
    return model_of(nodes, ["N", 2], opset=17, constants={"weight": given})


def test_a_truncated_file(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path)
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 7):
        path.write_bytes(content[:length])
        with pytest.raises(ModelLoadError):
            load(path)


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is no model", b"\x00" * 64, b"{}", b"<html>"]
)
def test_a_file_that_is_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match="truncated"):
        load(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="does not exist"):
        load(tmp_path / "no.onnx")
    with pytest.raises(ModelLoadError, match="is a folder"):
        load(tmp_path)


def with_side_car(folder: Path, location: str) -> Path:
    """Write a model whose weight is said to be kept in another file."""
    model = dense()
    tensor = model.graph.initializer[0]
    data = tensor.raw_data
    external_data_helper.set_external_data(tensor, location, 0, len(data))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    (folder / "weights.bin").write_bytes(data)
    return saved(model, folder)


def test_weights_beside_the_file_are_read_and_hashed(tmp_path: Path) -> None:
    network = load(with_side_car(tmp_path, "weights.bin"))
    x = torch.ones(1, 2, dtype=torch.float64)
    wanted = torch.tensor([[3.0, 5.0, 7.0]], dtype=torch.float64)
    assert torch.equal(evaluate(network, x), wanted)
    before = network.provenance.sha256
    (tmp_path / "weights.bin").write_bytes(np.ones(6).tobytes())
    assert load(tmp_path / "model.onnx").provenance.sha256 != before


def test_a_missing_side_car_is_named(tmp_path: Path) -> None:
    path = with_side_car(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelLoadError, match=r"weights\.bin.*no such file"):
        load(path)


def test_a_short_side_car_is_refused(tmp_path: Path) -> None:
    path = with_side_car(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(ModelLoadError, match="the file has 5"):
        load(path)


@pytest.mark.parametrize("how", ["absolute", "above", "around", "link", "backslash"])
def test_weights_outside_the_folder_are_refused(how: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.ones(6).tobytes())
    (folder / "link.bin").symlink_to(secret)
    location = {
        "absolute": str(secret),
        "above": "../secret.bin",
        "around": "inner/../../secret.bin",
        "link": "link.bin",
        "backslash": "..\\secret.bin",
    }[how]
    with pytest.raises(ModelLoadError, match="not inside the model's own folder"):
        load(with_side_car(folder, location))


def test_a_link_inside_the_folder_is_fine(tmp_path: Path) -> None:
    path = with_side_car(tmp_path, "link.bin")
    os.symlink(tmp_path / "weights.bin", tmp_path / "link.bin")
    assert load(path).output_shape == (3,)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_named(number: float, tmp_path: Path) -> None:
    weight = np.arange(6.0).reshape(2, 3)
    weight[1, 1] = number
    with pytest.raises(NotFiniteError, match="'weight'"):
        load(saved(dense(weight), tmp_path))


def test_a_weight_of_nothing_but_infinities_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match="'weight'"):
        load(saved(dense(np.full((2, 3), np.inf)), tmp_path))


@pytest.mark.parametrize(
    ("kind", "word"),
    [(TensorProto.INT64, "embedding's output"), (TensorProto.BOOL, "float32")],
)
def test_an_input_that_is_not_floating_point(
    kind: int, word: str, tmp_path: Path
) -> None:
    model = dense()
    model.graph.input[0].type.tensor_type.elem_type = kind
    with pytest.raises(ModelLoadError, match=word):
        load(saved(model, tmp_path))


def test_open_lengths_need_a_shape(tmp_path: Path) -> None:
    model = model_of([node("Relu", ["x"], ["y"])], ["N", 3, "height", None])
    path = saved(model, tmp_path)
    with pytest.raises(ModelLoadError, match="input_shape="):
        load(path)
    assert load(path, input_shape=(3, 4, 5)).output_shape == (3, 4, 5)
    with pytest.raises(ModelLoadError, match=r"\[2, 4, 5\]"):
        load(path, input_shape=(2, 4, 5))


@pytest.mark.parametrize("version", [6, onnx.defs.onnx_opset_version() + 1])
def test_other_operation_sets_are_refused(version: int, tmp_path: Path) -> None:
    model = dense()
    model.opset_import[0].version = version
    with pytest.raises(ModelLoadError, match=f"set {version}"):
        load(saved(model, tmp_path))


def test_a_graph_that_reads_what_is_not_there(tmp_path: Path) -> None:
    model = model_of([node("Add", ["x", "ghost"], ["y"])], ["N", 2])
    with pytest.raises(ModelLoadError, match="'ghost'"):
        load(saved(model, tmp_path))


def test_a_graph_without_an_input(tmp_path: Path) -> None:
    model = dense()
    del model.graph.input[:]
    with pytest.raises(ModelLoadError, match="0 inputs"):
        load(saved(model, tmp_path))


def test_a_wrong_rule_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relulens.importers.operations import activations

    path = saved(dense(), tmp_path)
    monkeypatch.setattr(activations, "relu", activations.absolute)
    with pytest.raises(ImportMismatchError) as caught:
        load(path)
    assert caught.value.difference > 0.1 > caught.value.tolerance
    assert load(path, check=False).provenance.agreement is None


def test_the_agreement_is_recorded(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path)
    network = load(path, domain=Box(0, 1))
    assert network.domain is not None
    known = network.provenance
    assert (known.format, known.path, known.unsafe) == ("onnx", str(path), False)
    assert known.agreement is not None
    assert known.agreement.source in ("onnxruntime", "onnx.reference")
    assert known.agreement.samples == 6
    assert known.agreement.difference < 1e-12


def test_dtype_and_device_are_the_networks(tmp_path: Path) -> None:
    network = load(saved(dense(), tmp_path), dtype=torch.float32)
    assert network.dtype == torch.float32
    assert network.as_input(torch.ones(1, 2)).dtype == torch.float32
