"""Exact answers about small integer cones by extreme rays, sharing no code."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np


def exact_rank(rows: Sequence[Sequence[int]]) -> int:
    """Return the rank over the rationals."""
    table = [[Fraction(v) for v in row] for row in rows]
    rank = 0
    columns = len(table[0]) if table else 0
    for column in range(columns):
        pivot = next((i for i in range(rank, len(table)) if table[i][column]), None)
        if pivot is None:
            continue
        table[rank], table[pivot] = table[pivot], table[rank]
        for i in range(rank + 1, len(table)):
            factor = table[i][column] / table[rank][column]
            if factor:
                table[i] = [
                    a - factor * b for a, b in zip(table[i], table[rank], strict=True)
                ]
        rank += 1
    return rank


def _determinant(matrix: np.ndarray) -> int:
    if matrix.shape[0] == 0:
        return 1
    if matrix.shape[0] == 1:
        return int(matrix[0, 0])
    total = 0
    for j in range(matrix.shape[0]):
        if matrix[0, j]:
            minor = np.delete(matrix[1:], j, axis=1)
            total += (-1) ** j * int(matrix[0, j]) * _determinant(minor)
    return total


def cross(rows: np.ndarray) -> np.ndarray:
    """Return the vector orthogonal to n - 1 rows in n dimensions, or zeros."""
    n = rows.shape[1]
    return np.array([
        (-1) ** j * _determinant(np.delete(rows, j, axis=1)) for j in range(n)
    ])


def leaves_a_direction(equal: np.ndarray, below: np.ndarray) -> bool:
    """Tell whether some d, not zero, has ``equal d = 0`` and ``below d <= 0``.

    A cone with no line has an extreme ray, on which n - 1 independent rows vanish.
    """
    n = below.shape[1]
    both = np.concatenate([equal, below]).astype(np.int64)
    if exact_rank(both.tolist()) < n:
        return True
    for places in combinations(range(both.shape[0]), n - 1):
        ray = cross(both[list(places)])
        if not ray.any():
            continue
        for sign in (1, -1):
            d = sign * ray
            if not (equal @ d).any() and (below @ d <= 0).all():
                return True
    return False
