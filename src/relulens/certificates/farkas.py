"""No point at all: multipliers that turn the conditions into 0 <= -1."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.rank import RankEvidence, reach_of
from relulens.certificates.rounding import Array, exact_dot, gamma
from relulens.certificates.subjects import Weights, weights_of
from relulens.certificates.system import Rows, System, Taken, numpy_of, take
from relulens.certificates.verification import Verification, accepted, refused


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Farkas:
    r"""No x has ``E x + e = u`` and ``I x + i <= v``.

    Multipliers :math:`\mu` on E and :math:`\lambda \ge 0` on I with
    :math:`E^T\mu + I^T\lambda = 0` and :math:`\mu^T(u - e) + \lambda^T(v - i) < 0`
    show it. A residual is allowed where it is exactly zero, where the coordinates are
    bounded by rows of the system, or where rank evidence lets the multipliers move.

    Attributes:
        system: The rows.
        values: The right-hand sides u, then v; the weights' offsets are added to rows.
        multipliers: One a row.
        evidence: What proves full column rank of all rows, or nothing.
    """

    system: System
    values: Float[Tensor, " rows"]
    multipliers: Float[Tensor, " rows"]
    evidence: RankEvidence | None = None

    def verify(self) -> Verification:
        """Check the proof from the raw weights alone."""
        return self.check(weights_of(self.system.subject))

    def check(self, weights: Weights) -> Verification:
        """Check the proof against weights that were read before."""
        if not self.system.sound(weights):
            return refused("a row does not exist, or a sign is not one")
        rows = self.system.equal.with_rows(self.system.below)
        equal = self.system.equal.count
        factors, values = numpy_of(self.multipliers), numpy_of(self.values)
        if factors.shape != (rows.count,) or values.shape != (rows.count,):
            return refused(f"{factors.size} multipliers for {rows.count} rows")
        if not (np.isfinite(factors).all() and np.isfinite(values).all()):
            return refused("a number is not finite")
        if not (factors[equal:] >= 0).all():
            return refused("a multiplier of an inequality is negative")
        taken = take(weights, rows)
        total, doubt = _value(weights, rows, factors, values)
        residual, exact = _residual(taken, factors)
        if exact:
            return _judged(total, doubt)
        bound = _box_loss(weights, rows, equal, values, residual)
        if bound is not None:
            return _judged(total, doubt + bound)
        offset, radius = _offsets(weights, rows)
        sides = np.abs(values) + np.abs(offset) + radius
        return self._moved(taken, total, doubt, residual, sides)

    def _moved(
        self, taken: Taken, total: float, doubt: float, residual: Array, sides: Array
    ) -> Verification:
        if self.evidence is None:
            return refused("the residual is not zero, and nothing absorbs it")
        reach = reach_of(taken, self.evidence)
        if isinstance(reach, str):
            return refused(reach)
        if reach.weight is None:
            return refused("the residual needs an inverse to be absorbed")
        norm = float(residual.sum()) * (1 + gamma(residual.size))
        moves = reach.weight * norm
        below = reach.positions >= self.system.equal.count
        factors = numpy_of(self.multipliers)[reach.positions]
        if (factors[below] < moves[below]).any():
            return refused("the residual would make a multiplier negative")
        moved = float(moves @ sides[reach.positions]) * (1 + gamma(moves.size))
        return _judged(total, doubt + moved)


def _offsets(weights: Weights, rows: Rows) -> tuple[Array, Array]:
    index, sign = rows.index.numpy(), numpy_of(rows.sign)
    plain = index < weights.outs
    offset, radius = np.zeros(index.size), np.zeros(index.size)
    offset[plain] = weights.offset[index[plain]] * sign[plain]
    radius[plain] = weights.offset_radius[index[plain]]
    return offset, radius


def _value(
    weights: Weights, rows: Rows, factors: Array, values: Array
) -> tuple[float, float]:
    """Return the value of the contradiction, and how much rounding may hide."""
    offset, radius = _offsets(weights, rows)
    both = np.concatenate([factors, -factors])
    total = exact_dot(both, np.concatenate([values, offset]))
    return total, float(np.abs(factors) @ radius) * (1 + gamma(factors.size))


def _residual(taken: Taken, factors: Array) -> tuple[Array, bool]:
    """Return bounds on the residual's entries, and whether all are exactly zero."""
    used = np.flatnonzero(factors)
    rows = taken.matrix[used]
    dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
    sums = [exact_dot(np.ascontiguousarray(c), factors[used]) for c in dense.T]
    residual = np.abs(np.array(sums)) * (1 + gamma(1))
    spread = float(np.abs(factors[used]) @ taken.radius[used])
    return residual + spread, bool((residual == 0).all()) and spread == 0


def _box_loss(
    weights: Weights, rows: Rows, equal: int, values: Array, residual: Array
) -> float | None:
    """Return the most that the residual adds where rows bound its coordinates."""
    index, sign = rows.index.numpy()[equal:], numpy_of(rows.sign)[equal:]
    unit = (index >= weights.outs) & (index < weights.outs + weights.ins)
    largest = np.full((2, weights.ins), np.inf)
    place = index[unit] - weights.outs
    side = (sign[unit] > 0).astype(np.int64)
    np.minimum.at(largest, (side, place), values[equal:][unit])
    reach = np.maximum(np.abs(largest[0]), np.abs(largest[1]))
    met = residual > 0
    if not np.isfinite(reach[met]).all():
        return None
    return float(residual[met] @ reach[met]) * (1 + gamma(residual.size))


def _judged(total: float, doubt: float) -> Verification:
    if total + doubt * (1 + gamma(2)) < 0:
        return accepted("the conditions contradict each other", -(total + doubt))
    return refused(f"the contradiction {total:.3g} is within {doubt:.3g} of zero")
