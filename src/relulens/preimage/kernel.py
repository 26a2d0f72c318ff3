"""The directions that equalities leave: rank, its gap, and a basis."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import lapack, qr, solve_triangular
from scipy.sparse import csr_array

from relulens.certificates.rounding import Array
from relulens.certificates.subjects import Matrix
from relulens.certificates.system import Indices
from relulens.graph.linear_map import check_bytes

KERNEL_BYTES = 1 << 30
_EPS = float(np.finfo(np.float64).eps)


class Solve(Protocol):
    """Multipliers of the independent equalities that give a wanted combination."""

    def __call__(self, wanted: Array) -> Array:
        """Return m with ``rows^T m = wanted`` in the least-squares sense."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Kernel:
    """What the equalities leave.

    Attributes:
        rank: Number of independent equalities, judged by size of the pivots.
        gap: The last pivot that counts over the first that does not, or infinity.
        basis: Orthonormal basis of the directions left [n, n - rank].
        independent: Positions of equalities that span all of them [rank].
        solve: Multipliers of the independent ones for a wanted combination.
    """

    rank: int
    gap: float
    basis: Array
    independent: Indices
    solve: Solve


def norms(rows: Matrix) -> Array:
    """Return the Euclidean norm of every row."""
    if isinstance(rows, np.ndarray):
        return np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return np.sqrt(np.asarray(rows.multiply(rows).sum(1)).reshape(-1))


def kernel(rows: Matrix) -> Kernel:
    """Return the kernel of the equalities.

    Args:
        rows: Their rows [k, n], dense, or sparse with n at most about 8,000.

    Raises:
        MemoryLimitError: A dense matrix of the kernel would take more than one GiB.

    Cost:
        One QR factorisation [n, k]; pivoted if the rows are dependent. For sparse rows,
        one pivoted Cholesky factorisation [n, n].
    """
    n = rows.shape[1]
    check_bytes(
        f"a basis [{n}, {n}] of what the equalities leave",
        8 * n * n,
        KERNEL_BYTES,
        "Ask about a layer with a smaller input.",
    )
    if rows.shape[0] == 0:
        return _empty(n)
    if not isinstance(rows, np.ndarray):
        return _sparse_kernel(rows)
    scale = norms(rows)
    kept = np.flatnonzero(scale > 0)
    if kept.size == 0:
        return _empty(n)
    unit = rows[kept] / scale[kept, None]
    if kept.size < n:
        found = _plain(unit, kept, scale)
        if found is not None:
            return found
    return _pivoted(unit, kept, scale)


def _empty(n: int) -> Kernel:
    return Kernel(
        rank=0,
        gap=np.inf,
        basis=np.eye(n),
        independent=np.zeros(0, dtype=np.int64),
        solve=lambda wanted: np.zeros(0),
    )


def _plain(unit: Array, kept: Indices, scale: Array) -> Kernel | None:
    """Return the kernel of rows that are clearly independent, else nothing."""
    k = unit.shape[0]
    full, triangle = qr(unit.T, mode="full", check_finite=False)
    condition, info = lapack.dtrcon(triangle[:k])
    if info != 0 or condition < 1e-10:
        return None

    def solve(wanted: Array) -> Array:
        return solve_triangular(triangle[:k], full[:, :k].T @ wanted) / scale[kept]

    return Kernel(rank=k, gap=np.inf, basis=full[:, k:], independent=kept, solve=solve)


def _pivoted(unit: Array, kept: Indices, scale: Array) -> Kernel:
    k, n = unit.shape
    full, triangle, order = qr(unit.T, mode="full", pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(triangle))
    rank = int((pivots > 100 * _EPS * max(k, n) * pivots[0]).sum())
    independent = kept[order[:rank]]
    square = triangle[:rank, :rank]

    def solve(wanted: Array) -> Array:
        return solve_triangular(square, full[:, :rank].T @ wanted) / scale[independent]

    return Kernel(
        rank=rank,
        gap=_gap(pivots, rank),
        basis=np.ascontiguousarray(full[:, rank:]),
        independent=independent,
        solve=solve,
    )


def _gap(pivots: Array, rank: int) -> float:
    if rank == 0 or rank >= pivots.size:
        return np.inf
    return float(pivots[rank - 1] / max(pivots[rank], 1e-300))


def _sparse_kernel(rows: csr_array) -> Kernel:
    """Return the kernel from a pivoted Cholesky factor of ``rows^T rows``."""
    k, n = rows.shape
    scale = norms(rows)
    unit = rows.multiply(1 / np.where(scale > 0, scale, 1.0)[:, None]).tocsr()
    gram = np.asfortranarray((unit.T @ unit).toarray())
    factor, order, rank, _ = lapack.dpstrf(gram, lower=1, tol=n * _EPS * gram.max())
    order = order - 1
    lower = np.tril(factor)[:, :rank]
    pivots = np.sqrt(np.abs(np.diag(factor)))
    block = lower[:rank]
    free = np.zeros((n, n - rank))
    if rank < n:
        free[order[:rank]] = -solve_triangular(
            block, lower[rank:].T, lower=True, trans=1
        )
        free[order[rank:], np.arange(n - rank)] = 1.0
        free = qr(free, mode="economic", check_finite=False)[0]

    def solve(wanted: Array) -> Array:
        weight = np.zeros(n)
        for _ in range(3):
            rest = wanted - unit.T @ (unit @ weight)
            step = solve_triangular(block, rest[order[:rank]], lower=True)
            weight[order[:rank]] += solve_triangular(block, step, lower=True, trans=1)
        return (unit @ weight) / np.where(scale > 0, scale, 1.0)

    return Kernel(
        rank=rank,
        gap=_gap(pivots, rank),
        basis=free,
        independent=np.arange(k),
        solve=solve,
    )
