"""Bounds of the arguments of all nonlinear nodes when k entries may change."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from relulens.bounds.layer_bounds import layer_bounds
from relulens.graph.blocks import Blocks
from relulens.graph.nodes import TwoSlope
from relulens.robustness.attacks.ranges import Ranges

DENSE_BYTES = 256 << 20
"""Most bytes of a first layer's matrix whose rows are sorted."""
SHARE = 1e-12
"""Relative room for rounding in sums over the changed entries."""


def argument_bounds(
    form: Blocks, ranges: Ranges
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bounds of all arguments, one after another.

    Arguments that read the input alone are moved by the k strongest changes at most;
    the signs that follow are given to the linear relaxation of the rest over the box.

    Args:
        form: The network's blocks, float64.
        ranges: What may change.
    """
    network = form.network
    first = {
        i: _by_budget(form, i, ranges)
        for i in form.B
        if not any(row == i for row, _ in form.A)
        and 8 * form.B[i].in_size * form.B[i].out_size <= DENSE_BYTES
    }
    splits: dict[int, Tensor] = {}
    for i, (low, high) in first.items():
        argument = form.arguments[i]
        node = form.node(argument.block)
        if isinstance(node, TwoSlope):
            sign = (low >= 0).to(torch.int64) - (high <= 0).to(torch.int64)
            sign = torch.where((low >= 0) & (high <= 0), 1, sign)
            splits[argument.node] = sign.reshape(1, *node.shape)
    box = [
        value.reshape(1, *network.input_shape) for value in (ranges.low, ranges.high)
    ]
    found = layer_bounds(network, *box, splits=splits)
    lows, highs = list[Tensor](), list[Tensor]()
    for i, argument in enumerate(form.arguments):
        low = found.lower[argument.source].reshape(-1)
        high = found.upper[argument.source].reshape(-1)
        if i in first:
            low = torch.maximum(low, first[i][0])
            high = torch.minimum(high, first[i][1])
        lows.append(low)
        highs.append(high)
    return torch.cat(lows).cpu().numpy(), torch.cat(highs).cpu().numpy()


def _by_budget(
    form: Blocks, place: int, ranges: Ranges
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Return bounds of an argument that reads the input alone, k entries changing."""
    map_ = form.B[place]
    centre = map_.apply(ranges.x.reshape(1, *form.network.input_shape)).reshape(-1)
    if place in form.a:
        centre = centre + form.a[place].reshape(-1)
    matrix = map_.to_dense().to(centre)
    rise = matrix * (ranges.high - ranges.x)
    fall = matrix * (ranges.low - ranges.x)
    k = min(ranges.k, matrix.shape[1])
    up = torch.maximum(rise, fall).clamp(min=0).topk(k, 1).values.sum(1)
    down = torch.minimum(rise, fall).clamp(max=0).topk(k, 1, largest=False)
    size = matrix.abs() @ ranges.x.abs() + up - down.values.sum(1) + centre.abs()
    room = SHARE * size
    return centre + down.values.sum(1) - room, centre + up + room
