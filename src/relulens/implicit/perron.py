"""The largest eigenvalue of a nonnegative matrix, between two bounds, and a vector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.linalg import solve as dense_solve
from scipy.sparse import csc_array, csr_array, eye_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Perron:
    """Bounds on the largest eigenvalue of a nonnegative matrix, up to rounding.

    Attributes:
        low: Lower bound, by Collatz and Wielandt on one strongly connected component.
        high: Upper bound, the largest over the components.
        vector: A nonnegative vector with ``P v >= low v``, zero off that component.
    """

    low: float
    high: float
    vector: Array


def perron(matrix: Array | csr_array, *, turns: int = 300) -> Perron:
    """Return a bracket of the largest eigenvalue, component by component.

    The eigenvalues of a nonnegative matrix are those of its strongly connected
    components, and on each of them power iteration of ``P + shift`` converges.

    Args:
        matrix: The matrix P [n, n], nonnegative.
        turns: Most multiplications a component.
    """
    sparse = csr_array(matrix)
    n = sparse.shape[0]
    count, label = connected_components(sparse, directed=True, connection="strong")
    best = Perron(low=0.0, high=0.0, vector=np.zeros(n))
    loops = sparse.diagonal() > 0
    sizes = np.bincount(label, minlength=count)
    busy = np.unique(label[loops | (sizes[label] > 1)])
    for component in busy:
        inside = np.flatnonzero(label == component)
        whole = inside.size == n
        part = matrix if whole else sparse[inside][:, inside]
        low, high, vector = _power(part, turns)
        if low > best.low or not best.vector.any():
            full = np.zeros(n)
            full[inside] = vector
            best = Perron(low=low, high=max(high, best.high), vector=full)
        else:
            best = Perron(low=best.low, high=max(high, best.high), vector=best.vector)
    return best


def _power(matrix: Array | csr_array, turns: int) -> tuple[float, float, Array]:
    """Return both bounds and the vector for an irreducible matrix."""
    sums = np.asarray(matrix.sum(1)).reshape(-1)
    low, high = float(sums.min()), float(sums.max())
    # A shift makes the matrix primitive, so that the powers settle on one vector.
    shift = 0.25 * high
    v = np.ones(sums.size)
    for _ in range(turns):
        moved = matrix @ v
        ratios = moved / v
        low, high = max(low, float(ratios.min())), min(high, float(ratios.max()))
        if high - low <= 1e-9 * high:
            break
        v = moved + shift * v
        v = np.maximum(v / v.max(), 1e-300)
    return low, high, v


def weights(matrix: Array | csr_array, factor: float) -> Array | None:
    """Return v = (factor I - P)^-1 1, positive if the factor exceeds the eigenvalue.

    Then ``P v = factor v - 1 < factor v``. Nothing is returned where v is not positive
    and finite, so that the factor was too small.
    """
    n = matrix.shape[0]
    ones = np.ones(n)
    try:
        if isinstance(matrix, np.ndarray):
            v = dense_solve(factor * np.eye(n) - matrix, ones)
        else:
            v = splu(csc_array(factor * eye_array(n) - matrix)).solve(ones)
    except (LinAlgError, RuntimeError):
        return None
    good = bool(np.isfinite(v).all() and (v > 0).all())
    return v if good else None
