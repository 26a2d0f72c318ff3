"""The dimension of a polyhedron at a point: which inequalities are equalities."""

import numpy as np
from scipy.linalg import qr

from relulens.certificates.rounding import Array
from relulens.certificates.system import Indices
from relulens.preimage.positive_span import candidates

_EPS = float(np.finfo(np.float64).eps)


def _span(G: Array) -> tuple[int, Array]:
    """Return the rank of unit rows, and a basis [q, rank] of their span."""
    basis, triangle, _ = qr(G.T, mode="economic", pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(triangle))
    rank = int((pivots > 100 * _EPS * max(G.shape) * pivots[0]).sum())
    return rank, basis[:, :rank]


def implied(G: Array) -> Indices | None:
    r"""Return the rows that are zero wherever ``G z <= 0``.

    These are the largest support of :math:`\lambda \ge 0` with :math:`G^T\lambda = 0`
    (Goldman and Tucker). A direction with ``G z <= 0`` excludes the rows that it makes
    negative; multipliers that are all positive end the search.

    Args:
        G: Rows [t, q] of Euclidean norm one, those that are tight.

    Returns:
        Their positions, to rounding; nothing if the search does not end.
    """
    places = np.arange(G.shape[0])
    while places.size:
        _, basis = _span(G[places])
        kept = _still_zero(np.ascontiguousarray(G[places] @ basis))
        if kept is None:
            return None
        if kept.all():
            return places
        places = places[kept]
    return places


def implied_rank(G: Array) -> int | None:
    """Return the rank of the rows that are zero wherever ``G z <= 0``."""
    places = implied(G)
    if places is None or places.size == 0:
        return None if places is None else 0
    return _span(G[places])[0]


def _whole_rank(G: Array) -> bool:
    """Tell whether some of the rows span all that all rows span, one per column."""
    return G.shape[0] > G.shape[1] and _span(G)[0] == G.shape[1]


def _still_zero(G: Array) -> np.ndarray | None:
    """Return which rows some direction does not exclude; all if the rows span."""
    for _, found in candidates(G):
        if found.kind == "spanning":
            used = found.vector[found.vector > 0]
            if used.min() > 1e-9 * used.max() and _whole_rank(G[found.vector > 0]):
                return np.ones(G.shape[0], dtype=bool)
            continue
        value = G @ (found.vector / np.linalg.norm(found.vector))
        if value.max() <= 1e-9 and value.min() < -1e-7:
            return value > -1e-7
    return None
