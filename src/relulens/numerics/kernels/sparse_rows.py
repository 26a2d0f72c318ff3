"""Products of a sparse matrix with many columns at once.

The columns are the inputs of a batch, side by side: every entry of the matrix is one
multiplication of a whole row of them.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.int64]


@njit(cache=True)
def count(matrix: Floats, enough: float) -> int:
    """Return the number of entries that are not zero; of the first rows, if enough."""
    found = 0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            found += matrix[i, j] != 0
        if found > enough:
            break
    return found


@njit(cache=True)
def compress(
    matrix: Floats, pointers: Integers, columns: Integers, values: Floats
) -> None:
    """Write the entries of a dense matrix row by row."""
    place = 0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            if matrix[i, j] != 0:
                columns[place] = j
                values[place] = matrix[i, j]
                place += 1
        pointers[i + 1] = place


@njit(cache=True)
def transpose(
    pointers: Integers,
    columns: Integers,
    values: Floats,
    over: Integers,
    rows: Integers,
    found: Floats,
) -> None:
    """Write the transposed matrix; ``over`` starts at zero, one more than columns."""
    for k in range(columns.shape[0]):
        over[columns[k] + 1] += 1
    for j in range(over.shape[0] - 1):
        over[j + 1] += over[j]
    filled = over.copy()
    for i in range(pointers.shape[0] - 1):
        for k in range(pointers[i], pointers[i + 1]):
            place = filled[columns[k]]
            rows[place] = i
            found[place] = values[k]
            filled[columns[k]] += 1


@njit(cache=True)
def affine(
    pointers: Integers,
    columns: Integers,
    values: Floats,
    base: Floats,
    state: Floats,
    out: Floats,
) -> None:
    """Write ``base + matrix state``, all [rows, batch]."""
    for i in range(out.shape[0]):
        row = out[i]
        row[:] = base[i]
        for k in range(pointers[i], pointers[i + 1]):
            a, read = values[k], state[columns[k]]
            for c in range(row.shape[0]):
                row[c] += a * read[c]


@njit(cache=True)
def rectified(
    pointers: Integers,
    columns: Integers,
    values: Floats,
    base: Floats,
    state: Floats,
    out: Floats,
) -> None:
    """Write ``relu(base + matrix state)``, all [rows, batch]; NaN stays NaN."""
    for i in range(out.shape[0]):
        row = out[i]
        row[:] = base[i]
        for k in range(pointers[i], pointers[i + 1]):
            a, read = values[k], state[columns[k]]
            for c in range(row.shape[0]):
                row[c] += a * read[c]
        for c in range(row.shape[0]):
            row[c] = row[c] if not row[c] < 0 else 0


@njit(cache=True)
def sloped(
    pointers: Integers,
    columns: Integers,
    values: Floats,
    base: Floats,
    slope: Floats,
    state: Floats,
    out: Floats,
) -> None:
    """Write ``base + slope (matrix state)``, all [rows, batch]."""
    for i in range(out.shape[0]):
        row, s = out[i], slope[i]
        row[:] = 0
        for k in range(pointers[i], pointers[i + 1]):
            a, read = values[k], state[columns[k]]
            for c in range(row.shape[0]):
                row[c] += a * read[c]
        for c in range(row.shape[0]):
            row[c] = base[i, c] + s[c] * row[c]
