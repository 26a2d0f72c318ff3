"""Batch, layer, group, instance and root-mean-square normalisation."""

from collections.abc import Sequence

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import Normalise
from relulens.graph.maps import Identity, Scale
from relulens.importers.builder import Builder
from relulens.importers.operations.shapes import reshape
from relulens.importers.values import Value, as_float, describe_dims, sample_constant


def _on_channels(numbers: Tensor, x: Value) -> Tensor:
    """Return one number a channel shaped to broadcast against the source's axes."""
    return as_float(numbers).reshape(-1, *[1] * (x.rank - 2))


def _scaled(
    build: Builder, name: str, x: Value, weight: Tensor | None, bias: Tensor | None
) -> Value:
    """Multiply and shift by constants that broadcast against the source's axes."""
    if weight is None and bias is None:
        return x
    map_ = (
        Identity(x.shape)
        if weight is None
        else Scale(sample_constant(as_float(weight), x.dims), x.shape)
    )
    shift = None if bias is None else sample_constant(as_float(bias), x.dims)
    return build.linear(name, x, x.dims, map_, bias=shift)


def batch_norm(
    build: Builder,
    name: str,
    x: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
) -> Value:
    """Return ``weight (x - mean) / sqrt(variance + epsilon) + bias``, per channel.

    Raises:
        InvalidArgumentError: The channel axis is missing or holds the batch.
        NotFiniteError: A variance plus epsilon is not positive.
    """
    x.axis(1)
    spread = torch.sqrt(as_float(variance) + epsilon)
    gain = torch.ones_like(spread) if weight is None else as_float(weight)
    # An infinite or undefined scale makes the shift so too, and the builder refuses it.
    scale = gain / spread
    shift = -as_float(mean) * scale
    if bias is not None:
        shift = shift + as_float(bias)
    return _scaled(build, name, x, _on_channels(scale, x), _on_channels(shift, x))


def layer_norm(
    build: Builder,
    name: str,
    x: Value,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    epsilon: float,
) -> Value:
    """Return the last axes normalised together, then scaled and shifted.

    Raises:
        InvalidArgumentError: The last axes have other lengths or hold the batch.
    """
    count = _last_axes(name, x, normalized_shape)
    value = build.coupled(name, [x], Normalise(count, epsilon), x.dims)
    return _scaled(build, f"{name}.scaled", value, weight, bias)


def rms_norm(
    build: Builder,
    name: str,
    x: Value,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    epsilon: float,
) -> Value:
    """Return the last axes over their root mean square, then scaled.

    Raises:
        InvalidArgumentError: The last axes have other lengths or hold the batch.
    """
    count = _last_axes(name, x, normalized_shape)
    value = build.coupled(name, [x], Normalise(count, epsilon, centred=False), x.dims)
    return _scaled(build, f"{name}.scaled", value, weight, None)


def _last_axes(name: str, x: Value, shape: Sequence[int]) -> int:
    count = len(shape)
    if count == 0 or tuple(x.dims[x.rank - count :]) != tuple(shape):
        raise InvalidArgumentError(
            f"cannot import {name!r}: it normalises last axes {list(shape)}, and its"
            f" argument is {describe_dims(x.dims)}. They must agree, the batch apart."
        )
    return count


def group_norm(
    build: Builder,
    name: str,
    x: Value,
    groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    epsilon: float,
) -> Value:
    """Return groups of channels normalised together, then scaled per channel.

    Raises:
        InvalidArgumentError: The channels do not split into the groups.
    """
    place = x.axis(1)
    channels = x.shape[place]
    if groups < 1 or channels % groups:
        raise InvalidArgumentError(
            f"cannot import {name!r}: {channels} channels do not split into {groups}"
            " groups. Use a divisor."
        )
    rest = x.dims[2:]
    split = (*x.dims[:1], groups, channels // groups, *rest)
    parts = reshape(build, f"{name}.groups", x, split)
    inner = Normalise(len(split) - 2, epsilon)
    value = build.coupled(name, [parts], inner, parts.dims)
    joined = reshape(build, f"{name}.channels", value, x.dims)
    scale = None if weight is None else _on_channels(weight, x)
    shift = None if bias is None else _on_channels(bias, x)
    return _scaled(build, f"{name}.scaled", joined, scale, shift)


def instance_norm(
    build: Builder,
    name: str,
    x: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    epsilon: float,
) -> Value:
    """Return every channel of every sample normalised by itself, then scaled."""
    channels = x.shape[x.axis(1)]
    return group_norm(build, name, x, channels, weight, bias, epsilon)
