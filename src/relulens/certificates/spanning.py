"""No direction is left: multipliers show it, a rank bound absorbs their residual."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.rank import RankEvidence, Reach, reach_of
from relulens.certificates.rounding import Array, exact_dot, gamma
from relulens.certificates.subjects import Weights, weights_of
from relulens.certificates.system import System, Taken, numpy_of, take
from relulens.certificates.verification import Verification, accepted, refused

_EXACT_ENTRIES = 4_000_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PositiveSpanning:
    r"""Only d = 0 satisfies ``E d = 0`` and ``I d <= 0``.

    With multipliers :math:`\mu` on E and :math:`\lambda > 0` on I and the residual
    :math:`r = E^T\mu + I^T\lambda`, such a d has
    :math:`\sum_i \lambda_i |I_i d| = -r^T d \le |r|_1 |d|_\infty`, while full rank of
    all rows gives :math:`|d|_\infty \le c \sum_i |I_i d|`: with a small residual d = 0
    (Stiemke's lemma, made robust).

    Attributes:
        system: The rows; of the inequalities, those used.
        multipliers: One a row: equalities first (any sign), then inequalities (> 0).
        evidence: What proves that all these rows together have full column rank.
    """

    system: System
    multipliers: Float[Tensor, " rows"]
    evidence: RankEvidence

    def verify(self) -> Verification:
        """Check the proof from the raw weights alone."""
        return self.check(weights_of(self.system.subject))

    def check(self, weights: Weights) -> Verification:
        """Check the proof against weights that were read before."""
        if not self.system.sound(weights):
            return refused("a row does not exist, or a sign is not one")
        rows = self.system.equal.with_rows(self.system.below)
        values = numpy_of(self.multipliers)
        equal = self.system.equal.count
        if values.shape != (rows.count,):
            return refused(f"{values.size} multipliers for {rows.count} rows")
        if not (np.isfinite(values).all() and (values[equal:] > 0).all()):
            return refused("a multiplier of an inequality is not positive")
        taken = take(weights, rows)
        reach = reach_of(taken, self.evidence)
        if isinstance(reach, str):
            return refused(reach)
        gain = _gain(reach, values, equal)
        rough = float(np.sum(_residual(taken, values))) * (1 + gamma(values.size))
        if rough * gain < 1:
            return accepted("the rows span positively", 1 - rough * gain)
        if taken.matrix.shape[0] * taken.matrix.shape[1] > _EXACT_ENTRIES:
            return refused("the residual is not absorbed", 1 - rough * gain)
        fine = float(np.sum(_exact_residual(taken, values))) * (1 + gamma(values.size))
        if fine * gain < 1:
            return accepted("the rows span positively", 1 - fine * gain)
        return refused("the residual is not absorbed", 1 - fine * gain)


def _residual(taken: Taken, values: Array) -> Array:
    """Return a bound on every entry of the residual, rounding included."""
    size = np.abs(values)
    rounding = gamma(values.size) * np.asarray(abs(taken.matrix.T) @ size)
    spread = float(size @ taken.radius) / max(taken.matrix.shape[1], 1)
    return np.abs(np.asarray(taken.matrix.T @ values)) + rounding + spread


def _exact_residual(taken: Taken, values: Array) -> Array:
    """Return the same with sums that are rounded once."""
    dense = taken.matrix
    columns = (dense if isinstance(dense, np.ndarray) else dense.toarray()).T
    spread = float(np.abs(values) @ taken.radius) / max(columns.shape[0], 1)
    sums = np.array([exact_dot(np.ascontiguousarray(c), values) for c in columns])
    return np.abs(sums) * (1 + gamma(1)) + spread


def _gain(reach: Reach, values: Array, equal: int) -> float:
    """Return the largest ``|d|`` in the maximum norm that a residual of one allows."""
    below = values[equal:]
    if reach.weight is not None:
        used = reach.positions >= equal
        ratio = reach.weight[used] / values[reach.positions[used]]
        return float(ratio.max(initial=0.0)) * (1 + gamma(1))
    if reach.floor is None:
        return float("inf")
    if below.size == 0:
        return 0.0
    return float(1 / (reach.floor * below.min())) * (1 + gamma(2))
