"""Certified error of a state found by substitution: rounding carried forward.

An entry whose argument is off by at most w lies within ``slope w`` of its value, where
slope is the largest between the two ends: zero for a ReLU that is off all the way.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.magnitude import dominating
from relulens.certificates.rounding import UNIT, gamma
from relulens.certificates.triangular import BlockOrder, EntryOrder
from relulens.graph.nodes import Maximum, Smooth, TwoSlope
from relulens.implicit.activation import StateBlock
from relulens.implicit.model import ImplicitModel


def running_error(
    model: ImplicitModel,
    order: BlockOrder | EntryOrder,
    x: Float[Tensor, "batch p"],
    state: Float[Tensor, "batch n"],
) -> tuple[Float[Tensor, " batch"], str]:
    """Return bounds on the distance to the exact state, and why one is infinite.

    Args:
        model: The model, float64.
        order: The order in which it has no loops.
        x: The inputs.
        state: What substitution gave.

    Cost:
        Three products with absolute maps for every block.
    """
    if not isinstance(order, BlockOrder):
        far = x.new_full((x.shape[0],), torch.inf)
        return far, "rounding is followed from block to block, and a block has loops"
    coupled = [b.name for b in model.phi.blocks if not _followed(b)]
    if coupled:
        far = x.new_full((x.shape[0],), torch.inf)
        return far, f"rounding is not followed through {coupled[0]!r}"
    (A, depth), (B, first) = dominating(model.A), dominating(model.B)
    terms = depth + first + len(model.phi.blocks) + 4
    z = model.arguments(state, x)
    moved = A.apply(state.abs()) + B.apply(x.abs()) + model.a.abs()
    own = 4 * gamma(terms) * moved
    off = torch.zeros_like(state)
    starts = np.cumsum([0, *(len(block.arguments) for block in model.phi.blocks)])
    for place in np.argsort(order.order, kind="stable").tolist():
        block = model.phi.blocks[place]
        carried: list[Tensor] = []
        for k, argument in enumerate(block.arguments):
            row = A.row(int(starts[place]) + k, off)  # pyrefly: ignore
            slack = own[:, argument.start : argument.stop]
            total = slack if row is None else slack + row * (1 + gamma(terms))
            carried.append(total.reshape(x.shape[0], *argument.shape))
        read = [argument.of(z) for argument in block.arguments]
        error = _carried(block, read[0], carried[0]).flatten(1)
        value = state[:, block.start : block.stop].abs()
        off[:, block.start : block.stop] = error * (1 + 8 * UNIT) + 8 * UNIT * value
    bound = off.amax(1) if off.shape[1] else x.new_zeros(x.shape[0])
    overflow = "rounding, carried forward, overflows"
    return bound, "" if bool(torch.isfinite(bound).all()) else overflow


def _followed(block: StateBlock) -> bool:
    return isinstance(block.node, TwoSlope | Maximum | Smooth)


def _carried(block: StateBlock, z: Tensor, width: Tensor) -> Tensor:
    """Return how far values may be off where arguments are off by a width."""
    match block.node:
        case TwoSlope(negative=negative, positive=positive):
            above = torch.where(z + width > 0, positive.abs(), 0.0)
            below = torch.where(z - width <= 0, negative.abs(), 0.0)
            return width * torch.maximum(above, below)
        case Maximum(groups=groups):
            return groups.largest(width)[0]
        case Smooth(function=function):
            return width * function.gain_between(z - width, z + width)
        case _:
            return torch.full_like(z, torch.inf)
