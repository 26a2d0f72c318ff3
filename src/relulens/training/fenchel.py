"""Training by blocks: states are free, and pay for not being the ReLU of arguments."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.implicit.equilibrium import equilibrium
from relulens.implicit.model import ImplicitModel
from relulens.training.implicit_layer import check_kappa
from relulens.training.row_balls import project_rows
from relulens.training.state_driven import refitted, ridge


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FenchelFit:
    """A model trained by blocks, and how the training went.

    Attributes:
        model: The model, with C, D and d refitted on the states it reaches.
        loss: Half the mean squared error at the free states, after every round.
        divergence: Mean over samples of the sum of divergences, after every round.
        multipliers: The last multiplier of every state [n].
    """

    model: ImplicitModel
    loss: tuple[float, ...]
    divergence: tuple[float, ...]
    multipliers: Float64[Tensor, " n"]


def divergence(
    state: Float64[Tensor, "batch n"], argument: Float64[Tensor, "batch n"]
) -> Float64[Tensor, " n"]:
    r"""Return the mean Fenchel divergence of every state from the ReLU of its argument.

    :math:`F(x, z) = \tfrac12 x^2 + \tfrac12 z_+^2 - xz`, at least 0 for
    :math:`x \ge 0`, and 0 just where :math:`x = \max(z, 0)`.
    """
    rising = argument.clamp(min=0)
    both = 0.5 * (state.square() + rising.square()) - state * argument
    return both.mean(0)


def fenchel_fit(
    x: Float64[Tensor, "samples p"],
    y: Float64[Tensor, "samples q"],
    *,
    states: int,
    kappa: float = 0.95,
    rounds: int = 100,
    multiplier: float = 0.1,
    rise: float = 1.0,
    enough: float = 1e-4,
    ridge_weight: float = 1e-4,
    seed: int = 0,
) -> FenchelFit:
    r"""Train a ReLU model by block-coordinate descent on a relaxed problem.

    Minimises :math:`\tfrac1{2N}\|Y - CX - DU\|^2 + \sum_i \lambda_i F_i(X, AX + BU)`
    over states X >= 0 and matrices with rows of A in l1 balls: (C, D, d) by least
    squares, X and (A, B, a) by projected gradient steps of size 1/L, and every tenth
    round the multipliers rise by ``rise * F_i`` until all F are at most ``enough``.
    At last C, D and d are fitted to the states that the model reaches.

    Args:
        x: Inputs.
        y: Outputs; for classes one column a class.
        states: Entries n of the state.
        kappa: The factor of contraction, in (0, 1).
        rounds: Rounds over the three blocks.
        multiplier: First multiplier of every divergence, positive.
        rise: Step of the dual ascent.
        enough: Mean divergence of a state at which its multiplier stays.
        ridge_weight: Ridge of the least squares, per sample.
        seed: Seed of the first weights.

    Raises:
        InvalidArgumentError: kappa is outside (0, 1), or sizes do not fit.
        NotFiniteError: A number is NaN or infinite.

    Cost:
        Some ten products [N, n] by [n, n] a round.
    """
    check_kappa(kappa)
    _check(x, y, states, multiplier)
    block = _Blocks(x, y, states, kappa, multiplier, ridge_weight, seed)
    losses: list[float] = []
    divergences: list[float] = []
    for turn in range(rounds):
        loss = block.read_out()
        block.move_states()
        block.move_matrices()
        gaps = divergence(block.state, block.argument())
        losses.append(loss)
        divergences.append(float(gaps.sum()))
        if turn % 10 == 9:
            block.multipliers += torch.where(gaps > enough, rise * gaps, 0.0)
    readout = torch.zeros((y.shape[1], states), dtype=x.dtype)
    bare = ImplicitModel(block.A, block.B, readout, None, "relu", block.a)
    return FenchelFit(
        model=refitted(bare, x, y, ridge_weight=ridge_weight),
        loss=tuple(losses),
        divergence=tuple(divergences),
        multipliers=block.multipliers,
    )


def _check(x: Tensor, y: Tensor, states: int, multiplier: float) -> None:
    if len(x) != len(y) or not len(x) or states < 1 or not multiplier > 0:
        raise InvalidArgumentError(
            f"cannot train by blocks: there are {len(x)} inputs and {len(y)} outputs,"
            f" {states} states and a multiplier of {multiplier}; inputs and outputs"
            " must be equally many, and all of them above 0."
        )
    bad = int((~torch.isfinite(x)).sum() + (~torch.isfinite(y)).sum())
    if bad:
        raise NotFiniteError(
            f"cannot train by blocks: {bad} numbers of x and y are NaN or infinite."
            " Remove those samples."
        )


class _Blocks:
    """The variables, and a step of each block of them."""

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        states: int,
        kappa: float,
        multiplier: float,
        ridge_weight: float,
        seed: int,
    ) -> None:
        source = torch.Generator().manual_seed(seed)
        p = x.shape[1]

        def normal(columns: int, scale: float) -> Tensor:
            return scale * torch.randn(
                states, columns, generator=source, dtype=torch.float64
            )

        self.x, self.y, self.kappa, self.ridge_weight = x, y, kappa, ridge_weight
        self.A = project_rows(normal(states, (0.5 / states) ** 0.5), kappa)
        self.B = normal(p, max(p, 1) ** -0.5)
        self.a = torch.zeros(states, dtype=torch.float64)
        self.multipliers = torch.full((states,), multiplier, dtype=torch.float64)
        none = torch.zeros((0, states), dtype=torch.float64)
        start = ImplicitModel(self.A, self.B, none, None, "relu", self.a)
        # With equilibria as first states every divergence starts at 0.
        self.state = equilibrium(start, x, error=1e-6).state
        self.C = none

    def argument(self) -> Tensor:
        """Return ``A x + B u + a``."""
        return self.state @ self.A.T + self.x @ self.B.T + self.a

    def read_out(self) -> float:
        """Fit C, D and d to the free states and return half the mean squared error."""
        n = self.A.shape[0]
        rows, offset = ridge(
            torch.cat([self.state, self.x], 1), self.y, self.ridge_weight
        )
        self.C, self.rest = rows[:, :n], self.x @ rows[:, n:].T + offset
        wrong = self.state @ self.C.T + self.rest - self.y
        return float(wrong.square().sum(1).mean()) / 2

    def move_states(self, steps: int = 5) -> None:
        """Take projected gradient steps in the states."""
        heaviest = float(self.multipliers.max())
        norm = float(torch.linalg.matrix_norm(self.A, 2))
        size = float(torch.linalg.matrix_norm(self.C, 2)) ** 2
        rate = 1 / (size + heaviest * (1 + norm) ** 2)
        for _ in range(steps):
            z = self.argument()
            wrong = self.state @ self.C.T + self.rest - self.y
            pulled = (z.clamp(min=0) - self.state) * self.multipliers
            slope = wrong @ self.C + (self.state - z) * self.multipliers
            self.state = (self.state - rate * (slope + pulled @ self.A)).clamp(min=0)

    def move_matrices(self, steps: int = 20) -> None:
        """Take projected gradient steps in A, B and a; the divergence is convex."""
        n, count = self.A.shape[0], len(self.x)
        ones = self.x.new_ones((count, 1))
        data = torch.cat([self.state, self.x, ones], 1)
        rate = count / float(torch.linalg.matrix_norm(data, 2)) ** 2
        rows = torch.cat([self.A, self.B, self.a[:, None]], 1)
        # Multipliers scale whole rows, so they do not change where a row goes.
        held = torch.cat([rows.new_ones(n), rows.new_zeros(rows.shape[1] - n)])
        ahead, momentum = rows, 1.0
        for _ in range(steps):
            off = (data @ ahead.T).clamp(min=0) - self.state
            new = project_rows(
                ahead - rate * off.T @ data / count, self.kappa, weights=held
            )
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = new + (momentum - 1) / following * (new - rows)
            rows, momentum = new, following
        self.A, self.B, self.a = rows[:, :n], rows[:, n:-1], rows[:, -1]
