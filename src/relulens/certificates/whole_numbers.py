"""Rows of floats as whole numbers, so that ranks and signs are exact."""

from fractions import Fraction
from math import gcd, lcm
from typing import TypeAlias

import numpy as np

from relulens.certificates.rounding import Array

Table: TypeAlias = list[list[int]]

_EPS = float(np.finfo(np.float64).eps)


def whole_rows(rows: Array) -> Table:
    """Return every row times the power of two that makes its entries whole.

    Floats are whole multiples of powers of two, so nothing is rounded.
    """
    table: Table = []
    for row in rows.tolist():
        parts = [value.as_integer_ratio() for value in row]
        scale = lcm(*(below for _, below in parts)) if parts else 1
        table.append([above * (scale // below) for above, below in parts])
    return table


def reduced(table: Table) -> tuple[Table, list[int]]:
    """Return an echelon form, whole rows without common divisors, and its pivots."""
    rows = [list(row) for row in table]
    pivots: list[int] = []
    width = len(table[0]) if table else 0
    for column in range(width):
        place = len(pivots)
        found = next((i for i in range(place, len(rows)) if rows[i][column]), None)
        if found is None:
            continue
        rows[place], rows[found] = rows[found], rows[place]
        head = rows[place]
        for i, row in enumerate(rows):
            if i != place and row[column]:
                a, b = head[column], row[column]
                mixed = [a * v - b * h for v, h in zip(row, head, strict=True)]
                divisor = gcd(*mixed) or 1
                rows[i] = [value // divisor for value in mixed]
        pivots.append(column)
    return rows[: len(pivots)], pivots


def null_vector(table: Table, columns: int) -> list[int] | None:
    """Return the vector that all rows are orthogonal to, if it is the only one."""
    rows, pivots = reduced(table) if table else ([], [])
    if len(pivots) != columns - 1:
        return None
    free = next(j for j in range(columns) if j not in pivots)
    common = lcm(*(abs(row[p]) for row, p in zip(rows, pivots, strict=True)), 1)
    vector = [0] * columns
    vector[free] = common
    for row, pivot in zip(rows, pivots, strict=True):
        vector[pivot] = -row[free] * common // row[pivot]
    divisor = gcd(*vector) or 1
    return [value // divisor for value in vector]


def at_least_zero(rows: Array, offset: Array, x: Array) -> np.ndarray:
    """Return which of ``rows x + offset`` are not negative, in exact arithmetic."""
    value = rows @ x + offset
    size = np.abs(rows) @ np.abs(x) + np.abs(offset)
    result = value >= 0
    doubtful = np.abs(value) <= 4 * (x.size + 2) * _EPS * size
    for i in np.flatnonzero(doubtful):
        terms = zip(rows[i].tolist(), x.tolist(), strict=True)
        exact = sum((Fraction(a) * Fraction(b) for a, b in terms), Fraction(offset[i]))
        result[i] = exact >= 0
    return result
