"""Full column rank, proved by an approximate inverse or a Cholesky factor."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from relulens.certificates.rounding import UNIT, Array, gamma
from relulens.certificates.subjects import Matrix, Weights, weights_of
from relulens.certificates.system import Indices, System, Taken, numpy_of, take
from relulens.certificates.verification import Verification, accepted, refused
from relulens.graph.linear_map import BYTE_LIMIT, check_bytes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Inverse:
    """An approximate inverse of as many rows as there are columns.

    Attributes:
        rows: Positions of n of the rows.
        inverse: Approximate inverse R [n, n] of these rows, float32 or float64.
    """

    rows: Int64[Tensor, " n"]
    inverse: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shift:
    """A number below the smallest eigenvalue of ``A^T A``.

    Attributes:
        shift: ``A^T A - shift`` has a Cholesky factor even after rounding.
    """

    shift: float


RankEvidence: TypeAlias = Inverse | Shift


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far a direction can go if all rows applied to it are small.

    Attributes:
        positions: Rows that ``weight`` is about.
        weight: For every row the largest of ``|R_ji| / (1 - a)`` over j, so that the
            largest entry of d is at most ``sum_i weight_i |row_i d|``; or nothing.
        floor: A lower bound on the smallest singular value; or nothing.
        loss: Norm of ``I - R A``, or the share of the shift that rounding takes.
    """

    positions: Indices
    weight: Array | None
    floor: float | None
    loss: float


def _row_sums(matrix: Matrix, vector: Array) -> Array:
    return np.asarray(abs(matrix) @ vector)


def _inverse_reach(taken: Taken, evidence: Inverse) -> Reach | str:
    n = taken.matrix.shape[1]
    rows, inverse = evidence.rows.numpy(), numpy_of(evidence.inverse)
    if rows.shape != (n,) or inverse.shape != (n, n):
        return f"the inverse is {list(inverse.shape)} for {rows.size} rows of {n}"
    if rows.size and (rows.min() < 0 or rows.max() >= taken.matrix.shape[0]):
        return "the inverse names rows that do not exist"
    if not np.isfinite(inverse).all():
        return "the inverse is not finite"
    picked = taken.matrix[rows]
    square = picked if isinstance(picked, np.ndarray) else picked.toarray()
    size = np.abs(inverse)
    reach = size @ (np.abs(square).sum(1) * gamma(n) + taken.radius[rows])
    gap = np.abs(np.eye(n) - inverse @ square).sum(1)
    loss = float(np.max((gap + reach) * (1 + gamma(n)), initial=0.0))
    if not loss < 1:
        return f"the norm of I - R A is {loss:.3g}, not below 1"
    weight = size.max(0, initial=0.0) / (1 - loss) * (1 + 4 * UNIT)
    return Reach(rows, weight, None, loss)


def _shift_reach(taken: Taken, evidence: Shift) -> Reach | str:
    m, n = taken.matrix.shape
    if not np.isfinite(evidence.shift) or evidence.shift <= 0:
        return f"the shift is {evidence.shift:g}, not positive"
    check_bytes(f"A^T A [{n}, {n}]", 16 * n * n, BYTE_LIMIT, "Verify a smaller layer.")
    product = taken.matrix.T @ taken.matrix
    gram = product if isinstance(product, np.ndarray) else product.toarray()
    sums = _row_sums(taken.matrix, np.ones(n))
    columns = _row_sums(taken.matrix.T, sums)
    error = gamma(m) * float(columns.max(initial=0.0))
    wide = sums + taken.radius
    spread = 2 * float(_row_sums(taken.matrix.T, taken.radius).max(initial=0.0))
    spread += float(taken.radius @ wide) + float(taken.radius @ sums)
    trace = float(np.trace(gram))
    lost = 2 * gamma(n) * trace + 2 * (error + spread) + 4 * UNIT * evidence.shift
    if not lost < evidence.shift:
        return f"rounding may take {lost:.3g} of the shift {evidence.shift:.3g}"
    gram[np.diag_indices(n)] -= evidence.shift
    try:
        np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return f"A^T A - {evidence.shift:.3g} has no Cholesky factor"
    floor = float(np.sqrt(evidence.shift - lost)) * (1 - 4 * UNIT)
    return Reach(np.arange(m), None, floor, lost / evidence.shift)


def reach_of(taken: Taken, evidence: RankEvidence) -> Reach | str:
    """Return what rank evidence proves about some rows, or why it proves nothing."""
    match evidence:
        case Inverse():
            return _inverse_reach(taken, evidence)
        case Shift():
            return _shift_reach(taken, evidence)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FullRank:
    """The equalities alone leave no direction: their rows have full column rank.

    With R an approximate inverse of n rows A and ``|I - R A| < 1`` in the maximum norm,
    ``A d = 0`` implies d = 0.

    Attributes:
        system: The equalities; inequalities are not used.
        evidence: What proves the rank.
    """

    system: System
    evidence: RankEvidence

    def verify(self) -> Verification:
        """Check the proof from the raw weights alone."""
        return self.check(weights_of(self.system.subject))

    def check(self, weights: Weights) -> Verification:
        """Check the proof against weights that were read before."""
        if not self.system.sound(weights):
            return refused("a row does not exist, or a sign is not one")
        reach = reach_of(take(weights, self.system.equal), self.evidence)
        if isinstance(reach, str):
            return refused(reach)
        return accepted("the equalities have full column rank", 1 - reach.loss)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowCount:
    """There are too few rows to leave no direction.

    E equalities and I inequalities on n coordinates leave a direction d, not zero, if
    E < n and E + I <= n: a hyperplane's worth of freedom and no more rows than that.

    Attributes:
        system: The rows.
        equalities: How many rows are held with equality.
        inequalities: How many are nonpositive.
        columns: Number of coordinates.
    """

    system: System
    equalities: int
    inequalities: int
    columns: int

    def verify(self) -> Verification:
        """Check the proof from the raw weights alone."""
        return self.check(weights_of(self.system.subject))

    def check(self, weights: Weights) -> Verification:
        """Check the proof against weights that were read before."""
        if not self.system.sound(weights):
            return refused("a row does not exist, or a sign is not one")
        counted = (self.system.equal.count, self.system.below.count, weights.ins)
        stated = (self.equalities, self.inequalities, self.columns)
        if counted != stated:
            return refused(f"the system has {counted} rows and columns, not {stated}")
        equalities, inequalities, n = counted
        if equalities < n and equalities + inequalities <= n:
            free = f"{equalities} + {inequalities} rows on {n} coordinates"
            return accepted(f"{free} leave a direction")
        return refused(f"{equalities} + {inequalities} rows are too many for {n}")
