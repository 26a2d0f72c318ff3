"""Inequalities on the subspace that equalities leave."""

from dataclasses import dataclass

import numpy as np

from relulens.certificates.rounding import Array
from relulens.certificates.subjects import Matrix
from relulens.certificates.system import Indices
from relulens.graph.linear_map import check_bytes
from relulens.preimage.kernel import norms

PROJECTED_BYTES = 1 << 30
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """Rows on a subspace.

    Attributes:
        used: Positions of the rows that are not constant there.
        rows: These rows in a basis of the subspace, divided by their norm there.
        size: That norm.
    """

    used: Indices
    rows: Array
    size: Array


def projected(below: Matrix, basis: Array) -> Projected:
    """Return which rows are not constant on a subspace, and these rows there.

    A row is constant if its norm there is below rounding of its own norm, never of
    another row's.
    """
    p, q = below.shape[0], basis.shape[1]
    check_bytes(
        f"the inequalities [{p}, {q}] where the equalities hold",
        8 * p * q,
        PROJECTED_BYTES,
        "Ask about an earlier or smaller layer.",
    )
    whole = basis.shape[0] == q and bool((basis == np.eye(q)).all())
    rows = _dense_copy(below) if whole else np.ascontiguousarray(below @ basis)
    size, full = norms(rows), norms(below)
    used = np.flatnonzero(size > 100 * _EPS * np.sqrt(basis.shape[0]) * full)
    kept = rows if used.size == p else rows[used]
    kept /= size[used, None]
    return Projected(used, kept, size[used])


def _dense_copy(rows: Matrix) -> Array:
    return rows.copy() if isinstance(rows, np.ndarray) else rows.toarray()
