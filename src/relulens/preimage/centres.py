"""Centres of a polyhedron: of its largest ball, and of its logarithmic barrier."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigvalsh

from relulens.certificates.rounding import Array
from relulens.errors import SolverError
from relulens.numerics.interior_point import maximise
from relulens.numerics.linear_programs import Inequalities

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ball:
    """A ball inside a polyhedron, the largest up to the bound.

    Attributes:
        centre: Its centre [q].
        radius: Its radius, checked at the centre; infinite if balls of every size fit.
        multipliers: Dual variables [p]; their sum excludes balls over ``bound``.
        bound: ``slack . multipliers`` over their sum, before rounding is added.
    """

    centre: Array
    radius: float
    multipliers: Array
    bound: float


def largest_ball(rows: Array, slack: Array, *, bounded: bool) -> Ball:
    """Return the largest ball with ``rows z <= slack``.

    Args:
        rows: Inequalities [p, q] of Euclidean norm one.
        slack: Right-hand sides [p], nonnegative: zero is in the set.
        bounded: Whether the set is known to be bounded.

    Raises:
        SolverError: No program found an interior point.
    """
    p, q = rows.shape
    if p == 0:
        return Ball(
            centre=np.zeros(q), radius=np.inf, multipliers=np.zeros(0), bound=np.inf
        )
    lifted = np.concatenate([rows, np.ones((p, 1))], axis=1)
    cost = np.eye(q + 1)[q]
    if bounded:
        found = maximise(cost, lifted, slack, accuracy=1e-10)
        radius = float((slack - rows @ found.point[:q]).min())
        if radius > 0:
            total = float(found.multipliers.sum())
            return Ball(
                centre=found.point[:q],
                radius=radius,
                multipliers=found.multipliers,
                bound=float(slack @ found.multipliers) / total,
            )
    return _by_simplex(rows, lifted, slack, cost)


def _by_simplex(rows: Array, lifted: Array, slack: Array, cost: Array) -> Ball:
    q = rows.shape[1]
    program = Inequalities(lifted, slack)
    found = program.maximise(cost)
    endless = found.status == "unbounded"
    if endless:
        program.add(cost, max(1.0, float(slack.max())))
        found = program.maximise(cost)
    if found.status != "optimal":
        raise SolverError(
            f"cannot find a ball inside {rows.shape[0]} inequalities on {q} unknowns:"
            f" the program is {found.status}. Scale the inputs."
        )
    centre = found.point[:q]
    radius = float((slack - rows @ centre).min())
    if radius <= 0:
        raise SolverError(
            f"cannot find a ball inside {rows.shape[0]} inequalities on {q} unknowns:"
            f" the best radius is {radius:.3g}. Scale the inputs."
        )
    return Ball(
        centre=centre,
        radius=np.inf if endless else radius,
        multipliers=np.zeros(rows.shape[0]),
        bound=np.inf,
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BarrierCentre:
    r"""Where :math:`-\sum_i \log s_i` is smallest, and the ellipsoids around it.

    With :math:`H = \sum_i g_i g_i^T / s_i^2`, all z with :math:`(z-c)^T H (z-c) \le 1`
    are inside, and none is inside with more than ``outer`` squared.

    Attributes:
        centre: The centre [q].
        hessian: H [q, q].
        outer: Radius of the outer ellipsoid in the norm of H; how far the centre is
            from exact is part of it.
        smallest: Smallest eigenvalue of H.
        largest: Largest eigenvalue of H.
    """

    centre: Array
    hessian: Array
    outer: float
    smallest: float
    largest: float

    @property
    def reach(self) -> float:
        """No point of the set is farther from the centre, in Euclidean norm."""
        return self.outer / np.sqrt(self.smallest)


def barrier_centre(
    rows: Array, slack: Array, start: Array, *, steps: int = 200
) -> BarrierCentre | None:
    """Return the analytic centre of a bounded set, or nothing if steps do not reach it.

    Args:
        rows: Inequalities [p, q].
        slack: Right-hand sides [p].
        start: A point strictly inside [q].
        steps: The most Newton steps.

    Cost:
        One product ``rows^T D rows`` and one Cholesky factorisation a step.
    """
    z = start
    for _ in range(steps):
        s = slack - rows @ z
        scaled = rows / s[:, None]
        hessian, slope = scaled.T @ scaled, scaled.sum(0)
        try:
            step = -cho_solve(cho_factor(hessian), slope)
        except np.linalg.LinAlgError:
            return None
        decrement = float(np.sqrt(max(0.0, -slope @ step)))
        if decrement < 1e-6:
            return _ellipsoids(z, hessian, decrement, rows.shape[0])
        z = z + step / (1 + decrement if decrement > 0.25 else 1.0)
    return None


def _ellipsoids(
    z: Array, hessian: Array, decrement: float, p: int
) -> BarrierCentre | None:
    values = eigvalsh(hessian)
    smallest = float(values[0] - 4 * values.size * _EPS * values[-1])
    if smallest <= 0:
        return None
    # t_i = s_i(z) / s_i(c) are nonnegative with sum p - e, |e| <= delta R, so that
    # R^2 = sum (t_i - 1)^2 <= p (p - 1) + 2 (p - 1) delta R + delta^2 R^2.
    delta = decrement + 1e-12 * p
    half = (p - 1) * delta
    outer = (half + np.sqrt(half**2 + (1 - delta**2) * p * (p - 1))) / (1 - delta**2)
    return BarrierCentre(
        centre=z,
        hessian=hessian,
        outer=float(outer) * (1 + 1e-9),
        smallest=smallest,
        largest=float(values[-1]),
    )
