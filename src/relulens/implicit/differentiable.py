"""The equilibrium as a differentiable function of a dense matrix.

Forward solves ``x = phi(A x + b)``; backward solves ``v = s (A^T v + g)`` with the
slopes s at the solution, by the implicit function theorem, and never unrolls.
"""

from collections.abc import Iterator
from itertools import cycle

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.implicit.activation import Activation
from relulens.implicit.iteration import solved
from relulens.implicit.sparse_turn import along_batch, of_dense

TURNS = 5000
"""Most turns by default."""


def fixed_point(
    A: Float[Tensor, "n n"],
    b: Float[Tensor, "batch n"],
    phi: Activation,
    /,
    *,
    tolerance: float = 1e-6,
    backward_tolerance: float | None = None,
    turns: int = TURNS,
    initial: Float[Tensor, "batch n"] | None = None,
) -> Float[Tensor, "batch n"]:
    """Return the solution x of ``x = phi(A x + b)``, with gradients for A and b.

    Args:
        A: The matrix, dense.
        b: What the input gives, ``B u + a``; its own gradients are autograd's.
        phi: Elementwise operations.
        tolerance: The iterations stop when the residual, extrapolated by its last
            rate of decay, is at most this times the largest entry of the state, and of
            the weights in the backward pass. It is an estimate: ``equilibrium``
            certifies.
        backward_tolerance: The same for the backward pass; ``tolerance`` by default.
        turns: Most turns of either.
        initial: Where to start.

    Raises:
        NotConvergedError: Either iteration used up its turns; the model may not be
            well-posed.
        InvalidArgumentError: phi couples entries of the state.
    """
    if not phi.elementwise:
        raise InvalidArgumentError(
            "cannot differentiate the fixed point: phi couples entries of the state."
            " Use to_torch, which takes every phi."
        )
    back = tolerance if backward_tolerance is None else backward_tolerance
    return _FixedPoint.apply(A, b, phi, (tolerance, back), turns, initial)


class _FixedPoint(torch.autograd.Function):
    """Forward and backward of ``fixed_point``."""

    @staticmethod
    # pyrefly: ignore[bad-override, missing-override-decorator]
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        A: Tensor,
        b: Tensor,
        phi: Activation,
        tolerances: tuple[float, float],
        turns: int,
        initial: Tensor | None,
    ) -> Tensor:
        """Solve for the state."""
        entries = of_dense(A, b.shape[0])
        relu = phi.all_relu
        if entries is None:
            base, transposed, room = b, A.T, _room(b)

            def turn(state: Tensor) -> Tensor:
                z = torch.addmm(b, state, transposed, out=next(room))
                return z.relu_() if relu else phi.value(z)

        else:
            base = along_batch(b)

            def turn(state: Tensor) -> Tensor:
                return entries.turn(state, base, phi)

        start = phi.value(base) if initial is None else initial.to(b)
        state = solved(turn, start, tolerances[0], turns, fresh=initial is None)
        ctx.save_for_backward(A, base, state)
        # pyrefly: ignore[missing-attribute]
        ctx.phi, ctx.tolerance, ctx.turns = phi, tolerances[1], turns
        # pyrefly: ignore[missing-attribute]
        ctx.entries = entries
        return state.contiguous()

    @staticmethod
    # pyrefly: ignore[bad-override, missing-override-decorator]
    def backward(
        ctx: torch.autograd.function.FunctionCtx, weights: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        """Solve for the weights of b, and multiply."""
        # pyrefly: ignore[missing-attribute]
        A, b, state = ctx.saved_tensors
        # pyrefly: ignore[missing-attribute]
        phi, tolerance, turns = ctx.phi, ctx.tolerance, ctx.turns
        slope = _slopes(phi, A, b, state)
        # pyrefly: ignore[missing-attribute]
        entries = None if ctx.entries is None else ctx.entries.T
        if entries is None:
            given = slope * weights
            room = _room(given)

            def turn(v: Tensor) -> Tensor:
                out = torch.mm(v, A, out=next(room))
                return out.mul_(slope).add_(given)

        else:
            given = along_batch(slope * weights)

            def turn(v: Tensor) -> Tensor:
                return entries.sloped(v, given, slope)

        found = solved(turn, given, tolerance, turns, fresh=True)
        return found.T @ state, found, None, None, None, None


def _room(like: Tensor) -> Iterator[Tensor]:
    """Return three tensors in turn: an iteration looks at no more of its last ones."""
    return cycle([torch.empty_like(like) for _ in range(3)])


def _slopes(phi: Activation, A: Tensor, b: Tensor, state: Tensor) -> Tensor:
    if phi.all_relu:
        # A ReLU is on where its value is positive: no further product is needed.
        return (state > 0).to(state.dtype)
    return phi.pull(torch.addmm(b, state, A.T), torch.ones_like(state))
