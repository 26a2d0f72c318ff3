"""Fixed-point iteration."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor


def picard(
    turn: Callable[[Tensor], Tensor],
    state: Float[Tensor, "batch n"],
    stop: Callable[[Tensor, Tensor, int], bool],
    *,
    turns: int,
) -> int:
    """Take ``x <- phi(A x + b)`` until ``stop`` says so; return the number of turns.

    Args:
        turn: The map whose fixed point is sought.
        state: Where to start.
        stop: Takes a state, its image and the number of turns, and keeps what it likes.
        turns: Most turns.
    """
    for done in range(1, turns + 1):
        image = turn(state)
        if stop(state, image, done):
            return done
        state = image
    return turns
