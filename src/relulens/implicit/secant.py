"""Fixed-point iteration with one difference: Anderson's extrapolation made cheap.

Where one direction converges slowest, as Perron's does for nonnegative A, the secant
through the last two residuals removes it at the price of two inner products.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

FARTHEST = 100.0
"""Longest extrapolation, in steps: of a contraction by 0.99."""


def secant(
    turn: Callable[[Tensor], Tensor],
    state: Float[Tensor, "batch n"],
    stop: Callable[[Tensor, Tensor, int], bool],
    *,
    turns: int,
) -> int:
    """Extrapolate until ``stop`` says so; return the number of turns.

    Every fourth turn is plain, so that a contraction converges whatever the
    extrapolation does: one that made a residual grow is undone.

    Args:
        turn: The map whose fixed point is sought.
        state: Where to start.
        stop: Takes a state, its image and the number of turns, and keeps what it likes.
        turns: Most turns.
    """
    image = turn(state)
    if stop(state, image, 1):
        return 1
    residual = image - state
    size = torch.linalg.vecdot(residual, residual)
    state = image
    for done in range(2, turns + 1):
        new = turn(state)
        if stop(state, new, done):
            return done
        left = new - state
        change = left - residual
        length = torch.linalg.vecdot(left, left)
        share = torch.linalg.vecdot(change, left)
        share /= torch.linalg.vecdot(change, change).clamp_(min=1e-30)
        share.clamp_(-FARTHEST, 1.0)
        if done % 4 == 0:
            # Where the residual grew, the last image is taken up again, plainly.
            grown = length > 4 * size
            share = grown.to(share.dtype)
            size = torch.where(grown, size, length)
        state = torch.lerp(new, image, share[:, None])
        image, residual = new, left
    return turns
