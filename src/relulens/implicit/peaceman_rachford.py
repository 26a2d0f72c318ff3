"""Peaceman and Rachford's splitting, for monotone models that do not contract."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError, MemoryLimitError
from relulens.graph.linear_map import BYTE_LIMIT
from relulens.implicit.loop import Loop, dense_matrix
from relulens.implicit.model import ImplicitModel


def peaceman_rachford(
    loop: Loop,
    state: Float[Tensor, "batch n"],
    stop: Callable[[Tensor, Tensor, int], bool],
    *,
    turns: int,
) -> int:
    """Split until ``stop`` says so; return the number of turns.

    With ``W = ((1 + t) I - t A)^-1``, factored once a model: ``u <- 2 x - u``,
    ``w <- W (u + t b)``, ``u <- 2 w - u``, ``x <- phi(u)``. It converges where phi has
    slopes in [0, 1] and ``Λ (I - A) + (I - A)^T Λ`` is positive definite for a diagonal
    Λ; for ReLU the step t is free, else it is 1.

    Args:
        loop: The loop of the batch.
        state: Where to start.
        stop: Takes a state, its image under the loop and the number of turns, and
            keeps what it likes.
        turns: Most turns.

    Raises:
        InvalidArgumentError: phi has slopes outside [0, 1].
    """
    model = loop.model
    step, inverse = model.remembered(
        f"peaceman-rachford {model.dtype}", lambda: _resolvent(model)
    )
    shift = (step * loop.base) @ inverse
    u = state
    for done in range(turns):
        if done % 3 == 0:
            image = loop.turn(state)
            if stop(state, image, done + 1):
                return done + 1
        mirrored = 2 * state - u
        w = torch.addmm(shift, mirrored, inverse)
        u = 2 * w - mirrored
        state = model.phi.value(u)
    return turns


def _resolvent(model: ImplicitModel) -> tuple[float, Tensor]:
    """Return the step t and ``W^T``."""
    slopes = model.phi.slopes()
    if slopes is None or bool((slopes[0] < 0).any() or (slopes[1] > 1).any()):
        raise InvalidArgumentError(
            "cannot use Peaceman and Rachford's splitting: phi has slopes outside"
            " [0, 1], or couples its entries. Use method='anderson'."
        )
    needed = 8 * model.n * model.n
    if needed > BYTE_LIMIT:
        raise MemoryLimitError(
            "the resolvent", needed, BYTE_LIMIT, "Use method='anderson'."
        )
    dense = dense_matrix(model.A)
    matrix = (model.A.to_dense() if dense is None else dense).double()
    eye = torch.eye(model.n, dtype=torch.float64, device=matrix.device)
    step = 1.0
    if model.phi.all_relu and model.n:
        # The step that suits an operator of this norm best.
        step = 1 / max(float(torch.linalg.matrix_norm(eye - matrix, 2)), 1e-12)
    inverse = torch.linalg.inv((1 + step) * eye - step * matrix)
    return step, inverse.T.contiguous().to(model.dtype)
