"""Directions in exact rationals, where rounding leaves a small system undecided."""

import math
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from relulens.certificates.rounding import Array
from relulens.certificates.subjects import Matrix

_COLUMNS, _ROWS = 24, 2000
_LARGEST = 2**53

Table: TypeAlias = list[list[Fraction]]


def _reduced(rows: Table, columns: int) -> tuple[Table, list[int]]:
    """Return the reduced row echelon form and its pivot columns."""
    pivots: list[int] = []
    for column in range(columns):
        place = len(pivots)
        found = next((i for i in range(place, len(rows)) if rows[i][column]), None)
        if found is None:
            continue
        rows[place], rows[found] = rows[found], rows[place]
        head = rows[place][column]
        rows[place] = [value / head for value in rows[place]]
        for i, row in enumerate(rows):
            if i != place and row[column]:
                factor = row[column]
                rows[i] = [
                    a - factor * b for a, b in zip(row, rows[place], strict=True)
                ]
        pivots.append(column)
    return rows[: len(pivots)], pivots


def _rounded(held: Array, d: Array, denominator: int) -> list[Fraction]:
    """Return an exact solution of ``held d = 0`` near d, free entries rounded."""
    rows = [[Fraction(value) for value in row] for row in held.tolist()]
    reduced, pivots = _reduced(rows, d.size)
    result = [Fraction(v).limit_denominator(denominator) for v in d.tolist()]
    free = [j for j in range(d.size) if j not in pivots]
    for row, pivot in zip(reduced, pivots, strict=True):
        result[pivot] = -sum((row[j] * result[j] for j in free), Fraction(0))
    return result


def rational_direction(
    rows: Matrix, equal: int, scale: Array, d: Array
) -> Array | None:
    """Return an integer direction near d that satisfies every row exactly, if found.

    Args:
        rows: The rows [r, n], equalities first.
        equal: How many equalities there are.
        scale: Norms of the rows [r].
        d: A direction that satisfies them to rounding [n].

    Returns:
        A direction with whole entries below 2**53, or nothing. Small systems only.
    """
    count, n = rows.shape
    if n > _COLUMNS or count > _ROWS:
        return None
    dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
    value = dense @ d
    for tau in (1e-12, 1e-9, 1e-6, 1e-4):
        held = np.flatnonzero((np.abs(value) <= tau * scale) & (scale > 0))
        held = np.union1d(held, np.flatnonzero(scale[:equal] > 0))
        for denominator in (1, 16, 10**4):
            exact = _rounded(dense[held], d, denominator)
            whole = _whole(exact)
            if whole is not None and _satisfied(dense, equal, whole):
                return np.array([float(value) for value in whole])
    return None


def _whole(exact: list[Fraction]) -> list[int] | None:
    if not any(exact):
        return None
    common = math.lcm(*(value.denominator for value in exact))
    numbers = [int(value * common) for value in exact]
    divisor = math.gcd(*numbers)
    numbers = [number // divisor for number in numbers]
    return numbers if max(map(abs, numbers)) < _LARGEST else None


def _satisfied(dense: Array, equal: int, whole: list[int]) -> bool:
    for place, row in enumerate(dense.tolist()):
        total = sum(Fraction(a) * b for a, b in zip(row, whole, strict=True))
        if total > 0 or (place < equal and total != 0):
            return False
    return True
