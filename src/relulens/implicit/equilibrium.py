"""The equilibrium of a model for given inputs, with a certified error."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.triangular import BlockOrder, EntryOrder
from relulens.errors import (
    InvalidArgumentError,
    NotConvergedError,
    NotWellPosedError,
    ShapeError,
)
from relulens.graph.arrays import tensor_of
from relulens.implicit.anderson import anderson
from relulens.implicit.distance import distance
from relulens.implicit.loop import Loop, loop_of
from relulens.implicit.model import ImplicitModel, as_model
from relulens.implicit.peaceman_rachford import peaceman_rachford
from relulens.implicit.picard import picard
from relulens.implicit.running_error import running_error
from relulens.implicit.secant import secant
from relulens.implicit.stopping import Certified, Rough, Target
from relulens.implicit.substitution import by_blocks, by_levels
from relulens.implicit.wellposedness import WellPosedness, wellposedness

Solver: TypeAlias = Literal[
    "auto", "substitution", "picard", "secant", "anderson", "peaceman-rachford"
]
SOLVERS: tuple[str, ...] = get_args(Solver)

EASY = 0.5
"""Factor of contraction below which Picard's turns are few enough."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Equilibrium:
    """Equilibria of a model for a batch of inputs, float64.

    Attributes:
        state: The states x [N, n].
        output: The outputs y [N, q].
        iterations: Turns round the loop; 0 for substitution.
        error_bound: Certified bounds [N] on ``max_i |x_i - x*_i|``, rounding included;
            infinite where there is none.
        method: How they were found.
        reason: Why a bound is infinite; empty if all are finite.
    """

    state: Float[Tensor, "batch n"]
    output: Float[Tensor, "batch q"]
    iterations: int
    error_bound: Float[Tensor, " batch"]
    method: str
    reason: str = ""

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return the outputs."""
        return np.array(self.output.numpy(force=True), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Return the sizes and the largest bound on one line."""
        worst = float(self.error_bound.max()) if self.error_bound.numel() else 0.0
        return (
            f"Equilibrium({self.state.shape[0]} states of {self.state.shape[1]}, by"
            f" {self.method} in {self.iterations}, error <= {worst:.3g})"
        )


def equilibrium(
    model: ImplicitModel,
    x: object,
    /,
    *,
    error: float = 1e-8,
    relative: bool = False,
    method: Solver = "auto",
    initial: Tensor | None = None,
    turns: int = 10_000,
) -> Equilibrium:
    """Return the solution of ``x = phi(A x + B u + a)`` for every input u.

    A model without loops is solved by substitution, exactly up to rounding. One that
    contracts is solved by Picard's iteration, extrapolated where that is faster, and a
    monotone one by Peaceman and Rachford's, until the certified distance to the true
    equilibrium is at most ``error``: a bound from the residual and the proof that there
    is one equilibrium, not the size of the last step.

    Args:
        model: The model.
        x: Inputs [N, p], or of the model's input shape.
        error: The largest distance ``max_i |x_i - x*_i|`` that is accepted.
        relative: Whether ``error`` is times the largest absolute entry of the state; a
            state of zeros is accepted where a turn leaves it so.
        method: ``"auto"``, ``"substitution"``, ``"picard"``, ``"secant"`` (Anderson's
            extrapolation with one difference), ``"anderson"`` (with several) or
            ``"peaceman-rachford"``.
        initial: States [N, n] to start from, such as those of similar inputs.
        turns: Most turns round the loop.

    Returns:
        States and outputs with their error bounds.

    Raises:
        NotWellPosedError: The model is not known to have exactly one equilibrium.
        NotConvergedError: The error was not certified within the turns.
        InvalidArgumentError: The method does not fit the model, it is no implicit
            model, or ``error`` or ``turns`` is not positive.
        ShapeError: ``x`` or ``initial`` has another shape.

    Cost:
        Two products with A a turn at most; the first call for a model finds the proof.

    Example:
        >>> model = ImplicitModel([[0.5]], [[1.0]], [[1.0]])
        >>> equilibrium(model, [[1.0]]).output
        tensor([[2.]], dtype=torch.float64)
    """
    model = as_model(model, verb="solve for the equilibrium of")
    _check_target(error, turns)
    if method not in SOLVERS:
        raise InvalidArgumentError(
            f"cannot solve for the equilibrium: method {method!r} is none of"
            f" {', '.join(SOLVERS)}. Choose one of them."
        )
    u = model.as_input(x)
    proof = wellposedness(model)
    if proof.verdict != "well-posed":
        raise NotWellPosedError(
            "solve for the equilibrium",
            proof.bracket[1] if proof.bracket else float("inf"),
            f"The verdict is {proof.verdict!r}: {proof.reason}.",
            verdict=proof.verdict,
            bracket=proof.bracket,
        )
    wide = model.remembered("float64", lambda: model.to(torch.float64))
    chosen = _chosen(model, proof, method)
    if chosen == "substitution":
        return _substituted(wide, proof, u.double())
    start = _started(model, u, initial)
    target = Target(error=error, relative=relative, turns=turns)
    return _iterated(model, wide, proof, u, start, chosen, target)


def _check_target(error: float, turns: int) -> None:
    """Refuse an error or a number of turns that no iteration can meet.

    Raises:
        InvalidArgumentError: One of them is not positive.
    """
    for name, value, advice in (
        ("error", error, "Pass a positive distance such as 1e-8."),
        ("turns", turns, "Pass 1 or more."),
    ):
        if not isinstance(value, Real) or not value > 0:
            raise InvalidArgumentError(
                f"cannot solve for the equilibrium: {name} is {value!r}, and a number"
                f" above 0 is needed. {advice}"
            )


def _chosen(model: ImplicitModel, proof: WellPosedness, method: Solver) -> str:
    """Return the method, refused where it does not fit.

    Raises:
        InvalidArgumentError: It does not fit.
    """
    loops = proof.method != "triangular"
    if method == "substitution" and loops:
        raise InvalidArgumentError(
            f"cannot substitute: the model has loops (it is {proof.verdict} by"
            f" {proof.method}). Use method='auto'."
        )
    contracts = proof.contraction is not None
    if method == "picard" and not contracts:
        bracket = proof.bracket or (float("nan"), float("nan"))
        raise InvalidArgumentError(
            "cannot use Picard's iteration: the model is not a contraction, as the"
            f" largest eigenvalue of its gains is at least {bracket[0]:.6g}, not below"
            " 1. Use method='auto'."
        )
    if method != "auto":
        return method
    if not loops:
        return "substitution"
    if proof.contraction is not None and proof.contraction <= EASY:
        return "picard"
    if contracts:
        return "secant"
    slopes = model.phi.slopes()
    fits = slopes is not None and bool((slopes[1] <= 1).all())
    return "peaceman-rachford" if fits else "anderson"


def _started(model: ImplicitModel, u: Tensor, initial: Tensor | None) -> Tensor:
    if initial is None:
        return u.new_zeros((u.shape[0], model.n))
    start = tensor_of(initial, subject="initial").to(u.device, u.dtype)
    if tuple(start.shape) != (u.shape[0], model.n):
        raise ShapeError(
            "initial",
            tuple(start.shape),
            (model.n,),
            f"One state for each of the {u.shape[0]} inputs is needed.",
        )
    return start


def _substituted(wide: ImplicitModel, proof: WellPosedness, u: Tensor) -> Equilibrium:
    with torch.no_grad():
        if isinstance(proof.certificate, BlockOrder):
            state, turns = by_blocks(wide, proof.certificate, u), 0
        elif isinstance(proof.certificate, EntryOrder):
            state, turns = by_levels(wide, proof.certificate, u)
        else:
            raise InvalidArgumentError(
                "cannot substitute: the model has loops. Use method='auto'."
            )
        bound, reason = running_error(wide, proof.certificate, u, state)
        return Equilibrium(
            state=state,
            output=wide.output(state, u),
            iterations=turns,
            error_bound=bound,
            method="substitution",
            reason=reason,
        )


def _iterated(
    model: ImplicitModel,
    wide: ImplicitModel,
    proof: WellPosedness,
    u: Tensor,
    start: Tensor,
    method: str,
    target: Target,
) -> Equilibrium:
    """Return equilibria found in the model's type, and finished in float64."""
    bounds = distance(wide, proof)
    state, done = start, 0
    exact = u.double()
    with torch.no_grad():
        if model.dtype != torch.float64:
            rough = Rough(target, bounds, start)
            done = _solved(loop_of(model, u), start, rough.stop, method, target.turns)
            state = rough.state.double()
        far = exact.new_full((u.shape[0],), torch.inf)
        check = Certified(target, bounds, exact, state, far)
        loop = loop_of(wide, exact)
        done += _solved(loop, state, check.stop, method, target.turns)
        if not check.met:
            worst = float(check.error_bound.max())
            raise NotConvergedError(
                method, worst, target.error, done, *_zero_state(check)
            )
        none = f"the proof ({proof.method}) gives no bound on the distance"
        return Equilibrium(
            state=check.state,
            output=wide.output(check.state, exact),
            iterations=done,
            error_bound=check.error_bound,
            method=method,
            reason=none if bounds is None else "",
        )


def _zero_state(check: Certified) -> tuple[str, ...]:
    """Return advice where an error relative to a zero state was asked for, if any."""
    zero = ~check.state.any(1) & (check.error_bound > 0) & ~check.zero
    count = int(zero.sum()) if check.target.relative else 0
    if not count:
        return ()
    return (
        f"The error is relative to the state, which is exactly 0 for {count} of"
        f" {zero.numel()} inputs, and no error is small next to that. Pass"
        " relative=False, or allow more turns.",
    )


def _solved(
    loop: Loop,
    state: Tensor,
    stop: Callable[[Tensor, Tensor, int], bool],
    method: str,
    turns: int,
) -> int:
    if method == "picard":
        return picard(loop.turn, state, stop, turns=turns)
    if method == "secant":
        return secant(loop.turn, state, stop, turns=turns)
    if method == "anderson":
        return anderson(loop.turn, state, stop, turns=turns)
    return peaceman_rachford(loop, state, stop, turns=turns)
