"""Activations, arithmetic and matrix products."""

import numpy as np
from importers.onnx.case import Case, draw, plain

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
