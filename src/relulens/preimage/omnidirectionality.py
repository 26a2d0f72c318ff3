"""Whether the rows of a matrix meet every open half-space, with a proof."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_array, issparse

from relulens.certificates.rounding import Array
from relulens.certificates.subjects import GivenMatrix, Matrix, weights_of
from relulens.certificates.system import System, rows_of
from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.arrays import tensor_of
from relulens.graph.linear_map import LinearMap
from relulens.graph.tolerances import Tolerances
from relulens.preimage.cone import Certificate, decide


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Omnidirectionality:
    """Whether ``A x <= 0`` has the single solution zero.

    Attributes:
        verdict: ``"omnidirectional"``, ``"not"``, or ``"undecided"``.
        certificate: Multipliers with a rank bound, a direction, or a count of rows.
        margin: Smallest multiplier over the largest, or minus the slack of the
            direction over its length; 0 on a boundary, nothing if rows were counted.
        iterations: Newton steps.
        method: What settled it.
        reason: In words.
        rows: Rows that took part; for a point those that are tight there.
    """

    verdict: Literal["omnidirectional", "not", "undecided"]
    certificate: Certificate | None
    margin: float | None
    iterations: int
    method: str
    reason: str
    rows: torch.Tensor

    def __repr__(self) -> str:
        """Return the verdict on one line."""
        return f"Omnidirectionality({self.verdict!r}, {self.reason}, {self.method})"


def omnidirectionality(
    A: object,
    /,
    *,
    point: object = None,
    bias: object = None,
    tol: Tolerances | None = None,
) -> Omnidirectionality:
    """Return whether the rows of a matrix meet every open half-space.

    Equivalent: ``A x <= 0`` only for x = 0; zero is inside the convex hull of the rows;
    the rows span positively; A has full rank and ``A^T m = 0`` for some m > 0.

    Args:
        A: The matrix [m, n], an array, a scipy sparse matrix or a ``LinearMap``; zero
            rows are ignored.
        point: A solution p [n] of ``A x + bias <= 0``. Then the question is whether it
            is the only one: whether the rows tight at p are omnidirectional.
        bias: The constant parts [m], with ``point``.
        tol: ``tol.sign`` says which rows are tight at the point.

    Returns:
        The verdict with a certificate that ``certificate.verify()`` checks.

    Raises:
        InvalidArgumentError: A is not a matrix of numbers, has no column, or only one
            of ``point`` and ``bias`` is given, or the point is not a solution.
        NotFiniteError: A number is NaN or infinite.
        MemoryLimitError: A ``LinearMap`` is too large to be written out.

    Example:
        >>> omnidirectionality([[1.0], [-2.0]]).verdict
        'omnidirectional'
    """
    matrix = _matrix(A)
    size = _norms(matrix)
    kept = np.flatnonzero(size > 0)
    if (point is None) != (bias is None):
        raise InvalidArgumentError(
            "cannot test omnidirectionality for a point: 1 of point and bias is given,"
            " and 2 are needed. Pass both, or neither."
        )
    if point is not None:
        kept = _tight(matrix, size, point, bias, tol or Tolerances())
    held = torch.from_numpy(matrix) if isinstance(matrix, np.ndarray) else matrix
    subject = GivenMatrix(matrix=held)
    none = rows_of(np.zeros(0, dtype=np.int64))
    system = System(subject=subject, equal=none, below=rows_of(kept))
    cone = decide(system, weights_of(subject))
    verdicts: dict[str, Literal["omnidirectional", "not", "undecided"]] = {
        "none": "omnidirectional",
        "some": "not",
        "undecided": "undecided",
    }
    sign = -1.0 if cone.left == "some" else 1.0
    return Omnidirectionality(
        verdict=verdicts[cone.left],
        certificate=cone.certificate,
        margin=None if cone.margin is None else sign * cone.margin,
        iterations=cone.iterations,
        method=cone.method,
        reason=cone.reason,
        rows=torch.from_numpy(kept),
    )


def _norms(matrix: Matrix) -> Array:
    return np.asarray(abs(matrix).sum(1)).reshape(-1)


def _matrix(A: object) -> Matrix:
    matrix: Matrix
    if issparse(A):
        matrix = csr_array(A, dtype=np.float64)
        entries = matrix.data
    else:
        given = A.to_dense() if isinstance(A, LinearMap) else A
        held = tensor_of(given, subject="the matrix").cpu().to(torch.float64)
        matrix = np.array(held.numpy(), dtype=np.float64, order="C")
        entries = matrix
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InvalidArgumentError(
            f"cannot test omnidirectionality: the shape is {list(matrix.shape)}, and a"
            " matrix [m, n] with n of at least 1 is needed. Reshape it."
        )
    if not np.isfinite(entries).all():
        bad = int((~np.isfinite(entries)).sum())
        raise NotFiniteError(
            f"cannot test omnidirectionality: {bad} of {entries.size} entries are NaN"
            " or infinite. Remove those rows."
        )
    return matrix


def _tight(
    matrix: Matrix, size: Array, point: object, bias: object, tol: Tolerances
) -> np.ndarray:
    at, shift = (
        tensor_of(given, subject=name).cpu().to(torch.float64).numpy()
        for name, given in (("point", point), ("bias", bias))
    )
    if at.shape != (matrix.shape[1],) or shift.shape != (matrix.shape[0],):
        raise InvalidArgumentError(
            f"cannot test omnidirectionality for a point: point {list(at.shape)} and"
            f" bias {list(shift.shape)} do not fit a matrix {list(matrix.shape)}."
            " Pass one number a column, and one a row."
        )
    bad = int((~np.isfinite(at)).sum() + (~np.isfinite(shift)).sum())
    if bad:
        raise NotFiniteError(
            f"cannot test omnidirectionality for a point: {bad} of {at.size} entries of"
            f" point and {shift.size} of bias are NaN or infinite. Pass finite ones."
        )
    value = np.asarray(matrix @ at) + shift
    reach = np.asarray(abs(matrix) @ np.abs(at)) + np.abs(shift)
    worst = int((value > tol.sign * reach).sum())
    if worst:
        raise InvalidArgumentError(
            f"cannot test omnidirectionality for a point: {worst} of {value.size} rows"
            " are positive there, and it must solve A x + bias <= 0. Move the point."
        )
    return np.flatnonzero((np.abs(value) <= tol.sign * reach) & (size > 0))
