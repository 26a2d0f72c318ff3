"""Convolution and pooling with any parameters agree with onnxruntime."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from importers.onnx.graphs import assert_same, model_of
from onnx import helper


@st.composite
def windows(draw: st.DrawFn) -> dict[str, object]:
    """Draw a window, its stride, padding and dilation for one or two axes."""
    rank = draw(st.sampled_from([1, 2]))
    length = st.integers(1, 3)
    size = [draw(length) for _ in range(rank)]
    pads = [draw(st.integers(0, size[i % rank] - 1)) for i in range(2 * rank)]
    return {
        "kernel_shape": size,
        "strides": [draw(length) for _ in range(rank)],
        "dilations": [draw(st.integers(1, 2)) for _ in range(rank)],
        "pads": pads,
    }


LENGTHS = (7, 6)


def check(operation: str, attributes: dict, channels: int, weights: dict) -> None:
    rank = len(attributes["kernel_shape"])
    node = helper.make_node(operation, ["x", *weights], ["y"], **attributes)
    model = model_of(
        [node],
        ["N", channels, *LENGTHS[:rank]],
        opset=19,
        constants=weights,
        dtype=np.float32,
    )
    with tempfile.TemporaryDirectory() as folder:
        assert_same(model, Path(folder), runtime=True, tolerance=1e-5)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


@settings(max_examples=40)
@given(windows(), st.sampled_from([(1, 2, 3), (2, 1, 2), (4, 1, 1)]))
def test_convolution(attributes: dict, channels: tuple[int, int, int]) -> None:
    groups, inner, outer = channels
    kernel = drawn(groups * outer, inner, *attributes["kernel_shape"])
    given_ = {**attributes, "group": groups}
    check("Conv", given_, groups * inner, {"w": kernel})


@settings(max_examples=40)
@given(windows(), st.sampled_from([(1, 2, 3), (2, 2, 1)]))
def test_transposed_convolution(
    attributes: dict, channels: tuple[int, int, int]
) -> None:
    groups, inner, outer = channels
    kernel = drawn(groups * inner, outer, *attributes["kernel_shape"])
    given_ = {**attributes, "group": groups}
    check("ConvTranspose", given_, groups * inner, {"w": kernel})


@settings(max_examples=40)
@given(windows(), st.booleans())
def test_maximum_pooling(attributes: dict, ceil: bool) -> None:
    # A padding over half the window can leave windows with padding only.
    halves = zip(attributes["pads"], attributes["kernel_shape"] * 2, strict=True)
    assume(all(2 * pad <= size for pad, size in halves))
    check("MaxPool", {**attributes, "ceil_mode": int(ceil)}, 2, {})


@settings(max_examples=40)
@given(windows(), st.booleans())
def test_average_pooling(attributes: dict, counted: bool) -> None:
    check("AveragePool", {**attributes, "count_include_pad": int(counted)}, 2, {})
