"""Every operation against the reference evaluator, in several forms and versions."""

from pathlib import Path

import numpy as np
import pytest
from importers.onnx.case import Case
from importers.onnx.graphs import OPSETS, assert_same, model_of
from importers.onnx.layer_cases import NORMALISATION, WINDOWS
from importers.onnx.movement_cases import INDEXING, REDUCTIONS, SHAPES
from importers.onnx.numbers_cases import ACTIVATIONS, ARITHMETIC, PRODUCTS
from onnx import helper

EVERY = [
    *ACTIVATIONS,
    *ARITHMETIC,
    *PRODUCTS,
    *WINDOWS,
    *NORMALISATION,
    *SHAPES,
    *INDEXING,
    *REDUCTIONS,
]


def _versions(case: Case) -> list[int]:
    wanted = {v for v in OPSETS if case.since <= v <= case.until}
    return sorted(wanted | {case.since, case.until})


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        pytest.param(case, opset, id=f"{case.name}-{opset}")
        for case in EVERY
        for opset in _versions(case)
    ],
)
def test_an_operation_has_the_values_of_the_reference(
    case: Case, opset: int, tmp_path: Path
) -> None:
    names = ["" if c is None else f"c{i}" for i, c in enumerate(case.constants)]
    order = ["x", *names] if case.first else [*names, "x"]
    node = helper.make_node(case.operation, order, ["y0"], "work", **case.attributes)
    # The tail keeps a softmax at the end from being cut.
    after = helper.make_node("Add", ["y0", "zero"], ["y"], "after")
    given = {n: c for n, c in zip(names, case.constants, strict=True) if c is not None}
    given["zero"] = np.zeros(1)
    if case.runtime:
        given = {n: _single(c) for n, c in given.items()}
    model = model_of(
        [node, after],
        ["N", *case.shape],
        opset=opset,
        constants=given,
        dtype=np.float32 if case.runtime else np.float64,
    )
    numbers = np.random.default_rng(2).normal(size=(3, *case.shape))
    if case.positive:
        numbers = 0.1 + np.abs(numbers)
    network = assert_same(
        model,
        tmp_path,
        numbers=numbers,
        tolerance=3e-6 if case.runtime else case.tolerance,
        runtime=case.runtime,
    )
    assert "work" in network.names()
    if case.kind is not None:
        assert case.kind in {type(node).__name__ for node in network.nodes}


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float64 else array
