"""A triangle with the singular values of a Jacobian, by orthogonal steps only."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.local.blocks import Block


def triangle(blocks: Iterable[Block], width: int) -> Float[Tensor, "n n"]:
    """Return ``R`` with ``R^T R = J^T J``, from blocks of rows of ``J``.

    Each block is folded into the rows of ``R`` that begin at its first column; the rest
    of these rows is zero as long as later blocks end no earlier. A block that breaks
    this order is folded in over the full width.

    Args:
        blocks: Rows in the order of their first columns.
        width: Number of columns.
    """
    upper = torch.zeros((width, width), dtype=torch.float64)
    furthest = 0
    for block in blocks:
        low, high = int(block.columns[0]), int(block.columns[-1]) + 1
        if high < furthest:
            high = furthest
        matrix = block.matrix
        if high - low != len(block.columns):
            wide = matrix.new_zeros((matrix.shape[0], high - low))
            wide[:, block.columns - low] = matrix
            matrix = wide
        stacked = torch.cat([upper[low:high, low:high], matrix])
        folded = torch.linalg.qr(stacked, mode="r").R
        upper[low:high, low:high] = folded
        furthest = high
    return upper
