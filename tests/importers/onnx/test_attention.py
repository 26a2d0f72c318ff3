"""Attention, its masks, and index expressions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from importers.onnx.graphs import (
    assert_same,
    model_of,
)
from onnx import helper

from relulens import evaluate

RNG = np.random.default_rng(3)
node = helper.make_node


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def test_attention_with_a_causal_mask(tmp_path: Path) -> None:
    mask = np.where(np.tril(np.ones((4, 4))) > 0, 0.0, -np.inf)
    nodes = [
        node("MatMul", ["x", "wq"], ["q"]),
        node("MatMul", ["x", "wk"], ["k"]),
        node("MatMul", ["x", "wv"], ["v"]),
        node("Reshape", ["q", "split"], ["q4"]),
        node("Reshape", ["k", "split"], ["k4"]),
        node("Reshape", ["v", "split"], ["v4"]),
        node("Transpose", ["q4"], ["qh"], perm=[0, 2, 1, 3]),
        node("Transpose", ["k4"], ["kh"], perm=[0, 2, 3, 1]),
        node("Transpose", ["v4"], ["vh"], perm=[0, 2, 1, 3]),
        node("MatMul", ["qh", "kh"], ["scores"]),
        node("Add", ["scores", "mask"], ["masked"]),
        node("Softmax", ["masked"], ["weights"], axis=-1),
        node("MatMul", ["weights", "vh"], ["heads"]),
        node("Transpose", ["heads"], ["back"], perm=[0, 2, 1, 3]),
        node("Reshape", ["back", "joined"], ["y"]),
    ]
    constants = {
        "wq": draw(6, 6),
        "wk": draw(6, 6),
        "wv": draw(6, 6),
        "split": ints(0, 0, 2, 3),
        "joined": ints(0, 0, 6),
        "mask": mask,
    }
    network = assert_same(model_of(nodes, ["N", 4, 6], constants=constants), tmp_path)
    x = torch.randn(1, 4, 6, dtype=torch.float64)
    changed = x.clone()
    changed[0, 3] += 1.0
    assert torch.equal(evaluate(network, x)[0, :3], evaluate(network, changed)[0, :3])


def test_a_mask_by_where_is_the_same_as_one_that_is_added(tmp_path: Path) -> None:
    nodes = [
        node("Where", ["open", "x", "closed"], ["masked"]),
        node("Softmax", ["masked"], ["p"], axis=-1),
        node("MatMul", ["p", "w"], ["y"]),
    ]
    constants = {
        "open": np.tril(np.ones((3, 3))) > 0,
        "closed": np.array(-np.inf),
        "w": draw(3, 2),
    }
    assert_same(model_of(nodes, ["N", 3, 3], constants=constants), tmp_path)


@pytest.mark.parametrize(
    ("equation", "other"),
    [
        ("bij->bji", None),
        ("bij->bi", None),
        ("bij,jk->bik", (4, 5)),
        ("bij,kj->bki", (5, 4)),
        ("jk,bij->bki", (4, 5)),
        ("bij,ij->bi", (3, 4)),
        ("bij,ijk->bik", (3, 4, 2)),
        ("bij,ijkl->bkl", (3, 4, 2, 2)),
        ("bij,k->bijk", (2,)),
    ],
)
def test_index_expressions(
    equation: str, other: tuple[int, ...] | None, tmp_path: Path
) -> None:
    constants = {} if other is None else {"w": draw(*other)}
    inputs = ["x", *constants]
    if equation.startswith("jk"):
        inputs = inputs[::-1]
    made = node("Einsum", inputs, ["y"], equation=equation)
    assert_same(model_of([made], ["N", 3, 4], constants=constants), tmp_path)


@pytest.mark.parametrize(
    "equation", ["bij,bkj->bik", "bij,bij->b", "bij,bij->bij", "bij,bkl->bikjl"]
)
def test_index_expressions_of_two_values(equation: str, tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Einsum", ["a", "x"], ["y"], equation=equation),
    ]
    model = model_of(nodes, ["N", 3, 4], constants={"w": draw(4, 4)})
    assert_same(model, tmp_path)


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_as_one_operation_is_spelled_out(causal: int, tmp_path: Path) -> None:
    # It has no rule: the standard's own body is imported.
    nodes = [
        node("MatMul", ["x", "w"], ["k"]),
        node(
            "Attention",
            ["x", "k", "x"],
            ["y"],
            "heads",
            q_num_heads=2,
            kv_num_heads=2,
            is_causal=causal,
        ),
    ]
    model = model_of(nodes, ["N", 3, 4], opset=23, constants={"w": draw(4, 4)})
    network = assert_same(model, tmp_path, tolerance=1e-6)
    assert all("heads" in item.name for item in network.layers)


def test_a_guard_against_masked_rows_changes_nothing(tmp_path: Path) -> None:
    nodes = [
        node("Add", ["x", "mask"], ["scores"]),
        node("Softmax", ["scores"], ["p"], axis=-1),
        node("IsNaN", ["p"], ["bad"]),
        node("Where", ["bad", "zero", "p"], ["safe"]),
        node("MatMul", ["safe", "w"], ["y"]),
    ]
    mask = np.where(np.tril(np.ones((3, 3)), -1) > 0, 0.0, -np.inf)
    constants = {"mask": mask, "zero": np.array(0.0), "w": draw(3, 2)}
    network = assert_same(model_of(nodes, ["N", 3, 3], constants=constants), tmp_path)
    x = torch.randn(1, 3, 3, dtype=torch.float64)
    assert torch.equal(evaluate(network, x)[0, 0], torch.zeros(2).double())
