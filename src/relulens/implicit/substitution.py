"""The state of a model without loops, part by part in order."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.triangular import BlockOrder, EntryOrder
from relulens.implicit.model import ImplicitModel


def by_blocks(
    model: ImplicitModel, order: BlockOrder, x: Float[Tensor, "batch p"]
) -> Float[Tensor, "batch n"]:
    """Return the state, block by block."""
    phi = model.phi
    state = x.new_zeros((x.shape[0], model.n))
    first = np.cumsum([0, *(len(block.arguments) for block in phi.blocks)])
    for place in np.argsort(order.order, kind="stable").tolist():
        block = phi.blocks[place]
        read: list[Tensor] = []
        for k, argument in enumerate(block.arguments):
            row = int(first[place]) + k
            total = model.a[argument.start : argument.stop].expand(x.shape[0], -1)
            for part in (model.A.row(row, state), model.B.row(row, x)):
                total = total if part is None else total + part
            read.append(total.reshape(x.shape[0], *argument.shape))
        state[:, block.start : block.stop] = block.value(*read).flatten(1)
    return state


def by_levels(
    model: ImplicitModel, order: EntryOrder, x: Float[Tensor, "batch p"]
) -> tuple[Float[Tensor, "batch n"], int]:
    """Return the state after as many turns as there are levels, and their number.

    An entry is right once all that it reads is, so that the last turn changes nothing
    but what rounding does.
    """
    turns = int(order.levels.max()) + 1 if order.levels.numel() else 0
    base = model.B.apply(x) + model.a
    state = x.new_zeros((x.shape[0], model.n))
    with torch.no_grad():
        for _ in range(turns):
            state = model.phi.value(model.A.apply(state) + base)
    return state, turns
