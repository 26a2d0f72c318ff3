"""Products and sums of sparse matrices that stop at a limit in bytes."""

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, vstack

from relulens.graph.linear_map import check_sparse

_CHUNK = 1 << 24
"""Multiplications of one chunk of rows, so that what is in hand stays small."""


def product(left: csr_array, right: csr_array, columns: int, limit: int) -> csr_array:
    """Return ``left @ right``, made in chunks of rows.

    Args:
        left: Matrix [m, k].
        right: Matrix [k, n].
        columns: The number n.
        limit: Bytes that the product may take.

    Raises:
        MemoryLimitError: The product takes more than ``limit`` bytes.
    """
    rows = left.indptr.size - 1
    parts: list[csr_array] = []
    entries = 0
    for start, stop in _chunks(left, right):
        part = csr_array(left[start:stop] @ right)
        entries += part.nnz
        check_sparse(rows, columns, entries, limit)
        parts.append(part)
    if not parts:
        return csr_array((rows, columns), dtype=np.float64)
    return parts[0] if len(parts) == 1 else csr_array(vstack(parts, format="csr"))


def _chunks(left: csr_array, right: csr_array) -> list[tuple[int, int]]:
    """Return ranges of rows with a bounded number of multiplications each."""
    work = np.diff(right.indptr)[left.indices]
    done = np.concatenate([[0], np.cumsum(work)])[left.indptr]
    bounds, rows = [0], left.indptr.size - 1
    while bounds[-1] < rows:
        reach = done[bounds[-1]] + _CHUNK
        stop = int(np.searchsorted(done, reach, side="right")) - 1
        bounds.append(min(max(stop, bounds[-1] + 1), rows))
    return list(pairwise(bounds))


def total(left: csr_array, right: csr_array, columns: int, limit: int) -> csr_array:
    """Return ``left + right``.

    Args:
        left: Matrix [m, n].
        right: Matrix [m, n].
        columns: The number n.
        limit: Bytes that the sum may take.

    Raises:
        MemoryLimitError: The sum may take more than ``limit`` bytes.
    """
    rows = left.indptr.size - 1
    check_sparse(rows, columns, min(left.nnz + right.nnz, rows * columns), limit)
    return csr_array(left + right)
