"""How far a polyhedron reaches along directions: points found, and certified bounds."""

from dataclasses import dataclass, field

import numpy as np

from relulens.certificates.rounding import Array
from relulens.certificates.subjects import Matrix
from relulens.errors import SolverError
from relulens.numerics.interior_point import maximise
from relulens.numerics.least_squares import nonnegative_least_squares
from relulens.numerics.linear_programs import Inequalities
from relulens.preimage.farthest import longest_step
from relulens.preimage.reduced import Reduced

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reach:
    """The largest value of a direction over a set, from both sides.

    Attributes:
        found: Value at a point of the set.
        bound: No point of the set exceeds it; infinite if none is known.
        point: Where ``found`` is taken [n].
    """

    found: float
    bound: float
    point: Array


@dataclass(slots=True, eq=False, kw_only=True)
class Programs:
    """Linear programs over one piece, with what is known to bound it.

    Attributes:
        piece: The set in its affine hull.
        centre: A point strictly inside, in coordinates of the hull [q].
        radius: No point of the set is farther from the origin; infinite if unknown.
        low: Lowest value of each coordinate, known beforehand [n].
        high: Highest value of each coordinate, known beforehand [n].
        bounded: Whether the set is bounded.
        solved: Programs solved so far.
        points: Points of the set that were found, each [n].
    """

    piece: Reduced
    centre: Array
    radius: float
    low: Array
    high: Array
    bounded: bool
    solved: int = 0
    points: list[Array] = field(default_factory=list)
    _simplex: Inequalities | None = None

    def furthest(self, direction: Array) -> Reach:
        """Return the largest value of ``direction . x``.

        Cost:
            One linear program, and one product with the raw rows.
        """
        piece = self.piece
        here = float(direction @ piece.origin)
        cost = direction @ piece.basis
        length = float(np.linalg.norm(cost))
        if length <= 100 * _EPS * float(np.linalg.norm(direction)):
            bound = here + self._certified(direction, np.zeros(piece.slack.size))
            return Reach(found=here, bound=bound, point=piece.origin)
        self.solved += 1
        z, multipliers = self._solve(cost / length)
        if z is None:
            return Reach(
                found=np.inf, bound=np.inf, point=np.full_like(direction, np.nan)
            )
        point = piece.origin + piece.basis @ self._inside(z)
        self.points.append(point)
        bound = np.inf
        if multipliers is not None:
            bound = here + self._certified(direction, multipliers * length)
        return Reach(found=float(direction @ point), bound=bound, point=point)

    def _solve(self, cost: Array) -> tuple[Array | None, Array | None]:
        """Return an optimal point and multipliers, or no point if none is largest."""
        rows = self.piece.rows
        slack = self.piece.slack - rows @ self.centre
        if self.bounded:
            found = maximise(cost, rows, slack)
            if found.converged:
                return self.centre + found.point, found.multipliers
        if self._simplex is None:
            self._simplex = Inequalities(rows, slack)
        answer = self._simplex.maximise(cost)
        if answer.status == "unbounded":
            return None, None
        if answer.status != "optimal":
            return self.centre, None
        return self.centre + answer.point, _multipliers(rows, slack, answer.point, cost)

    def _inside(self, z: Array) -> Array:
        """Return z, or the last point before it on the way from the centre."""
        piece, step = self.piece, z - self.centre
        slack = piece.slack - piece.rows @ self.centre
        return self.centre + step * min(1.0, longest_step(piece.rows, slack, step))

    def _certified(self, direction: Array, multipliers: Array) -> float:
        """Return a bound on ``direction . (x - origin)`` from the raw rows.

        With raw multipliers u of the equalities and m >= 0 of the inequalities it is
        ``m . slack + rest . (x - origin)``, ``rest = direction - E^T u - I^T m``.
        """
        piece = self.piece
        m = np.maximum(multipliers, 0.0) / piece.size
        pull = np.asarray(m @ piece.below)
        u = piece.left.solve(direction - pull)
        chosen = piece.hull[piece.left.independent]
        rest = direction - pull - np.asarray(u @ chosen)
        terms = np.abs(direction) + _absolute(m, piece.below)
        terms += _absolute(np.abs(u), chosen)
        rest_size = np.abs(rest) + (m.size + u.size + 4) * _EPS * terms
        slack = piece.slack * piece.size
        read = np.asarray(abs(piece.below) @ np.abs(piece.origin)) + np.abs(slack)
        value = float(m @ slack) + 2 * (m.size + u.size) * _EPS * float(m @ read)
        equal, below = piece.error
        wrong = float(np.abs(u) @ equal[piece.left.independent] + m @ below)
        return value + self._absorbed(rest_size, wrong)

    def _absorbed(self, rest: Array, wrong: float) -> float:
        """Return the most that a rest, and one more of this 1-norm, add to a value."""
        away = np.maximum(
            self.high - self.piece.origin, self.piece.origin - self.low
        ).clip(0.0, self.radius)
        used = rest > 0
        spread = float(rest[used] @ away[used])
        if used.any():
            spread = min(spread, float(np.linalg.norm(rest)) * self.radius)
        return spread + (wrong * float(away.max(initial=0.0)) if wrong > 0 else 0.0)


def _absolute(weights: Array, rows: Matrix) -> Array:
    return np.asarray(weights @ abs(rows))


def _multipliers(rows: Array, slack: Array, point: Array, cost: Array) -> Array | None:
    """Return multipliers of the rows that stop an optimal point."""
    away = slack - rows @ point
    stops = np.flatnonzero(away <= 1e-7 * (1 + np.abs(slack)))
    if stops.size == 0:
        return None
    try:
        values, distance = nonnegative_least_squares(
            np.ascontiguousarray(rows[stops].T), cost
        )
    except SolverError:
        return None
    if distance > 1e-7:
        return None
    result = np.zeros(rows.shape[0])
    result[stops] = values
    return result
