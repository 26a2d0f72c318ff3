"""The equivalent statements of omnidirectionality, each decided on its own."""

from dataclasses import dataclass

import numpy as np
import torch

from relulens.certificates.rounding import Array
from relulens.errors import InvalidArgumentError
from relulens.numerics.interior_point import maximise
from relulens.numerics.least_squares import nonnegative_least_squares
from relulens.preimage.kernel import norms

_ZERO = 1e-9
_SHARE = 1e-3
"""Part of the weight of a convex combination that every row gets in equal shares."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Statements:
    """Five statements about a matrix that are all true or all false.

    They are decided in floating point with no certificate, by different means, to teach
    and to test; ``omnidirectionality`` gives the proof.

    Attributes:
        kernel: ``A x <= 0`` only for x = 0.
        half_space: Every open half-space through zero contains a row.
        hull: Zero is in the interior of the convex hull of the rows.
        span: Every vector is a nonnegative combination of rows.
        stiemke: A has full column rank and ``A^T m = 0`` for some m > 0.
    """

    kernel: bool
    half_space: bool
    hull: bool
    span: bool
    stiemke: bool


def statements(A: object, /) -> Statements:
    """Return whether each of the equivalent statements holds for a matrix.

    Args:
        A: The matrix [m, n], with n of at least 1.

    Raises:
        InvalidArgumentError: A is not a matrix with a column.

    Cost:
        2 n + 2 nonnegative least-squares problems and n linear programs; for small
        matrices.

    Example:
        >>> statements([[1.0], [-1.0]]).hull
        True
    """
    rows = torch.as_tensor(A).detach().cpu().to(torch.float64).numpy()
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise InvalidArgumentError(
            f"cannot decide statements about an array of shape {list(rows.shape)}: a"
            " matrix [m, n] with n of at least 1 is needed. Reshape it."
        )
    size = norms(rows)
    unit = rows[size > 0] / size[size > 0, None]
    n = unit.shape[1]
    full = unit.shape[0] > 0 and int(np.linalg.matrix_rank(unit)) == n
    return Statements(
        kernel=full and _only_zero(unit),
        half_space=full and _meets_half_spaces(unit),
        hull=full and _inside_hull(unit),
        span=_spans(unit),
        stiemke=full and _cancels(unit),
    )


def _distance(columns: Array, target: Array) -> float:
    """Return how far a vector is from the cone of some columns."""
    if columns.shape[1] == 0:
        return float(np.linalg.norm(target))
    return nonnegative_least_squares(np.ascontiguousarray(columns), target)[1]


def _only_zero(unit: Array) -> bool:
    """Full rank, and the sum of ``-a x`` cannot be positive with ``A x <= 0``."""
    return _distance(unit.T, -unit.sum(0)) <= _ZERO * unit.shape[0]


def _meets_half_spaces(unit: Array) -> bool:
    """No direction in a box, shrunk by each coordinate in turn, misses every row."""
    n = unit.shape[1]
    box = np.concatenate([np.eye(n), -np.eye(n)])
    rows = np.concatenate([unit, box])
    slack = 1e-7
    right = np.concatenate([np.full(unit.shape[0], slack), np.ones(2 * n)])
    return all(maximise(cost, rows, right).value <= 0.5 for cost in box)


def _inside_hull(unit: Array) -> bool:
    """Zero is a combination of all rows with weights that are all positive."""
    table = np.concatenate([unit.T, np.ones((1, unit.shape[0]))])
    centre = table.sum(1) * _SHARE / unit.shape[0]
    target = np.zeros(unit.shape[1] + 1)
    target[-1] = 1.0
    return _distance(table, target - centre) <= _ZERO


def _spans(unit: Array) -> bool:
    """Plus and minus every unit vector are nonnegative combinations."""
    n = unit.shape[1]
    corners = np.concatenate([np.eye(n), -np.eye(n)])
    return all(_distance(unit.T, corner) <= _ZERO for corner in corners)


def _cancels(unit: Array) -> bool:
    """Multipliers of at least one cancel the rows."""
    extra, distance = nonnegative_least_squares(
        np.ascontiguousarray(unit.T), -unit.sum(0)
    )
    return distance <= _ZERO * float(np.linalg.norm(extra + 1))
