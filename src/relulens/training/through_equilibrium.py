"""The equilibrium as a differentiable function of the matrices and the input."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from relulens.errors import NotConvergedError
from relulens.implicit.activation import Activation
from relulens.implicit.equilibrium import equilibrium
from relulens.implicit.model import ImplicitModel


def equilibrium_state(
    A: Tensor,
    B: Tensor,
    a: Tensor,
    x: Tensor,
    phi: Activation,
    *,
    error: float,
    turns: int = 10_000,
) -> Tensor:
    """Return the states [N, n] with ``x = phi(A x + B u + a)``, with gradients.

    Gradients are those of the equilibrium, by the implicit function theorem, solved to
    the relative error ``error`` of the largest entry.

    Args:
        A: Matrix [n, n] of a model that is well-posed.
        B: Matrix [n, p].
        a: Constants [n].
        x: Inputs u [N, p].
        phi: The activation.
        error: Certified relative error of the states.
        turns: Most turns forward and backward.
    """
    state: Tensor = _State.apply(A, B, a, x, phi, error, turns)
    return state


class _State(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        A: Tensor,
        B: Tensor,
        a: Tensor,
        x: Tensor,
        phi: Activation,
        error: float,
        turns: int,
    ) -> Tensor:
        """Solve for the state."""
        none = A.new_zeros((0, A.shape[0]))
        model = ImplicitModel(A, B, none, None, phi, a)
        found = equilibrium(model, x, error=error, relative=True, turns=turns)
        state = found.state.to(A.dtype)
        ctx.save_for_backward(A, B, a, x, state)
        ctx.settings = phi, error, turns  # pyrefly: ignore[missing-attribute]
        return state

    @staticmethod
    def backward(
        ctx: FunctionCtx, *grads: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None, None]:
        """Solve ``v = J (A^T v + g)`` with phi's slopes J at the equilibrium."""
        A, B, a, x, state = ctx.saved_tensors  # pyrefly: ignore[missing-attribute]
        phi, error, turns = ctx.settings  # pyrefly: ignore[missing-attribute]
        z = state @ A.T + x @ B.T + a
        grad = grads[0]
        v = phi.pull(z, grad)
        scale = float(v.abs().max()) if v.numel() else 0.0
        step = 0.0
        for _ in range(turns):
            following = phi.pull(z, grad + v @ A)
            step = float((following - v).abs().max()) if v.numel() else 0.0
            v = following
            if step <= error * scale:
                break
        else:
            raise NotConvergedError("backward", step, error * scale, turns)
        return v.T @ state, v.T @ x, v.sum(0), v @ B, None, None, None
