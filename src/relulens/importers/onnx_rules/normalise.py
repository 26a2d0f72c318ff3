"""Normalisation layers."""

import math

import numpy as np
import torch

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis
from relulens.graph.smooth import SQRT, SQUARE
from relulens.importers.onnx_model.step import Step
from relulens.importers.operations import activations, arithmetic, normalise, reductions
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Value, source_axis

ONNX = "ai.onnx"


@register(ONNX, "BatchNormalization", "Affine", note="training mode is refused")
def batch_normalization(step: Step) -> Value:
    """Import batch normalisation with its stored statistics."""
    if step.integer("training_mode", 0):
        raise RefusedError("batch norm in training mode; export the model in eval mode")
    if step.version < 9 and not step.integer("spatial", 1):
        raise RefusedError("spatial=0 keeps statistics for every entry")
    step.only_first_output("its statistics are read; export the model in eval mode")
    x = step.value()
    return normalise.batch_norm(
        step.build,
        step.name,
        x,
        step.constant(1),
        step.constant(2),
        step.constant(3),
        step.constant(4),
        step.number("epsilon", 1e-5),
    )


def _normalized_shape(step: Step, x: Value) -> list[int]:
    first = source_axis(step.integer("axis", -1), x.rank)
    for axis in range(first, x.rank):
        x.axis(axis)  # Refuses the batch axis.
    return [dim for dim in x.dims[first:] if isinstance(dim, int)]


@register(ONNX, "LayerNormalization", "Coupled")
def layer_normalization(step: Step) -> Value:
    """Import normalisation over the last axes."""
    step.only_first_output("its mean or deviation is read")
    x = step.value()
    return normalise.layer_norm(
        step.build,
        step.name,
        x,
        _normalized_shape(step, x),
        step.constant(1),
        step.optional(2),
        step.number("epsilon", 1e-5),
    )


@register(ONNX, "RMSNormalization", "Coupled", since=23)
def rms_normalization(step: Step) -> Value:
    """Import division by the root mean square over the last axes."""
    x = step.value()
    epsilon = step.number("epsilon", 1e-5)
    shape = _normalized_shape(step, x)
    return normalise.rms_norm(
        step.build, step.name, x, shape, step.constant(1), epsilon
    )


@register(ONNX, "InstanceNormalization", "Coupled")
def instance_normalization(step: Step) -> Value:
    """Import normalisation of every channel by itself."""
    return normalise.instance_norm(
        step.build,
        step.name,
        step.value(),
        step.constant(1),
        step.constant(2),
        step.number("epsilon", 1e-5),
    )


@register(ONNX, "GroupNormalization", "Coupled", since=18)
def group_normalization(step: Step) -> Value:
    """Import normalisation of groups of channels; one scale a group before 21."""
    x, groups = step.value(), step.integer("num_groups", 1)
    scale, shift = step.constant(1), step.constant(2)
    if step.version < 21:
        each = x.shape[x.axis(1)] // max(groups, 1)
        scale, shift = (numbers.repeat_interleave(each) for numbers in (scale, shift))
    epsilon = step.number("epsilon", 1e-5)
    return normalise.group_norm(step.build, step.name, x, groups, scale, shift, epsilon)


@register(ONNX, "LpNormalization", "Coupled", note="p 1 or 2")
def lp_normalization(step: Step) -> Value:
    """Import division by a norm along one axis."""
    x, axis, name = step.value(), step.integer("axis", -1), step.name
    order = step.integer("p", 2)
    if order == 1:
        sizes = activations.absolute(step.build, f"{name}.abs", x)
        norm = reductions.sum_over(step.build, f"{name}.norm", sizes, [axis], True)
    else:
        squares = step.build.smooth(f"{name}.squares", x, SQUARE)
        total = reductions.sum_over(step.build, f"{name}.sum", squares, [axis], True)
        norm = step.build.smooth(f"{name}.norm", total, SQRT)
    return arithmetic.divide(step.build, name, x, norm)


@register(ONNX, "LRN", "Coupled")
def local_response(step: Step) -> Value:
    """Import ``x / (bias + alpha / size * sum of near squares) ** beta``."""
    x, name, size = step.value(), step.name, step.integer("size", 1)
    place = x.axis(1)
    channels = x.shape[place]
    low, high = math.floor((size - 1) / 2), math.ceil((size - 1) / 2)
    index = np.arange(channels)
    gap = index[None, :] - index[:, None]
    near = torch.from_numpy(((gap >= -low) & (gap <= high)).astype(np.float64))
    squares = step.build.smooth(f"{name}.squares", x, SQUARE)
    share = near * (step.number("alpha", 1e-4) / size)
    window: LinearMap = AlongAxis(share, x.shape, place)
    bias = torch.tensor(step.number("bias", 1.0), dtype=torch.float64)
    total = step.build.linear(f"{name}.sum", squares, x.dims, window, bias=bias)
    exponent = -step.number("beta", 0.75)
    scale = activations.power(step.build, f"{name}.scale", total, exponent)
    return arithmetic.multiply(step.build, name, x, scale)
