"""Proofs that a model with elementwise monotone phi has exactly one equilibrium.

They are about every phi with slopes between 0 and h, and ``M = I - A diag(h)``.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.entries import entries_of
from relulens.certificates.principal_minors import LARGEST, minor_signs
from relulens.certificates.rounding import UNIT, Array, gamma
from relulens.certificates.verification import Verification, accepted, refused
from relulens.graph.linear_map import LinearMap


def loop_matrix(A: LinearMap, steepest: Tensor) -> tuple[Array, Array]:
    """Return ``A diag(h)`` and how far each entry may be off."""
    matrix, radius = entries_of(A)
    slopes = steepest.detach().cpu().double().numpy()
    scaled = matrix * slopes
    exact = bool(np.isin(slopes, (0.0, 0.25, 0.5, 1.0, 2.0)).all())
    rounding = 0.0 if exact else UNIT * np.abs(scaled)
    return scaled, radius * slopes * (1 + UNIT) + rounding


def _fitting(A: LinearMap, steepest: Tensor) -> str | None:
    """Return why A and the slopes do not go together, or nothing."""
    if A.in_size != A.out_size or tuple(steepest.shape) != (A.in_size,):
        return "A is not square, or there is not one slope an entry"
    if not bool(((steepest >= 0) & steepest.isfinite()).all()):
        return "a slope is negative or infinite"
    return None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MetzlerBound:
    """A vector v > 0 with ``K v <= factor v`` and ``factor < 1``.

    K is ``A diag(h)`` with its diagonal as it is and absolute values elsewhere.

    Attributes:
        A: The matrix [n, n].
        steepest: Largest slope h of every entry of phi; the least is 0 or more.
        vector: The vector v [n].
        factor: The factor; it may be negative.
    """

    A: LinearMap
    steepest: Float[Tensor, " n"]
    vector: Float[Tensor, " n"]
    factor: float

    def verify(self) -> Verification:
        """Check the inequality from the raw weights alone, rounding included."""
        wrong = _fitting(self.A, self.steepest)
        v = self.vector.detach().cpu().double().numpy()
        if wrong is not None or v.shape != (self.A.in_size,):
            return refused(wrong or "the vector has another size than A")
        if not (np.isfinite(v).all() and (v > 0).all()):
            return refused("the vector is not positive")
        reached = metzler_factor(*loop_matrix(self.A, self.steepest), v)
        if not reached <= self.factor:
            return refused(f"the factor is {reached:.17g}, above {self.factor:.17g}")
        if not self.factor < 1:
            return refused(f"the factor {self.factor:.6g} is not below 1")
        margin = 1 - self.factor
        return accepted("I - A is an H-matrix with a positive diagonal", margin)


def metzler_factor(matrix: Array, radius: Array, v: Array) -> float:
    """Return the largest of ``(K v)_i / v_i``, rounded upwards."""
    size = np.abs(matrix) + radius
    diagonal = np.diagonal(matrix) + np.diagonal(radius)
    np.fill_diagonal(size, 0.0)
    around = (size @ v) * (1 + 2 * gamma(v.size)) / v
    total = diagonal + around
    slack = 8 * UNIT * (np.abs(diagonal) + around)
    return float(np.max(total + slack, initial=-np.inf))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DiagonalLyapunov:
    """A diagonal Λ > 0 with ``Λ M + M^T Λ`` positive definite.

    Attributes:
        A: The matrix [n, n].
        steepest: Largest slope h of every entry of phi; the least is 0 or more.
        scales: The diagonal of Λ [n].
    """

    A: LinearMap
    steepest: Float[Tensor, " n"]
    scales: Float[Tensor, " n"]

    def verify(self) -> Verification:
        """Check by a Cholesky factor that survives rounding."""
        wrong = _fitting(self.A, self.steepest)
        scales = self.scales.detach().cpu().double().numpy()
        if wrong is not None or scales.shape != (self.A.in_size,):
            return refused(wrong or "the diagonal has another size than A")
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            return refused("the diagonal is not positive")
        matrix, radius = loop_matrix(self.A, self.steepest)
        half = scales[:, None] * (np.eye(scales.size) - matrix)
        size = scales[:, None] * (np.eye(scales.size) + np.abs(matrix))
        off = 4 * UNIT * size + scales[:, None] * radius
        error = float((off + off.T).sum(1).max(initial=0.0)) * (1 + gamma(scales.size))
        whole = half + half.T
        trace = float(np.abs(np.diagonal(whole)).sum())
        lost = error + 2 * gamma(scales.size + 2) * trace
        shift = 2 * lost
        whole[np.diag_indices(scales.size)] -= shift
        try:
            np.linalg.cholesky(whole)
        except np.linalg.LinAlgError:
            return refused(f"the matrix less {shift:.3g} has no Cholesky factor")
        return accepted("the model is strongly monotone in a scaled metric", shift)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PMatrix:
    """All principal minors of M are positive.

    For ReLU this holds if and only if ``x = phi(A x + b)`` has exactly one solution for
    every b.

    Attributes:
        A: The matrix [n, n], of at most 15 rows.
        steepest: Largest slope h of every entry of phi; the least is 0 or more.
    """

    A: LinearMap
    steepest: Float[Tensor, " n"]

    def verify(self) -> Verification:
        """Count all principal minors again."""
        wrong = _fitting(self.A, self.steepest)
        if wrong is not None:
            return refused(wrong)
        if self.A.in_size > LARGEST:
            return refused(f"A has {self.A.in_size} rows, more than {LARGEST}")
        matrix, radius = loop_matrix(self.A, self.steepest)
        sign, rows = minor_signs(np.eye(self.A.in_size) - matrix, radius)
        if sign != "positive":
            return refused(f"the principal minor of rows {list(rows)} is {sign}")
        return accepted("all principal minors of I - A are positive")
