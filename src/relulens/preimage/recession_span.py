"""The directions that never leave a polyhedron: their span, and its lines."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space, qr

from relulens.certificates.rounding import Array
from relulens.preimage.dimension import implied

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecessionSpan:
    """Orthonormal bases of what the recession cone spans and of its lines.

    Attributes:
        span: Basis of the linear span of all recession directions [q, r].
        lines: Basis of the directions that never leave, nor do their negatives [q, l].
    """

    span: Array
    lines: Array


def recession_span(rows: Array) -> RecessionSpan | None:
    """Return what ``rows d <= 0`` spans, or nothing if the search does not end.

    Args:
        rows: Inequalities [p, q] of Euclidean norm one.

    Cost:
        A positive-spanning test for each face of the cone that is met, usually one or
        two.
    """
    q = rows.shape[1]
    if q == 0 or rows.shape[0] == 0:
        return RecessionSpan(span=np.eye(q), lines=np.eye(q))
    zero = implied(rows)
    if zero is None:
        return None
    return RecessionSpan(span=_null(rows[zero], q), lines=_null(rows, q))


def _null(rows: Array, q: int) -> Array:
    if rows.shape[0] == 0:
        return np.eye(q)
    if rows.shape[0] > q:
        rows = qr(rows, mode="r", check_finite=False)[0][:q]
    return null_space(rows, rcond=100 * _EPS * max(rows.shape))
