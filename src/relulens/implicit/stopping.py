"""When an iteration may stop: at a certified distance to the equilibrium."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from relulens.implicit.distance import Distance

PATIENCE = 300
"""Turns without a better bound after which rounding is what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked of an iteration.

    Attributes:
        error: Largest distance to the equilibrium in the maximum norm.
        relative: Whether the error is times the largest absolute entry of the state.
        turns: Most turns round the loop.
    """

    error: float
    relative: bool
    turns: int

    def allowed(self, state: Tensor) -> Tensor:
        """Return the error that is allowed for every state."""
        if self.relative and state.shape[1]:
            return self.error * state.abs().amax(1)
        return state.new_full((state.shape[0],), self.error)


@dataclass(slots=True, eq=False)
class Certified:
    """Stops where every input's bound is small enough, and keeps the best states.

    Attributes:
        target: What is asked.
        bounds: What turns residuals into distances; nothing if the proof gives none,
            and the residual is compared instead.
        x: The inputs.
        state: The states kept.
        error_bound: Their bounds.
        met: Whether every bound is small enough.
        zero: Inputs whose state and residual are exactly zero, if the error is
            relative: the bound is that of rounding, and nothing is small next to zero.
    """

    target: Target
    bounds: Distance | None
    x: Tensor
    state: Tensor
    error_bound: Tensor
    met: bool = field(default=False)
    improved: int = field(default=0)
    zero: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Start with no input settled."""
        self.zero = torch.zeros_like(self.error_bound, dtype=torch.bool)

    def stop(self, state: Tensor, image: Tensor, done: int) -> bool:
        """Tell whether to stop, and keep the states if so or if they are the best."""
        residual = (image - state).abs()
        if self.bounds is None:
            reached = residual.flatten(1).amax(1) if state.shape[1] else residual.sum(1)
            self.state, self.error_bound = state, torch.full_like(reached, torch.inf)
            self.met = bool((reached <= self.target.allowed(state)).all())
            return self.met
        off = self.bounds.rounding(state, self.x)
        bound = self.bounds.bound(residual + off)
        kept = state
        if self.bounds.shrink < 1 and state.shape[1]:
            # One more turn contracts the bound, up to the rounding of that turn.
            kept = image
            bound = self.bounds.shrink * bound + off.amax(1)
        still = ~(state.any(1) | image.any(1)) & self.target.relative
        best = still | ((bound < self.error_bound) & ~self.zero)
        self.zero |= still
        if bool((bound < 0.99 * self.error_bound).any()):
            self.improved = done
        self.state = torch.where(best[:, None], kept, self.state)
        self.error_bound = torch.where(best, bound, self.error_bound)
        small = self.error_bound <= self.target.allowed(self.state)
        self.met = bool((small | self.zero).all())
        return self.met or done - self.improved > PATIENCE


@dataclass(slots=True, eq=False)
class Rough:
    """Stops where another turn in a short type would mostly be rounding.

    Attributes:
        target: What is asked in the end.
        bounds: What turns residuals into distances, if anything.
        state: The states kept.
        before: The residual when it was last looked at, relative to the state.
    """

    target: Target
    bounds: Distance | None
    state: Tensor
    before: float = field(default=float("inf"))

    def stop(self, state: Tensor, image: Tensor, done: int) -> bool:
        """Tell whether to stop; the image is kept."""
        self.state = image
        if done % 2 or not state.shape[1]:
            return not state.shape[1]
        residual = (image - state).abs()
        size = image.abs().amax(1)
        largest = residual.amax(1)
        left = float((largest / size.clamp(min=1e-30)).amax())
        rounding = torch.finfo(state.dtype).eps
        stuck = left <= 512 * rounding and left >= 0.7 * self.before
        self.before = left
        if left <= 8 * rounding or stuck:
            return True
        if self.bounds is None:
            return False
        near = self.bounds.bound(residual.double()) <= 0.5 * self.target.allowed(
            image.double()
        )
        return bool((near | (largest <= 8 * rounding * size)).all())
