"""Resizing by nearest, linear and cubic interpolation."""

import math
from collections.abc import Sequence
from typing import cast

from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import Multiple
from relulens.importers.operations import resize
from relulens.importers.operations.resize import Coordinates, Resized, Rounding
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import BatchAxis, Value, source_axis

ONNX = "ai.onnx"

_COORDINATES = (
    "half_pixel",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
)
_ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@register(ONNX, "Upsample", "Affine", note="nearest and linear")
def upsample(step: Step) -> Value:
    """Import an older resize; scales are an input since version 9."""
    scales = step.numbers("scales")
    if scales is None:
        scales = [float(scale) for scale in step.constant(1)]
    axes = _scaled(step.value(), range(len(scales)), scales)
    return _resized(step, axes, "asymmetric", "floor")


@register(ONNX, "Resize", "Affine", since=10, note="nearest and linear")
def resize_10(step: Step) -> Value:
    """Import the first form of resize, which has scales only."""
    scales = [float(scale) for scale in step.constant(1)]
    axes = _scaled(step.value(), range(len(scales)), scales)
    return _resized(step, axes, "asymmetric", "floor")


@register(
    ONNX, "Resize", "Affine", since=11, note="nearest, linear, cubic; no antialias"
)
def resize_11(step: Step) -> Value:
    """Import a resize by scales or to sizes."""
    if step.integer("antialias", 0):
        raise RefusedError("antialias is not known")
    coordinates = step.text("coordinate_transformation_mode", "half_pixel")
    rounding = step.text("nearest_mode", "round_prefer_floor")
    if coordinates not in _COORDINATES or rounding not in _ROUNDINGS:
        raise RefusedError(f"coordinates {coordinates!r} or rounding {rounding!r}")
    x = step.value()
    given = step.integers("axes") or list(range(x.rank))
    places = [source_axis(axis, x.rank) for axis in given]
    if step.has(3) and step.entries(3):
        axes = _sized(step, x, places, step.entries(3))
    else:
        axes = _scaled(x, places, [float(scale) for scale in step.constant(2)])
    return _resized(
        step, axes, cast(Coordinates, coordinates), cast(Rounding, rounding)
    )


def _scaled(x: Value, places: Sequence[int], scales: Sequence[float]) -> list[Resized]:
    found: list[Resized] = []
    for place, scale in zip(places, scales, strict=True):
        if scale != 1.0:
            length = x.shape[x.axis(place)]
            found.append(Resized(place, math.floor(length * scale), scale))
    return found


def _sized(
    step: Step, x: Value, places: Sequence[int], sizes: Sequence[int | Multiple]
) -> list[Resized]:
    policy = step.text("keep_aspect_ratio_policy", "stretch")
    pairs: list[tuple[int, int]] = []
    for place, size in zip(places, sizes, strict=True):
        dim = x.dims[place]
        if isinstance(dim, BatchAxis):
            if size not in (dim.factor, Multiple(dim.factor)):
                raise RefusedError("it resizes the batch axis")
        elif isinstance(size, Multiple):
            raise RefusedError("it resizes an axis to the batch size")
        else:
            pairs.append((place, size))
    lengths = {place: x.shape[x.axis(place)] for place, _ in pairs}
    scales = {place: size / lengths[place] for place, size in pairs}
    if policy == "stretch":
        return [
            Resized(place, size, scales[place])
            for place, size in pairs
            if size != lengths[place]
        ]
    joint = min(scales.values()) if policy == "not_larger" else max(scales.values())
    return [
        Resized(place, math.floor(joint * lengths[place] + 0.5), joint)
        for place, _ in pairs
    ]


def _resized(
    step: Step, axes: list[Resized], coordinates: Coordinates, rounding: Rounding
) -> Value:
    x, mode = step.value(), step.text("mode", "nearest")
    if mode == "nearest":
        return resize.nearest(step.build, step.name, x, axes, coordinates, rounding)
    if mode in ("linear", "bilinear"):
        return resize.linear(step.build, step.name, x, axes, coordinates)
    if mode == "cubic":
        return resize.cubic(
            step.build,
            step.name,
            x,
            axes,
            coordinates,
            coefficient=step.number("cubic_coeff_a", -0.75),
            drop_outside=bool(step.integer("exclude_outside", 0)),
        )
    raise RefusedError(f"its mode {mode!r} is not known")
