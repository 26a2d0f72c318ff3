"""A direction is left, and here it is, or one next to it."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from relulens.certificates.rank import Shift, reach_of
from relulens.certificates.rounding import UNIT, Array, exact_dot, gamma
from relulens.certificates.subjects import Matrix, Weights, weights_of
from relulens.certificates.support import reads
from relulens.certificates.system import Indices, System, Taken, numpy_of, take
from relulens.certificates.verification import Verification, accepted, refused

_EXACT_ROWS = 20_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recession:
    """A direction d, not zero, has ``E d = 0`` and ``I d <= 0``.

    Either the stored direction does so exactly, or an exact one lies next to it: with R
    an approximate right inverse of the rows ``held`` that must stay at zero and
    ``a = |I - held R| < 1``, some d' with ``held d' = 0`` has ``|d - d'| <= |R|
    |held d| / (1 - a)`` in the maximum norm, and all other rows have more slack. Rows
    that do not read the coordinates of d and R at all need none.

    Attributes:
        system: The rows.
        direction: The direction d [ins].
        held: Positions among all rows, equalities first, of independent rows that stay
            at zero; rows proportional to one of them need not be listed. Empty if the
            stored direction is exact.
        evidence: R [ins, held], or a shift below the smallest eigenvalue of
            ``held held^T``; nothing if the direction is exact.
    """

    system: System
    direction: Float[Tensor, " ins"]
    held: Int64[Tensor, " held"]
    evidence: Tensor | Shift | None = None

    def verify(self) -> Verification:
        """Check the proof from the raw weights alone."""
        return self.check(weights_of(self.system.subject))

    def check(self, weights: Weights) -> Verification:
        """Check the proof against weights that were read before."""
        if not self.system.sound(weights):
            return refused("a row does not exist, or a sign is not one")
        d = numpy_of(self.direction)
        if d.shape != (weights.ins,) or not np.isfinite(d).all() or not d.any():
            return refused("the direction is zero, not finite or of the wrong length")
        taken = take(weights, self.system.equal.with_rows(self.system.below))
        columns = self._columns(d)
        if isinstance(columns, str):
            return refused(columns)
        if self.held.numel() == 0:
            return self._check_exactly(weights, taken, d, columns)
        return self._check_nearby(weights, taken, d, columns)

    def _read(
        self, weights: Weights, taken: Taken, d: Array, columns: Indices, open_: Indices
    ) -> Indices:
        """Return those of some rows that the exact direction may change."""
        if open_.size == 0:
            return open_
        rows = self.system.equal.with_rows(self.system.below)
        still = self._still(taken, d, rows.index.numpy())
        met = reads(self.system.subject, weights, rows.at(open_), columns, still)
        return open_[met]

    def _check_exactly(
        self, weights: Weights, taken: Taken, d: Array, columns: Indices
    ) -> Verification:
        equal = self.system.equal.count
        value, error = _applied(taken, d)
        doubtful = value + error > 0
        doubtful[:equal] = True
        places = self._read(weights, taken, d, columns, np.flatnonzero(doubtful))
        if places.size > _EXACT_ROWS:
            return refused(f"{places.size} rows are too many to check one by one")
        if (taken.radius[places] > 0).any():
            return refused("rows that must vanish are known to rounding only")
        for place in places:
            exact = exact_dot(_row(taken.matrix, int(place)), d)
            if exact > 0 or (place < equal and exact != 0):
                return refused(f"row {place} times the direction is {exact:.3g}")
        return accepted("the direction is exact")

    def _still(self, taken: Taken, d: Array, index: Indices) -> Indices:
        """Return the rows of the weights that are exactly zero on the direction."""
        if self.held.numel():
            held = self.held.numpy()
            inside = (held >= 0) & (held < index.size)
            return index[held[inside]]
        if not (taken.radius > 0).any():
            return np.zeros(0, dtype=np.int64)
        value, error = _applied(taken, d)
        places = np.flatnonzero((np.abs(value) <= error) & (taken.radius == 0))
        zero = [p for p in places if exact_dot(_row(taken.matrix, int(p)), d) == 0]
        return index[np.array(zero, dtype=np.int64)]

    def _columns(self, d: Array) -> Indices | str:
        """Return the coordinates that the exact direction may have."""
        used = d != 0
        if self.held.numel() and isinstance(self.evidence, Tensor):
            table = numpy_of(self.evidence)
            if table.shape != (d.size, self.held.numel()):
                return "the right inverse has the wrong shape"
            used = used | (table != 0).any(1)
        elif self.held.numel():
            used = np.ones(d.size, dtype=bool)
        return np.flatnonzero(used)

    def _check_nearby(
        self, weights: Weights, taken: Taken, d: Array, columns: Indices
    ) -> Verification:
        equal = self.system.equal.count
        held = self.held.numpy()
        if held.min() < 0 or held.max() >= taken.matrix.shape[0]:
            return refused("a row held at zero does not exist")
        if isinstance(self.evidence, Tensor):
            moved = _distance(taken, d, held, numpy_of(self.evidence))
        elif self.evidence is not None:
            moved = _shift_distance(taken, d, held, self.evidence)
        else:
            moved = "rows are held at zero without evidence of their rank"
        if isinstance(moved, str):
            return refused(moved)
        if not moved < np.abs(d).max():
            return refused("the exact direction next to this one may be zero")
        value, error = _applied(taken, d)
        sums = np.asarray(abs(taken.matrix) @ np.ones(d.size)) + taken.radius
        slack = -(value + error + sums * (moved * (1 + gamma(d.size))))
        open_ = ~(slack > 0)
        open_[:equal] = True
        open_[held] = False
        loose = self._read(weights, taken, d, columns, np.flatnonzero(open_))
        if loose.size and not _all_proportional(taken, loose, held, columns):
            return refused(f"{loose.size} rows are neither held at zero nor negative")
        return accepted("an exact direction lies next to the stored one")


def _applied(taken: Taken, d: Array) -> tuple[Array, Array]:
    """Return every row times the direction, and a bound on the error."""
    value = np.asarray(taken.matrix @ d)
    error = gamma(d.size) * np.asarray(abs(taken.matrix) @ np.abs(d))
    return value, error + taken.radius * (np.abs(d).max() * (1 + 4 * UNIT))


def _row(matrix: Matrix, place: int) -> Array:
    row = matrix[[place]]
    return (row if isinstance(row, np.ndarray) else row.toarray())[0]


def _distance(taken: Taken, d: Array, held: Indices, inverse: Array) -> float | str:
    """Return how far the exact direction may be, in the maximum norm."""
    if inverse.shape != (d.size, held.size) or not np.isfinite(inverse).all():
        return "the right inverse has the wrong shape or is not finite"
    rows = taken.matrix[held]
    dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
    radius = taken.radius[held]
    largest = np.abs(inverse).max(0, initial=0.0)
    product = np.abs(np.eye(held.size) - dense @ inverse).sum(1)
    rounding = gamma(d.size) * (np.abs(dense) @ np.abs(inverse).sum(1))
    spread = radius * float(np.abs(inverse).sum(1).max(initial=0.0))
    loss = float(((product + rounding + spread) * (1 + gamma(held.size))).max())
    if not loss < 1:
        return f"the norm of I - A R is {loss:.3g}, not below 1"
    value, error = _applied(Taken(dense, radius), d)
    left = np.array([abs(exact_dot(row, d)) for row in dense]) * (1 + 4 * UNIT)
    left = np.where(radius > 0, np.abs(value) + error, left)
    worst = float(left.max()) / (1 - loss)
    return float(largest.sum()) * worst * (1 + gamma(held.size))


def _shift_distance(
    taken: Taken, d: Array, held: Indices, evidence: Shift
) -> float | str:
    """Return the same in the 2-norm, from the smallest singular value of the rows."""
    rows = Taken(taken.matrix[held], taken.radius[held])
    turned = Taken(rows.matrix.T, np.full(d.size, float(rows.radius.sum())))
    reach = reach_of(turned, evidence)
    if isinstance(reach, str):
        return reach
    value, error = _applied(rows, d)
    left = float(np.linalg.norm(np.abs(value) + error)) * (1 + gamma(held.size))
    return left / (reach.floor or 1.0) * (1 + gamma(1))


def _all_proportional(
    taken: Taken, loose: Indices, held: Indices, columns: Indices
) -> bool:
    """Tell whether every loose row is zero or an exact multiple of a held one there."""
    known = {_direction_key(_row(taken.matrix, int(i))[columns]) for i in held}
    for place in loose:
        row = _row(taken.matrix, int(place))[columns]
        if taken.radius[place] > 0:
            return False
        if row.any() and _direction_key(row) not in known:
            return False
    return not bool((taken.radius[held] > 0).any())


def _direction_key(row: Array) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Return what all exact multiples of a row share."""
    places = np.flatnonzero(row)
    if places.size == 0:
        return (), ()
    first = float(row[places[0]]).as_integer_ratio()
    ratios = []
    for number in row[places[1:]]:
        top, bottom = float(number).as_integer_ratio()
        ratios.append(_reduced(top * first[1], bottom * first[0]))
    return tuple(places.tolist()), tuple(ratios)


def _reduced(top: int, bottom: int) -> tuple[int, int]:
    divisor = math.gcd(top, bottom) * (-1 if bottom < 0 else 1)
    return top // divisor, bottom // divisor
