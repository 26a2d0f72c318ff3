"""Weights dropped from a model while a bound on the change of its outputs holds."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotWellPosedError
from relulens.implicit.equilibrium import equilibrium
from relulens.implicit.gain_matrix import dense_of
from relulens.implicit.model import ImplicitModel
from relulens.implicit.wellposedness import wellposedness
from relulens.training.implicit_layer import elementwise_gain

_UNIT = 2.0**-53


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pruned:
    """A model with fewer weights and what it can have changed.

    Attributes:
        model: The model, well-posed as the first one was: no weight grew.
        bound: Bounds [N, q] on ``|y - y'|`` for the inputs given and everything within
            the radius of them, rounding included.
        dropped: Weights of the four matrices that were made zero.
        kept: Weights that are left.
    """

    model: ImplicitModel
    bound: Float64[Tensor, "batch q"]
    dropped: int
    kept: int


def pruned(
    model: ImplicitModel,
    x: object,
    /,
    *,
    error: float,
    radius: float = 0.0,
    passes: int = 4,
) -> Pruned:
    r"""Return the model without as many weights as a bound on its outputs allows.

    Dropping :math:`\Delta` changes an output by at most
    :math:`|C|(I-\Gamma|A|)^{-1}\Gamma(|\Delta_A||x| + |\Delta_B||u|) + |\Delta_C||x|
    + |\Delta_D||u|`. Weights go from the one that costs least, as many as fit, and the
    bound of what is left is computed anew for more of them.

    Args:
        model: A model that is well-posed by a contraction, phi elementwise.
        x: Inputs [N, p] on which the bound must hold.
        error: The largest change of any output that is accepted.
        radius: Largest change of any input around them for which it must hold too.
        passes: Most rounds of dropping.

    Returns:
        The model, with the bound of every input and output, at most ``error``.

    Raises:
        NotWellPosedError: The model is not a contraction.
        InvalidArgumentError: ``error`` or ``radius`` is negative, or phi is coupled.

    Cost:
        A dense solve [n, n] with one right-hand side an output each round.
    """
    if not error >= 0 or not radius >= 0:
        raise InvalidArgumentError(
            f"cannot prune: error is {error} and radius {radius}, and neither may be"
            " below 0. Pass the change of an output that you accept."
        )
    proof = wellposedness(model)
    if proof.contraction is None:
        least = proof.bracket[0] if proof.bracket else float("inf")
        raise NotWellPosedError(
            "prune a model", least, "A bound on the change needs a contraction."
        )
    first = model.to(torch.float64, torch.device("cpu"))
    u = first.as_input(x)
    found = equilibrium(first, u, error=1e-10)
    question = _Question(
        gain=elementwise_gain(first.phi),
        first=_matrices(first),
        x=u,
        state=found.state.abs() + found.error_bound[:, None],
        radius=radius,
    )
    now = dict(question.first)
    bound = torch.zeros((len(u), first.q), dtype=torch.float64)
    for _ in range(passes):
        tried = _dropped(question, now, error)
        reached = question.bound(tried)
        if not bool((reached <= error).all()):
            break
        fewer = _count(tried) < _count(now)
        now, bound = tried, reached
        if not fewer:
            break
    kept = _count(now)
    return Pruned(
        model=ImplicitModel(
            now["A"],
            now["B"],
            now["C"],
            now["D"],
            first.phi,
            first.a,
            first.d,
            domain=model.domain,
            input_shape=model.input_shape,
            output_shape=model.output_shape,
        ).to(model.dtype),
        bound=bound,
        dropped=_count(question.first) - kept,
        kept=kept,
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Question:
    gain: Tensor
    first: dict[str, Tensor]
    x: Tensor
    state: Tensor
    radius: float

    def carried(self) -> tuple[Tensor, Tensor]:
        """Return bounds on |x| [N, n] and |u| [N, p] of the first model in the balls.

        What is dropped multiplies states of the first model, so these stay the same.
        """
        size = self.x.abs() + self.radius
        if self.radius == 0:
            return self.state, size
        pushed = self.gain * (self.first["B"].abs().sum(1) * self.radius)
        moved = _solved(self._carry(self.first["A"]), pushed[:, None])[:, 0]
        return self.state + moved, size

    def _carry(self, A: Tensor) -> Tensor:
        return self.gain[:, None] * A.abs()

    def reach(self, now: dict[str, Tensor]) -> Tensor:
        """Return ``|C| (I - Γ|A|)^-1 Γ`` [q, n] of the model that is left."""
        weights = _solved(self._carry(now["A"]).T.contiguous(), now["C"].abs().T)
        return weights.T * self.gain

    def bound(self, now: dict[str, Tensor]) -> Tensor:
        """Return bounds on the change of every output [N, q], rounding included."""
        state, size = self.carried()
        gone = {key: (self.first[key] - now[key]).abs() for key in now}
        inner = state @ gone["A"].T + size @ gone["B"].T
        total = inner @ self.reach(now).T + state @ gone["C"].T + size @ gone["D"].T
        return total * (1 + 8 * (state.shape[1] + size.shape[1] + 4) * _UNIT)


def _solved(carry: Tensor, right: Tensor) -> Tensor:
    """Return an upper bound on ``(I - carry)^-1 right`` for nonnegative matrices.

    ``w`` with ``w >= carry w + right`` dominates the solution, so the computed one is
    raised until the inequality holds with rounding.

    Raises:
        NotWellPosedError: It cannot be raised so far.
    """
    n = carry.shape[0]
    eye = torch.eye(n, dtype=carry.dtype)
    slack = 1 + 4 * (n + 4) * _UNIT
    w = torch.linalg.solve(eye - carry, right).clamp(min=0)
    lift = torch.linalg.solve(eye - carry, torch.ones((n, 1), dtype=carry.dtype))
    step = _UNIT * n * (1 + float(w.max()) if w.numel() else 1.0)
    for _ in range(60):
        if bool((w >= (carry @ w + right) * slack).all()):
            return w
        w, step = w + step * lift.clamp(min=0), 2 * step
    raise NotWellPosedError(
        "bound the change of a model",
        float("nan"),
        "Its contraction is too close to 1 for float64.",
    )


def _dropped(
    question: _Question, now: dict[str, Tensor], error: float
) -> dict[str, Tensor]:
    """Return the matrices without the cheapest weights that fit the error."""
    state, size = question.carried()
    high, wide = state.amax(0), size.amax(0)
    reach = question.reach(now)
    spent = question.bound(now).amax(0)
    left = (error - spent).clamp(min=0) * (1 - 1e-9)
    # The price of a weight is the largest share of any output's allowance.
    share = 1 / left.clamp(min=1e-300)
    per_row = (reach * share[:, None]).amax(0)
    prices = {
        "A": per_row[:, None] * now["A"].abs() * high,
        "B": per_row[:, None] * now["B"].abs() * wide,
        "C": share[:, None] * now["C"].abs() * high,
        "D": share[:, None] * now["D"].abs() * wide,
    }
    keys = list(prices)
    flat = torch.cat([prices[key].flatten() for key in keys])
    alive = torch.cat([now[key].flatten() for key in keys]) != 0
    order = torch.where(alive, flat, torch.inf).argsort()
    total = torch.where(alive, flat, torch.inf)[order].cumsum(0)
    gone = torch.zeros_like(alive)
    gone[order[total <= 1]] = True
    parts = gone.split([now[key].numel() for key in keys])
    return {
        key: torch.where(part.reshape(now[key].shape), 0.0, now[key])
        for key, part in zip(keys, parts, strict=True)
    }


def _matrices(model: ImplicitModel) -> dict[str, Tensor]:
    made = {"A": model.A, "B": model.B, "C": model.C, "D": model.D}
    return {key: torch.from_numpy(dense_of(part)) for key, part in made.items()}


def _count(matrices: dict[str, Tensor]) -> int:
    return sum(int((part != 0).sum()) for part in matrices.values())
