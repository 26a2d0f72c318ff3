"""The statement about given features, where no input is known."""

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.conditions import Conditions, clamped, fixed, two_slopes
from relulens.certificates.rounding import Array
from relulens.certificates.statement import Limits, Statement, domain_rows
from relulens.certificates.subjects import LayerMap, RegionMap, Weights
from relulens.certificates.system import Rows, rows_of, take
from relulens.certificates.target import Target, clamp_width, slopes
from relulens.errors import InvalidArgumentError
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Maximum, Smooth, TwoSlope

FEASIBLE = 1e-9
"""A condition holds at a point to rounding up to this times the size of its terms."""


def statement_from(
    network: Network,
    target: Target,
    subject: LayerMap | RegionMap,
    weights: Weights,
    features: Tensor,
    limits: Limits | None,
    point: Tensor | None = None,
) -> Statement:
    """Return the conditions that given features put on the variable.

    Args:
        network: The network, float64.
        target: A layer whose features fix one piece: two-slope and not abs, clamp, or
            affine.
        subject: Where the rows are.
        weights: The rows as numbers.
        features: Features [1, *shape], in the layer's range.
        limits: What the variable is known to satisfy.
        point: A value of the variable that gives the features to rounding, if known.

    Raises:
        InvalidArgumentError: Features do not fix a single piece of this layer.
    """
    y = features.reshape(-1).numpy()
    part, right = _from_features(network, target, y)
    ends = _right_sides(weights, limits)
    extra, _ = domain_rows(weights, limits, np.zeros(weights.ins))
    equal, below = rows_of(part.equal), rows_of(part.below, part.sign).with_rows(extra)
    sides = np.concatenate([right, ends])
    slack = np.full(below.count, np.nan)
    if point is not None:
        slack = slack_at(weights, equal.with_rows(below), sides, point.numpy())[
            equal.count :
        ]
    return Statement(
        subject=subject,
        equal=equal,
        below=below,
        slack=slack,
        right=sides,
        boundary=torch.zeros(0, dtype=torch.int64),
        settled=True,
        active=int(part.equal.size),
        one_of_many=part.one_of_many,
        point=torch.zeros(weights.ins, dtype=torch.float64) if point is None else point,
    )


def slack_at(weights: Weights, rows: Rows, right: Array, point: Array) -> Array:
    """Return ``right - rows point - offsets``, exactly zero where it is to rounding."""
    index, sign = rows.index.numpy(), rows.sign.numpy()
    plain = index < weights.outs
    offset = np.zeros(index.size)
    offset[plain] = weights.offset[index[plain]] * sign[plain]
    matrix = take(weights, rows).matrix
    slack = right - np.asarray(matrix @ point) - offset
    size = np.asarray(abs(matrix) @ np.abs(point)) + np.abs(right) + np.abs(offset)
    return np.where(np.abs(slack) <= FEASIBLE * size, 0.0, slack)


def _from_features(
    network: Network, target: Target, y: Array
) -> tuple[Conditions, Array]:
    match target.kind:
        case Affine():
            return fixed(y.size), y
        case TwoSlope() if target.upper is not None:
            width = clamp_width(network, target)
            value = y - _clamp_low(network, target)
            sign, upper = np.sign(value), np.sign(width - value)
            part = clamped(value, sign.astype(np.int8), width, upper.astype(np.int8))
            high = np.where(part.sign < 0, -width[part.below], 0.0)
            return part, np.concatenate([value[part.equal], high])
        case TwoSlope():
            negative, positive = slopes(target.kind)
            if (negative * positive < 0).any():
                raise _ambiguous(target)
            rising = np.where(positive != 0, np.sign(positive), np.sign(negative))
            sign = (np.sign(y) * rising).astype(np.int8)
            part = two_slopes(y, sign, negative, positive)
            slope = np.where(sign > 0, positive, negative)
            z = y / np.where(slope == 0, 1.0, slope)
            return part, np.concatenate([z[part.equal], np.zeros(part.below.size)])
        case Maximum() | Smooth():
            raise _ambiguous(target)


def _clamp_low(network: Network, target: Target) -> Array:
    """Return the lower bound of a clamp, one a unit: its readout less its width."""
    readout = network.nodes[target.feature]
    bias = readout.bias if isinstance(readout, Affine) else None
    size = int(np.prod(target.kind.shape))
    if bias is None:
        return np.zeros(size)
    high = bias.to(torch.float64).expand(target.kind.shape).reshape(-1).numpy()
    return high - clamp_width(network, target)


def _ambiguous(target: Target) -> InvalidArgumentError:
    kind = type(target.kind).__name__
    return InvalidArgumentError(
        f"cannot start from features of layer {target.name!r}: it is a {kind} whose"
        " features fit several pieces, and one is needed. Pass x instead."
    )


def _right_sides(weights: Weights, limits: Limits | None) -> Array:
    if limits is None:
        return np.zeros(0)
    if limits.low is not None and limits.high is not None:
        low, high = limits.low.numpy(), limits.high.numpy()
        return np.concatenate([high[np.isfinite(high)], -low[np.isfinite(low)]])
    return np.zeros(0) if limits.bounds is None else limits.bounds.numpy()
