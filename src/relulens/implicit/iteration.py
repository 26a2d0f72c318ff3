"""A fixed point to an estimated relative error, in as few operations as possible."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from relulens.errors import NotConvergedError
from relulens.implicit.change import relative_change
from relulens.implicit.secant import secant

SLOW = 0.75
"""Rate of decay above which plain turns give way to the secant iteration."""

FAST = 0.2
"""Rate of decay below which the turns that are left are taken without a look."""

BLIND = 4
"""Most turns in a row that are not looked at."""


def solved(
    turn: Callable[[Tensor], Tensor],
    start: Tensor,
    tolerance: float,
    turns: int,
    *,
    fresh: bool = False,
) -> Tensor:
    """Return a fixed point up to an estimated relative error of ``tolerance``.

    Plain turns, looked at only where the rate of decay says that they may be enough;
    the secant iteration where they are slow.

    Args:
        turn: The map.
        start: Where to start [N, n].
        tolerance: Error allowed, times the largest entry of each state.
        turns: Most turns.
        fresh: Whether the start is what a turn makes of zero: its residual is known.

    Raises:
        NotConvergedError: The turns were used up.
    """
    if not start.numel():
        return start
    check = Settled(tolerance, start, 1.0 if fresh else math.inf)
    state, done, finished = _plainly(turn, check, turns)
    if finished:
        return state
    check = Settled(tolerance, state)
    done += secant(turn, state, check.stop, turns=max(turns - done, 1))
    if not check.met:
        raise NotConvergedError("extrapolation", check.reached, tolerance, done)
    return check.state


def _plainly(
    turn: Callable[[Tensor], Tensor], check: "Settled", turns: int
) -> tuple[Tensor, int, bool]:
    """Return a state, the turns it took, and whether it is good enough."""
    state, tolerance = check.state, check.tolerance
    done, skip = 0, int(math.isfinite(check.before))
    while done < turns:
        before = state
        for _ in range(skip + 1):
            before, state = state, turn(state)
        done += skip + 1
        left, rate = check.look(before, state, skip + 1)
        if check.met or (done > 2 and rate > SLOW):
            return state, done, check.met
        ahead = 0 if done == 1 else _turns_ahead(left, rate, tolerance)
        if done > 1 and rate < FAST and ahead < BLIND:
            for _ in range(ahead + 1):
                state = turn(state)
            return state, done + ahead + 1, True
        skip = min(ahead, BLIND)
    return state, done, False


def _turns_ahead(left: float, rate: float, tolerance: float) -> int:
    """Return how many turns need not be looked at."""
    if not 0 < rate < 1 or left <= 0:
        return 0
    needed = math.log(tolerance * (1 - rate) / (rate * left)) / math.log(rate)
    return max(0, math.ceil(needed) - 1)


@dataclass(slots=True, eq=False)
class Settled:
    """Stops where the residual and its rate of decay promise a small error.

    Attributes:
        tolerance: Error allowed, relative to the largest entry of each state.
        state: The last image.
        before: The residual when it was last looked at, relative.
        reached: The last estimate of the error.
        met: Whether it is small enough, or rounding is all that is left.
    """

    tolerance: float
    state: Tensor
    before: float = field(default=math.inf)
    reached: float = field(default=math.inf)
    met: bool = field(default=False)

    def look(self, state: Tensor, image: Tensor, turns: int) -> tuple[float, float]:
        """Take a state and its image; return the residual and its rate of decay.

        Args:
            state: The state.
            image: Its image.
            turns: Turns since the last look.
        """
        self.state = image
        left = relative_change(state, image)
        rounding = torch.finfo(image.dtype).eps
        known = math.isfinite(self.before) and self.before > 0
        rate = (left / self.before) ** (1 / turns) if known else 0.95
        stalled = left <= 64 * rounding and left >= 0.9 * self.before
        careful = min(rate, 0.95)
        self.reached = left * careful / (1 - careful)
        # Where rounding is all that is left, further turns change nothing.
        self.met = self.reached <= self.tolerance or left <= 4 * rounding or stalled
        self.before = left
        return left, rate

    def stop(self, state: Tensor, image: Tensor, done: int) -> bool:
        """Tell whether to stop; looked at every second turn."""
        if done % 2:
            return False
        self.look(state, image, 2)
        return self.met
