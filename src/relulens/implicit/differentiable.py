"""The equilibrium as a differentiable function of a dense matrix.

Forward solves ``x = phi(A x + b)``; backward solves ``v = s (A^T v + g)`` with the
slopes s at the solution, by the implicit function theorem, and never unrolls.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotConvergedError
from relulens.implicit.activation import Activation
from relulens.implicit.secant import secant

TURNS = 5000
"""Most turns by default."""


def fixed_point(
    A: Float[Tensor, "n n"],
    b: Float[Tensor, "batch n"],
    phi: Activation,
    /,
    *,
    tolerance: float = 1e-6,
    turns: int = TURNS,
    initial: Float[Tensor, "batch n"] | None = None,
) -> Float[Tensor, "batch n"]:
    """Return the solution x of ``x = phi(A x + b)``, with gradients for A and b.

    Args:
        A: The matrix, dense.
        b: What the input gives, ``B u + a``; its own gradients are autograd's.
        phi: Elementwise operations.
        tolerance: Both iterations stop when the residual, extrapolated by its last
            rate of decay, is at most this times the largest entry of the state, and of
            the weights in the backward pass. It is an estimate: ``equilibrium``
            certifies.
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
    return _FixedPoint.apply(A, b, phi, tolerance, turns, initial)


class _FixedPoint(torch.autograd.Function):
    """Forward and backward of ``fixed_point``."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        A: Tensor,
        b: Tensor,
        phi: Activation,
        tolerance: float,
        turns: int,
        initial: Tensor | None,
    ) -> Tensor:
        """Solve for the state."""
        transposed = A.T

        def turn(state: Tensor) -> Tensor:
            z = torch.addmm(b, state, transposed)
            return z.relu_() if phi.all_relu else phi.value(z)

        start = phi.value(b) if initial is None else initial.to(b)
        state = solved(turn, start, tolerance, turns)
        ctx.save_for_backward(A, b, state)
        ctx.phi, ctx.tolerance, ctx.turns = phi, tolerance, turns
        return state

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, weights: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        """Solve for the weights of b, and multiply."""
        A, b, state = ctx.saved_tensors
        slope = _slopes(ctx.phi, A, b, state)
        given = slope * weights

        def turn(v: Tensor) -> Tensor:
            return torch.addcmul(given, v @ A, slope)

        found = solved(turn, given, ctx.tolerance, ctx.turns)
        return found.T @ state, found, None, None, None, None


def _slopes(phi: Activation, A: Tensor, b: Tensor, state: Tensor) -> Tensor:
    if phi.all_relu:
        # A ReLU is on where its value is positive: no further product is needed.
        return (state > 0).to(state.dtype)
    return phi.pull(torch.addmm(b, state, A.T), torch.ones_like(state))


def solved(
    turn: Callable[[Tensor], Tensor], start: Tensor, tolerance: float, turns: int
) -> Tensor:
    """Return a fixed point up to an estimated relative error of ``tolerance``.

    Raises:
        NotConvergedError: The turns were used up.
    """
    check = _Settled(tolerance, start)
    done = secant(turn, start, check.stop, turns=turns)
    if not check.met:
        raise NotConvergedError("extrapolation", check.reached, tolerance, done)
    return check.state


class _Settled:
    """Stops where the residual and its rate of decay promise a small error."""

    def __init__(self, tolerance: float, start: Tensor) -> None:
        self.tolerance, self.state = tolerance, start
        self.met, self.reached = not start.numel(), float("inf")
        self.before = float("inf")

    def stop(self, state: Tensor, image: Tensor, done: int) -> bool:
        """Tell whether to stop; the image is kept."""
        self.state = image
        if self.met:
            return True
        if done < 3 or done % 2 == 0:
            return False
        size = image.abs().amax(1).clamp_(min=torch.finfo(image.dtype).tiny)
        left = float(((image - state).abs().amax(1) / size).amax())
        falling = left < 0.9 * self.before < float("inf")
        rate = min((left / self.before) ** 0.5, 0.95) if falling else 0.95
        self.reached = left * rate / (1 - rate)
        rounding = torch.finfo(image.dtype).eps
        # Where rounding is all that is left, further turns change nothing.
        stuck = left <= 4 * rounding or (
            left <= 64 * rounding and left >= 0.9 * self.before
        )
        self.before = left
        self.met = self.reached <= self.tolerance or stuck
        return self.met
