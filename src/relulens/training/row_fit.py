"""Sparse least squares for many rows at once, inside l1 balls, with a duality gap.

Every row solves ``min 1/(2N) |G w - z|^2 + g(w)`` with ``sum v |w| <= radius``.
All rows share G, so one eigendecomposition of ``G^T G / N`` serves the two-block ADMM
of all of them, whatever penalty parameter each row uses; penalty and ball are one exact
proximal step, so that what comes back is feasible and has true zeros.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError, SolverError
from relulens.graph.linear_map import BYTE_LIMIT, check_bytes
from relulens.training.penalties import L1, Penalty, soft
from relulens.training.row_balls import project_rows

_CHECK = 25
_RELAX = 1.6


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowFit:
    """Rows found, with what certifies them.

    Attributes:
        rows: Coefficients [rows, columns], inside their balls.
        offset: Constant of every row [rows], not penalised.
        objective: Value of every row's problem [rows], constants included.
        gap: Duality gap of every row [rows], computed in float64: the optimum lies at
            most this far below ``objective``.
        iterations: Steps taken until the last row was done.
    """

    rows: Float64[Tensor, "rows columns"]
    offset: Float64[Tensor, " rows"]
    objective: Float64[Tensor, " rows"]
    gap: Float64[Tensor, " rows"]
    iterations: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Problem:
    """Centred data of the rows that are still open."""

    gram: Tensor
    cross: Tensor
    data: Tensor
    target: Tensor
    penalty: Penalty
    weights: Tensor
    radius: Tensor

    def open(self, rows: Tensor) -> "_Problem":
        return _Problem(
            gram=self.gram,
            cross=self.cross[rows],
            data=self.data,
            target=self.target[:, rows],
            penalty=self.penalty,
            weights=self.weights,
            radius=self.radius[rows],
        )

    def objective(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of every row, and the residuals [N, rows]."""
        residual = self.target - self.data @ w.T
        squares = residual.square().sum(0) / (2 * max(len(residual), 1))
        return squares + self.penalty.value(w), residual

    def prox(self, v: Tensor, step: Tensor) -> Tensor:
        """Return the proximal map of penalty and ball together, exactly feasible."""
        x = self.penalty.prox(v, step)
        out = (x.abs() @ self.weights) > self.radius
        if bool(out.any()) and not isinstance(self.penalty, L1):
            tau = self._multiplier(v[out], step[out], self.radius[out])
            x[out] = self.penalty.prox(soft(v[out], tau * self.weights), step[out])
        # Soft thresholds add up, so for l1 the projection is all of the ball's step.
        return project_rows(x, self.radius, weights=self.weights)

    def _multiplier(self, v: Tensor, step: Tensor, radius: Tensor) -> Tensor:
        """Return the multiplier [rows, 1] of balls that bind, by false position."""
        held = self.weights > 0
        low = v.new_zeros((len(v), 1))
        high = (v[:, held].abs() / self.weights[held]).amax(1, keepdim=True)

        def excess(tau: Tensor) -> Tensor:
            x = self.penalty.prox(soft(v, tau * self.weights), step)
            return (x.abs() @ self.weights - radius)[:, None]

        over, under = excess(low), -radius[:, None]
        for _ in range(60):
            tau = (low * under - high * over) / (under - over)
            value = excess(tau)
            up = value > 0
            # Illinois: the end that stays counts for half.
            over = torch.where(up, value, over / 2)
            under = torch.where(up, under / 2, value)
            low, high = torch.where(up, tau, low), torch.where(up, high, tau)
            if bool((value.abs() <= 1e-14 * radius[:, None]).all()):
                break
        return tau

    def gap(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return objective and duality gap of every row."""
        value, residual = self.objective(w)
        size = max(len(residual), 1)
        r = (self.data.T @ residual).T / size
        free = torch.where(self.weights > 0, 0.0, r)
        scale = self.penalty.scale(free) * (1 - 1e-15)
        r = r * scale[:, None]
        along = (residual * self.target).sum(0) / size
        squares = residual.square().sum(0) / (2 * size)
        dual = scale * along - scale.square() * squares - self._conjugate(r)
        return value, (value - dual).clamp(min=0)

    def _conjugate(self, r: Tensor) -> Tensor:
        """Return the conjugate of penalty and ball: any multiplier bounds it above."""
        held = self.weights > 0
        none = r.new_zeros(len(r))
        if not bool(held.any()):
            return self.penalty.conjugate(r)
        low, high = none, (r[:, held].abs() / self.weights[held]).amax(1)
        fine = ~self.penalty.grow(r, self.weights, self.radius)
        for _ in range(64):
            tau = (low + high) / 2
            up = self.penalty.grow(
                soft(r, tau[:, None] * self.weights), self.weights, self.radius
            )
            low, high = torch.where(up, tau, low), torch.where(up, high, tau)
        tau = torch.where(fine, none, high)
        radius = torch.where(tau > 0, self.radius, 0.0)
        return radius * tau + self.penalty.conjugate(
            soft(r, tau[:, None] * self.weights)
        )


def fit_rows(
    data: Float64[Tensor, "samples columns"],
    target: Float64[Tensor, "samples rows"],
    penalty: Penalty,
    *,
    radius: float | Float64[Tensor, " rows"] = torch.inf,
    weights: Float64[Tensor, " columns"] | None = None,
    tolerance: float = 1e-8,
    steps: int = 20_000,
) -> RowFit:
    r"""Return the rows that fit a target from shared data, sparse and inside l1 balls.

    Each row minimises :math:`\frac1{2N}\|Gw + c - z\|^2 + g(w)` subject to
    :math:`\sum_j v_j |w_j| \le r`, over w and a free constant c.

    Args:
        data: The shared data G.
        target: One column z a row of the answer.
        penalty: ``L1``, ``BerHu`` or ``Groups``.
        radius: Radius of the balls, one number or one a row; infinite for none.
        weights: Weights v of the columns, nonnegative; ones by default.
        tolerance: Duality gap at which a row is done, relative to its objective (or to
            a thousandth of its value at zero, if that is larger).
        steps: Steps after which the search gives up.

    Returns:
        The rows, feasible, with objective and gap.

    Raises:
        InvalidArgumentError: Shapes do not fit, or a radius is not positive.
        NotFiniteError: A number is NaN or infinite.
        SolverError: Some row did not reach its gap; the message says how far it got.

    Cost:
        One eigendecomposition [columns, columns], and two products [rows, columns,
        columns] a step.
    """
    _check(data, target)
    columns, rows = data.shape[1], target.shape[1]
    check_bytes(
        f"the Gram matrix [{columns}, {columns}]",
        24 * columns * columns,
        BYTE_LIMIT,
        "Fit a smaller layer, or fewer states.",
    )
    middle, level = data.mean(0), target.mean(0)
    centred, wanted = data - middle, target - level
    size = len(data)
    held = data.new_ones(columns) if weights is None else weights
    radii = torch.as_tensor(radius, dtype=torch.float64).expand(rows)
    problem = _Problem(
        gram=centred.T @ centred / size,
        cross=(centred.T @ wanted).T / size,
        data=centred,
        target=wanted,
        penalty=penalty,
        weights=torch.zeros_like(held) if bool(torch.isinf(radii).all()) else held,
        radius=radii,
    )
    found, value, gap, taken = _solved(problem, tolerance, steps)
    return RowFit(
        rows=found,
        offset=level - found @ middle,
        objective=value,
        gap=gap,
        iterations=taken,
    )


def _check(data: Tensor, target: Tensor) -> None:
    if len(data) != len(target) or not len(data):
        raise InvalidArgumentError(
            f"cannot fit rows: there are {len(data)} samples of data and {len(target)}"
            " of targets, and both must be equal and above 0. Pass them in pairs."
        )
    for name, array in (("data", data), ("targets", target)):
        bad = int((~torch.isfinite(array)).sum())
        if bad:
            raise NotFiniteError(
                f"cannot fit rows: {bad} of {array.numel()} numbers of the {name} are"
                " NaN or infinite. Remove those samples."
            )


@dataclass(slots=True, eq=False)
class _Steps:
    """The two blocks of rows that are still open, and their multipliers."""

    problem: _Problem
    values: Tensor
    vectors: Tensor
    p: Tensor
    u: Tensor
    rho: Tensor

    def advance(self) -> None:
        """Take some steps, and balance what is left of the two residuals."""
        turned = self.problem.cross @ self.vectors
        w = before = self.p
        for _ in range(_CHECK):
            inner = turned + self.rho * ((self.p - self.u) @ self.vectors)
            w = inner / (self.values + self.rho) @ self.vectors.T
            mixed = _RELAX * w + (1 - _RELAX) * self.p
            before, self.p = self.p, self.problem.prox(mixed + self.u, 1 / self.rho)
            self.u = self.u + mixed - self.p
        # Residuals relative to what they are residuals of: with absolute ones, rows
        # of small penalties take thirty times as many steps.
        tiny = 1e-300
        size = torch.maximum(w.norm(dim=1), self.p.norm(dim=1)).clamp(min=tiny)
        force = (self.rho[:, 0] * self.u.norm(dim=1)).clamp(min=tiny)
        primal = (w - self.p).norm(dim=1) / size
        dual = self.rho[:, 0] * (self.p - before).norm(dim=1) / force
        factor = (primal / dual.clamp(min=tiny)).sqrt()
        factor = torch.where((factor > 2) | (factor < 0.5), factor, 1.0)
        factor = factor.clamp(0.1, 10)[:, None]
        self.rho, self.u = self.rho * factor, self.u / factor

    def candidate(self) -> Tensor:
        """Return the better of the last iterate and the minimiser on its support."""
        other = _polished(self.problem, self.p)
        lower = self.problem.objective(other)[0] < self.problem.objective(self.p)[0]
        return torch.where(lower[:, None], other, self.p)

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the rows."""
        self.problem = self.problem.open(rows)
        self.p, self.u, self.rho = self.p[rows], self.u[rows], self.rho[rows]


def _solved(
    problem: _Problem, tolerance: float, steps: int
) -> tuple[Tensor, Tensor, Tensor, int]:
    values, vectors = torch.linalg.eigh(problem.gram)
    values = values.clamp(min=0)
    best = torch.zeros_like(problem.cross)
    value, gap = problem.gap(best)
    floor = 1e-3 * value
    todo = torch.nonzero(gap > tolerance * torch.maximum(value, floor)).squeeze(1)
    # The mean curvature as a start; each row then balances its own residuals.
    rho = values.mean().clamp(min=1e-12).expand(len(todo), 1).clone()
    zeros = best[todo]
    state = _Steps(problem.open(todo), values, vectors, zeros, zeros.clone(), rho)
    taken = 0
    while len(todo) and taken < steps:
        state.advance()
        taken += _CHECK
        found = state.candidate()
        current, now = state.problem.gap(found)
        improved = current < value[todo]
        closer = todo[improved]
        best[closer], value[closer] = found[improved], current[improved]
        gap[closer] = now[improved]
        still = gap[todo] > tolerance * torch.maximum(value[todo], floor[todo])
        state.keep(still)
        todo = todo[still]
    if len(todo):
        raise SolverError(
            f"cannot fit {len(todo)} of {len(best)} rows: after {taken} steps the"
            f" largest duality gap is {float(gap[todo].max()):.3g} at an objective of"
            f" {float(value[todo].max()):.3g}. Raise steps, tolerance or the penalty."
        )
    return best, value, gap, taken


def _polished(problem: _Problem, p: Tensor) -> Tensor:
    """Return the minimisers over the supports found, where l1 is linear there."""
    penalty = problem.penalty
    if not isinstance(penalty, L1):
        return p
    polished = p.clone()
    for i, row in enumerate(p):
        support = torch.nonzero(row).squeeze(1)
        count = len(support)
        if not count:
            continue
        sign = torch.sign(row[support])
        edge = sign * problem.weights[support]
        length = (row.abs() * problem.weights).sum()
        bound = bool(length >= problem.radius[i] * (1 - 1e-9))
        system = problem.gram.new_zeros((count + 1, count + 1))
        system[:count, :count] = problem.gram[support][:, support]
        system[:count, :count].diagonal().add_(1e-14 * problem.gram.diagonal().max())
        right = torch.zeros(count + 1, dtype=p.dtype)
        right[:count] = problem.cross[i, support] - penalty.weight * sign
        if bound:
            system[:count, count], system[count, :count] = edge, edge
            right[count] = problem.radius[i]
        else:
            system[count, count] = 1.0
        solved, info = torch.linalg.solve_ex(system, right)
        x = solved[:count]
        if int(info) == 0 and bool(torch.isfinite(x).all()):
            polished[i, support] = torch.where(x * sign > 0, x, 0.0)
    return project_rows(polished, problem.radius, weights=problem.weights)
