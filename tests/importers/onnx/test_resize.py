"""Resizing against the reference evaluator and onnxruntime."""

from pathlib import Path

import numpy as np
import pytest
from importers.onnx.graphs import NEWEST, assert_same, model_of, saved
from onnx import helper

from relulens.errors import UnsupportedOperationError
from relulens.importers.onnx_model.importing import from_onnx

node = helper.make_node
COORDINATES = (
    "half_pixel",
    "align_corners",
    "asymmetric",
    "pytorch_half_pixel",
)


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_in_every_mode(
    mode: str, coordinates: str, sized: bool, tmp_path: Path
) -> None:
    inputs = ["x", "", "", "sizes"] if sized else ["x", "", "scales"]
    resize = node(
        "Resize",
        inputs,
        ["y"],
        mode=mode,
        coordinate_transformation_mode=coordinates,
        nearest_mode="floor",
    )
    constants = {
        "sizes": np.array([1, 2, 7, 3]),
        "scales": np.array([1.0, 1.0, 1.7, 0.6], dtype=np.float32),
    }
    # Sizes count the batch, so a file with sizes has a batch of one.
    batch = 1 if sized else 3
    model = model_of(
        [resize],
        [1 if sized else "N", 2, 4, 5],
        opset=13,
        constants=constants,
        dtype=np.float32,
    )
    assert_same(model, tmp_path, batch=batch, runtime=True, tolerance=1e-5)


@pytest.mark.parametrize(
    "rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
)
def test_every_rounding_of_nearest(rounding: str, tmp_path: Path) -> None:
    resize = node("Resize", ["x", "", "scales"], ["y"], nearest_mode=rounding)
    scales = np.array([1, 1, 1.5, 0.5], dtype=np.float32)
    model = model_of([resize], ["N", 2, 4, 6], opset=13, constants={"scales": scales})
    assert_same(model, tmp_path)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_sizes_of_some_axes_with_a_policy(policy: str, tmp_path: Path) -> None:
    resize = node(
        "Resize",
        ["x", "", "", "sizes"],
        ["y"],
        axes=[2, 3],
        keep_aspect_ratio_policy=policy,
    )
    constants = {"sizes": np.array([7, 9])}
    model = model_of([resize], ["N", 2, 4, 6], opset=18, constants=constants)
    assert_same(model, tmp_path, tolerance=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("opset", [7, 9, 10])
def test_the_older_forms(opset: int, mode: str, tmp_path: Path) -> None:
    scales = [1.0, 1.0, 2.0, 3.0]
    operation = "Resize" if opset == 10 else "Upsample"
    if opset == 7:
        made = node(operation, ["x"], ["y"], scales=scales, mode=mode)
    else:
        made = node(operation, ["x", "scales"], ["y"], mode=mode)
    constants = {"scales": np.array(scales, dtype=np.float32)}
    model = model_of(
        [made],
        ["N", 2, 4, 3],
        opset=opset,
        constants=constants,
        dtype=np.float32,
    )
    assert_same(model, tmp_path, runtime=True, tolerance=1e-5)


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        ({"antialias": 1, "mode": "linear"}, "antialias"),
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, "tf_crop"),
    ],
)
def test_what_is_left_out_is_refused_by_name(
    attributes: dict, word: str, tmp_path: Path
) -> None:
    resize = node("Resize", ["x", "", "scales"], ["y"], "grow", **attributes)
    constants = {"scales": np.array([1, 1, 2, 2], dtype=np.float32)}
    model = model_of([resize], ["N", 1, 2, 2], opset=18, constants=constants)
    with pytest.raises(UnsupportedOperationError) as caught:
        from_onnx(saved(model, tmp_path))
    assert word in caught.value.nodes[0].reason
    assert NEWEST >= 18
