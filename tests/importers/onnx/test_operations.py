"""Every operation against the reference evaluator, in several forms and versions."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from importers.onnx.graphs import NEWEST, OPSETS, assert_same, model_of
from onnx import helper

RNG = np.random.default_rng(1)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


@dataclass(frozen=True)
class Case:
    name: str
    operation: str
    shape: tuple[int, ...]
    constants: tuple[np.ndarray | None, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)
    since: int = 7
    until: int = NEWEST
    first: bool = True
    positive: bool = False
    tolerance: float = 1e-10
    kind: str | None = None
    runtime: bool = False  # The reference evaluator has the operation wrong or not.


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def plain(
    operation: str,
    since: int = 7,
    until: int = NEWEST,
    tolerance: float = 1e-10,
    runtime: bool = False,
    **attributes: object,
) -> Case:
    words = "-".join([operation, *(f"{k}{v}" for k, v in attributes.items())])
    return Case(
        words,
        operation,
        (3, 4),
        attributes=attributes,
        since=since,
        until=until,
        tolerance=tolerance,
        runtime=runtime,
    )


ACTIVATIONS = [
    plain("Relu"),
    plain("LeakyRelu"),
    plain("LeakyRelu", alpha=0.3),
    plain("Abs"),
    plain("Neg"),
    plain("Sigmoid"),
    plain("Tanh"),
    plain("Exp"),
    plain("Erf", since=9, tolerance=1e-6),
    plain("Sin"),
    plain("Cos"),
    plain("Atan"),
    plain("Softsign"),
    plain("Softplus"),
    plain("Elu"),
    plain("Elu", alpha=0.5),
    plain("Selu"),
    plain("Celu", since=12, alpha=2.0),
    plain("HardSigmoid"),
    plain("HardSigmoid", alpha=0.5, beta=0.2),
    plain("HardSwish", since=14, tolerance=1e-6),
    plain("Mish", since=18),
    plain("Gelu", since=20, tolerance=1e-6),
    plain("Gelu", since=20, tolerance=1e-6, approximate="tanh"),
    plain("Swish", since=24),
    plain("Swish", since=24, alpha=1.7),
    plain("ThresholdedRelu", since=10, alpha=0.0),
    plain("Shrink", since=9, lambd=0.5, bias=0.5),
    plain("Identity"),
    plain("Softmax", since=13, axis=1),
    plain("Softmax", until=12, runtime=True, axis=1),
    plain("Softmax", axis=2),
    plain("Softmax", since=13, axis=-1),
    plain("LogSoftmax", since=13, axis=1),
    plain("LogSoftmax", until=12, runtime=True, axis=1),
    plain("LogSoftmax", since=13, axis=-2),
    Case("Sqrt", "Sqrt", (3, 4), positive=True),
    Case("Log", "Log", (3, 4), positive=True),
    Case("Reciprocal", "Reciprocal", (3, 4), positive=True),
    Case("PRelu", "PRelu", (3, 4, 4), (draw(3, 1, 1),)),
    Case("PRelu-one", "PRelu", (3, 4), (draw(1),)),
    Case("PRelu-all", "PRelu", (3, 4), (draw(3, 4),)),
    Case("Clip-old", "Clip", (5,), attributes={"min": -0.5, "max": 0.4}, until=10),
    Case("Clip-old-low", "Clip", (5,), attributes={"min": -0.5}, until=10),
    Case("Clip", "Clip", (5,), (np.array(-0.5), np.array(0.4)), since=11),
    Case("Clip-low", "Clip", (5,), (np.array(-0.5),), since=11),
    Case("Clip-high", "Clip", (5,), (None, np.array(0.5)), since=11),
    Case("Clip-infinite", "Clip", (5,), (np.array(0.0), np.array(np.inf)), since=11),
]

ARITHMETIC = [
    *(
        Case(f"{op}-{side}-{i}", op, (3, 4), (constant,), first=side == "left")
        for op in ("Add", "Sub", "Mul")
        for side in ("left", "right")
        for i, constant in enumerate((
            draw(4),
            draw(3, 1),
            draw(1, 3, 4),
            np.array(2.0),
        ))
    ),
    Case("Add-wider", "Add", (4,), (draw(1, 1, 4),)),
    Case("Mul-expands", "Mul", (1, 4), (draw(3, 4),)),
    Case("Div", "Div", (3, 4), (1 + np.abs(draw(4)),)),
    Case("Div-into", "Div", (3, 4), (draw(4),), first=False, positive=True),
    Case("Pow-2", "Pow", (3, 4), (np.array(2.0),)),
    Case("Pow-3", "Pow", (3, 4), (np.array(3.0),)),
    Case("Pow-half", "Pow", (3, 4), (np.array([0.5]),), positive=True),
    Case("Pow-base", "Pow", (3, 4), (np.array(1.7),), first=False),
    Case("Max", "Max", (3, 4), (draw(4),), since=8, kind="Maximum"),
    Case("Min", "Min", (3, 4), (draw(3, 1), draw(4)), since=8, kind="Maximum"),
    Case("Sum", "Sum", (3, 4), (draw(4), draw(3, 1)), since=8),
    Case("Mean", "Mean", (3, 4), (draw(4),), since=8),
]

PRODUCTS = [
    Case("MatMul", "MatMul", (3, 4), (draw(4, 5),)),
    Case("MatMul-vector", "MatMul", (4,), (draw(4),), since=9),
    Case("MatMul-left", "MatMul", (3, 4), (draw(5, 3),), first=False),
    Case("MatMul-stack", "MatMul", (2, 3, 4), (draw(2, 4, 5),)),
    Case("Gemm", "Gemm", (4,), (draw(4, 5), draw(5))),
    Case("Gemm-B", "Gemm", (4,), (draw(5, 4), draw(5)), {"transB": 1}),
    Case(
        "Gemm-scales",
        "Gemm",
        (4,),
        (draw(5, 4), draw(1)),
        {"transB": 1, "alpha": 0.5, "beta": 2.0},
    ),
    Case("Gemm-no-bias", "Gemm", (4,), (draw(4, 5),), since=11),
]

WINDOWS = [
    Case("Conv", "Conv", (3, 7, 8), (draw(4, 3, 3, 2), draw(4))),
    Case(
        "Conv-all",
        "Conv",
        (4, 9, 8),
        (draw(6, 2, 3, 2),),
        {"strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [2, 1], "group": 2},
    ),
    Case("Conv-1d", "Conv", (2, 9), (draw(3, 2, 4),), {"pads": [2, 1]}),
    Case(
        "Conv-3d", "Conv", (2, 4, 5, 4), (draw(3, 2, 2, 2, 2),), {"strides": [1, 2, 1]}
    ),
    Case(
        "Conv-upper",
        "Conv",
        (2, 7, 8),
        (draw(3, 2, 2, 4),),
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
    ),
    Case(
        "Conv-lower", "Conv", (2, 7, 8), (draw(3, 2, 2, 4),), {"auto_pad": "SAME_LOWER"}
    ),
    Case("Conv-valid", "Conv", (2, 7, 8), (draw(3, 2, 2, 4),), {"auto_pad": "VALID"}),
    Case("ConvTranspose", "ConvTranspose", (3, 4, 5), (draw(3, 2, 3, 2), draw(2))),
    Case(
        "ConvTranspose-all",
        "ConvTranspose",
        (4, 4, 5),
        (draw(4, 2, 3, 2),),
        {
            "strides": [2, 3],
            "pads": [1, 0, 1, 1],
            "output_padding": [1, 2],
            "group": 2,
        },
        until=17,
        runtime=True,
    ),
    Case(
        "ConvTranspose-shape",
        "ConvTranspose",
        (2, 4, 5),
        (draw(2, 3, 3, 3),),
        {"strides": [2, 2], "output_shape": [8, 10]},
        until=17,
        runtime=True,
    ),
    Case(
        "ConvTranspose-same",
        "ConvTranspose",
        (2, 4, 5),
        (draw(2, 3, 3, 3),),
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        until=17,
        runtime=True,
    ),
    Case(
        "ConvTranspose-dilated",
        "ConvTranspose",
        (2, 4, 5),
        (draw(2, 3, 2, 2),),
        {"dilations": [2, 1]},
    ),
    Case("MaxPool", "MaxPool", (2, 7, 8), attributes={"kernel_shape": [3, 2]}),
    Case(
        "MaxPool-pads",
        "MaxPool",
        (2, 7, 8),
        attributes={"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]},
        kind="Maximum",
    ),
    Case(
        "MaxPool-ceil",
        "MaxPool",
        (2, 7, 8),
        attributes={"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        since=10,
    ),
    Case(
        "MaxPool-dilated",
        "MaxPool",
        (2, 7, 8),
        attributes={"kernel_shape": [2, 2], "dilations": [2, 3]},
        since=10,
    ),
    Case(
        "MaxPool-same",
        "MaxPool",
        (2, 7, 8),
        attributes={
            "kernel_shape": [2, 3],
            "strides": [2, 2],
            "auto_pad": "SAME_UPPER",
        },
    ),
    Case("MaxPool-1d", "MaxPool", (2, 7), attributes={"kernel_shape": [3]}),
    Case("AveragePool", "AveragePool", (2, 7, 8), attributes={"kernel_shape": [3, 2]}),
    Case(
        "AveragePool-counted",
        "AveragePool",
        (2, 7, 8),
        attributes={
            "kernel_shape": [3, 2],
            "pads": [1, 1, 1, 0],
            "count_include_pad": 1,
        },
    ),
    Case(
        "AveragePool-uncounted",
        "AveragePool",
        (2, 7, 8),
        attributes={"kernel_shape": [3, 2], "pads": [1, 1, 1, 0], "strides": [2, 1]},
    ),
    Case(
        "AveragePool-ceil",
        "AveragePool",
        (2, 7, 8),
        attributes={"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1},
        since=10,
    ),
    Case(
        "AveragePool-dilated",
        "AveragePool",
        (2, 7, 8),
        attributes={
            "kernel_shape": [2, 3],
            "dilations": [2, 2],
            "pads": [1, 1, 1, 1],
            "count_include_pad": 1,
        },
        since=19,
    ),
    Case(
        "AveragePool-dilated-uncounted",
        "AveragePool",
        (2, 7, 8),
        attributes={"kernel_shape": [2, 3], "dilations": [2, 2], "pads": [1, 1, 1, 1]},
        since=19,
    ),
    Case("GlobalAveragePool", "GlobalAveragePool", (2, 7, 8)),
    Case("GlobalMaxPool", "GlobalMaxPool", (2, 7, 8), kind="Maximum"),
]

NORMALISATION = [
    Case(
        "BatchNormalization",
        "BatchNormalization",
        (3, 4, 5),
        (draw(3), draw(3), draw(3), np.abs(draw(3))),
        {"epsilon": 1e-3},
        since=14,
    ),
    Case(
        "BatchNormalization-older",
        "BatchNormalization",
        (3, 4, 5),
        (draw(3), draw(3), draw(3), np.abs(draw(3))),
        until=13,
        runtime=True,
    ),
    Case(
        "BatchNormalization-flat",
        "BatchNormalization",
        (3,),
        (draw(3), draw(3), draw(3), np.abs(draw(3))),
        since=14,
    ),
    Case(
        "InstanceNormalization", "InstanceNormalization", (3, 4, 5), (draw(3), draw(3))
    ),
    Case(
        "LayerNormalization",
        "LayerNormalization",
        (3, 4),
        (draw(4), draw(4)),
        since=17,
    ),
    Case(
        "LayerNormalization-two",
        "LayerNormalization",
        (3, 4),
        (draw(3, 4),),
        {"axis": -2, "epsilon": 1e-3},
        since=17,
    ),
    Case(
        "GroupNormalization",
        "GroupNormalization",
        (4, 5),
        (draw(4), draw(4)),
        {"num_groups": 2},
        since=21,
        tolerance=1e-6,
    ),
    Case(
        "GroupNormalization-18",
        "GroupNormalization",
        (4, 5),
        (draw(2), draw(2)),
        {"num_groups": 2},
        since=18,
        until=20,
        tolerance=1e-6,
    ),
    Case("RMSNormalization", "RMSNormalization", (3, 4), (draw(4),), since=23),
    Case("LpNormalization", "LpNormalization", (3, 4), attributes={"axis": 1}),
    Case(
        "LpNormalization-1",
        "LpNormalization",
        (3, 4),
        attributes={"p": 1},
        until=17,
        runtime=True,
    ),
    Case(
        "LRN",
        "LRN",
        (5, 3, 2),
        attributes={"size": 3, "alpha": 0.3, "bias": 2.0},
        until=17,
        runtime=True,
    ),
    Case(
        "MeanVarianceNormalization",
        "MeanVarianceNormalization",
        (3, 4, 5),
        attributes={"axes": [2, 3]},
        since=9,
        until=17,
        runtime=True,
    ),
]

SHAPES = [
    Case("Reshape", "Reshape", (3, 4), (ints(-1, 12),)),
    Case("Reshape-zero", "Reshape", (3, 4), (ints(0, 2, -1),)),
    Case("Reshape-merge", "Reshape", (3, 4), (ints(-1, 4),)),
    Case("Flatten", "Flatten", (3, 4)),
    Case("Flatten-2", "Flatten", (3, 4), attributes={"axis": 2}),
    Case("Flatten-0", "Flatten", (3, 4), attributes={"axis": 0}),
    Case("Flatten-last", "Flatten", (3, 4), attributes={"axis": -1}, since=11),
    Case("Transpose", "Transpose", (3, 4), attributes={"perm": [0, 2, 1]}),
    Case("Squeeze-old", "Squeeze", (1, 4), attributes={"axes": [1]}, until=11),
    Case("Squeeze", "Squeeze", (1, 4), (ints(1),), since=13),
    Case("Unsqueeze-old", "Unsqueeze", (4,), attributes={"axes": [1, 3]}, until=11),
    Case("Unsqueeze", "Unsqueeze", (4,), (ints(1, -1),), since=13),
    Case("Expand", "Expand", (1, 4), (ints(1, 3, 1),), since=8),
    Case("Tile", "Tile", (2, 3), (ints(1, 2, 3),)),
    Case("DepthToSpace", "DepthToSpace", (8, 2, 3), attributes={"blocksize": 2}),
    Case(
        "DepthToSpace-CRD",
        "DepthToSpace",
        (8, 2, 3),
        attributes={"blocksize": 2, "mode": "CRD"},
        since=11,
    ),
    Case("SpaceToDepth", "SpaceToDepth", (2, 4, 6), attributes={"blocksize": 2}),
    Case("Trilu", "Trilu", (4, 5), (np.array(1),), since=14),
    Case("Trilu-lower", "Trilu", (4, 5), (), {"upper": 0}, since=14),
]

INDEXING = [
    Case(
        "Slice-old",
        "Slice",
        (5, 6),
        attributes={"starts": [1, -4], "ends": [4, 100], "axes": [1, 2]},
        until=9,
    ),
    Case("Slice", "Slice", (5, 6), (ints(1, -4), ints(4, 100), ints(1, 2)), since=10),
    Case(
        "Slice-steps",
        "Slice",
        (5, 6),
        (ints(0, -1), ints(5, -(2**62)), ints(1, -1), ints(2, -2)),
        since=10,
    ),
    Case(
        "Slice-batch",
        "Slice",
        (5, 6),
        (ints(0, 2), ints(2**62, 3), ints(0, 1)),
        since=10,
    ),
    Case("Gather", "Gather", (5, 6), (ints(3, 0, -1, 3),), {"axis": 1}),
    Case("Gather-one", "Gather", (5, 6), (np.array(2),), {"axis": -1}),
    Case("Gather-table", "Gather", (5, 6), (np.array([[0, 1], [4, 2]]),), {"axis": 1}),
    Case("Pad-old", "Pad", (3, 4), attributes={"pads": [0, 1, 0, 0, 0, 2]}, until=10),
    Case(
        "Pad-edge",
        "Pad",
        (3, 4),
        attributes={"pads": [0, 1, 3, 0, 0, 2], "mode": "edge"},
        until=10,
    ),
    Case("Pad", "Pad", (3, 4), (ints(0, 1, 0, 0, 2, 1), np.array(1.5)), since=11),
    Case(
        "Pad-crop",
        "Pad",
        (3, 4),
        (ints(0, -1, 2, 0, 0, -1),),
        since=11,
        until=17,
        runtime=True,
    ),
    Case(
        "Pad-reflect",
        "Pad",
        (3, 4),
        (ints(0, 1, 2, 0, 2, 1),),
        {"mode": "reflect"},
        since=11,
    ),
    Case("Pad-axes", "Pad", (3, 4), (ints(1, 2), np.array(0.0), ints(-1)), since=18),
    Case(
        "Pad-wrap", "Pad", (3, 4), (ints(0, 0, 2, 0, 0, 1),), {"mode": "wrap"}, since=19
    ),
    Case("CumSum", "CumSum", (3, 4), (np.array(2),), since=11),
    Case(
        "CumSum-back",
        "CumSum",
        (3, 4),
        (np.array(1),),
        {"reverse": 1, "exclusive": 1},
        since=11,
    ),
]

_REDUCED = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")
_REDUCED += ("ReduceSumSquare", "ReduceLogSumExp")

REDUCTIONS = [
    *(
        Case(
            f"{op}-{axes}-{keep}",
            op,
            (3, 4),
            (),
            {"axes": axes, "keepdims": keep},
            until=17,
        )
        for op in _REDUCED
        for axes, keep in (([1], 1), ([2, 1], 0), ([-1], 0))
    ),
    *(
        Case(
            f"{op}-{axes}-{keep}",
            op,
            (3, 4),
            (ints(*axes),),
            {"keepdims": keep},
            since=18,
        )
        for op in _REDUCED
        for axes, keep in (([1], 1), ([2, 1], 0), ([-1], 0))
    ),
    Case("ReduceSum-old", "ReduceSum", (3, 4), (), {"axes": [1]}, until=11),
    Case("ReduceSum", "ReduceSum", (3, 4), (ints(1, 2),), {"keepdims": 0}, since=13),
    Case(
        "ReduceSum-noop", "ReduceSum", (3,), (), {"noop_with_empty_axes": 1}, since=13
    ),
    Case("ReduceLogSum", "ReduceLogSum", (3, 4), (ints(1),), since=18, positive=True),
]

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
