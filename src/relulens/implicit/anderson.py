"""Fixed-point iteration with Anderson's extrapolation, input by input."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

WINDOW = 3
"""Differences kept: more cost more a turn than they save."""


def anderson(
    turn: Callable[[Tensor], Tensor],
    state: Float[Tensor, "batch n"],
    stop: Callable[[Tensor, Tensor, int], bool],
    *,
    turns: int,
    window: int = WINDOW,
) -> int:
    """Extrapolate until ``stop`` says so; return the number of turns.

    The next state combines the last ones so that the combination of their residuals is
    least; where a residual grew, that input goes on from the plain turn and forgets.

    Args:
        turn: The map whose fixed point is sought.
        state: Where to start.
        stop: Takes a state, its image and the number of turns, and keeps what it likes.
        turns: Most turns.
        window: Differences that are combined.
    """
    batch, n = state.shape
    steps = state.new_zeros((batch, window, n))
    changes = state.new_zeros((batch, window, n))
    gram = state.new_zeros((batch, window, window))
    before: tuple[Tensor, Tensor, Tensor] | None = None
    for done in range(turns):
        image = turn(state)
        if stop(state, image, done + 1):
            return done + 1
        residual = image - state
        size = (residual * residual).sum(1)
        if before is not None:
            old_image, old_residual, old_size = before
            slot = (done - 1) % window
            steps[:, slot] = image - old_image
            changes[:, slot] = residual - old_residual
            row = torch.einsum("bkn,bn->bk", changes, changes[:, slot])
            gram[:, slot, :], gram[:, :, slot] = row, row
            worse = size > 4 * old_size
            if bool(worse.any()):
                steps[worse], changes[worse], gram[worse] = 0.0, 0.0, 0.0
        share = _least_squares(gram, torch.einsum("bkn,bn->bk", changes, residual))
        state = image - torch.einsum("bk,bkn->bn", share, steps)
        before = image, residual, size
    return turns


def _least_squares(gram: Tensor, right: Tensor) -> Tensor:
    """Return the combination, by elimination with a relative ridge; zeros stay out."""
    window = right.shape[1]
    work = gram.to(torch.float64, copy=True)
    found = right.to(torch.float64, copy=True)
    ridge = 1e-10 if gram.dtype == torch.float64 else 1e-6
    diagonal = work.diagonal(dim1=1, dim2=2)
    diagonal.mul_(1 + ridge).add_((diagonal == 0).double())
    for k in range(window):
        pivot = work[:, k, k].clamp(min=torch.finfo(torch.float64).tiny)
        for i in range(k + 1, window):
            factor = work[:, i, k] / pivot
            work[:, i] -= factor[:, None] * work[:, k]
            found[:, i] -= factor * found[:, k]
    for k in reversed(range(window)):
        for j in range(k + 1, window):
            found[:, k] -= work[:, k, j] * found[:, j]
        found[:, k] /= work[:, k, k].clamp(min=torch.finfo(torch.float64).tiny)
    return found.nan_to_num(0.0, 0.0, 0.0).to(right.dtype)
