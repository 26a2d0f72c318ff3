"""The signs of all principal minors of a small matrix, rounding included."""

from fractions import Fraction
from typing import Literal

import numpy as np

from relulens.certificates.rounding import UNIT, Array

LARGEST = 15
"""Rows of the largest matrix whose minors are counted: there are 2^n."""


def minor_signs(
    matrix: Array, radius: Array
) -> tuple[Literal["positive", "not positive", "unclear"], tuple[int, ...]]:
    """Return whether all principal minors are positive, else rows of one that is not.

    A matrix has positive principal minors if and only if its first entry is positive,
    and both what is left without the first row and column and its Schur complement have
    positive principal minors. All 2^k matrices of a level are taken at once, in
    interval arithmetic; a pivot that may be zero is settled in rationals.

    Args:
        matrix: The matrix [n, n].
        radius: How far each entry may be off.
    """
    n = matrix.shape[0]
    middle, spread = matrix[None], radius[None]
    chosen = np.zeros((1, 0), dtype=bool)
    for k in range(n):
        pivot, slack = middle[:, 0, 0], spread[:, 0, 0]
        for place in np.flatnonzero(pivot <= slack):
            rows = (*np.flatnonzero(chosen[place]).tolist(), k)
            if radius.any() and not pivot[place] < -slack[place]:
                return "unclear", rows
            if _determinant(matrix[np.ix_(rows, rows)]) <= 0:
                return "not positive", rows
            return "unclear", rows
        middle, spread = _next_level(middle, spread)
        chosen = np.vstack([
            np.pad(chosen, ((0, 0), (0, 1))),
            np.pad(chosen, ((0, 0), (0, 1)), constant_values=True),
        ])
    return "positive", ()


def _next_level(middle: Array, spread: Array) -> tuple[Array, Array]:
    """Return the matrices without the first row and column, and Schur complements."""
    rest, rest_spread = middle[:, 1:, 1:], spread[:, 1:, 1:]
    down, right = middle[:, 1:, :1], middle[:, :1, 1:]
    down_spread, right_spread = spread[:, 1:, :1], spread[:, :1, 1:]
    pivot, slack = middle[:, :1, :1], spread[:, :1, :1]
    taken = down * right / pivot
    most = (np.abs(down) + down_spread) * (np.abs(right) + right_spread)
    wrong = most / (pivot - slack) - np.abs(down) * np.abs(right) / pivot
    complement = rest - taken
    off = np.maximum(wrong, 0) + rest_spread
    off = off * (1 + 8 * UNIT) + 8 * UNIT * (
        most / (pivot - slack) + np.abs(rest) + np.abs(complement)
    )
    return np.concatenate([rest, complement]), np.concatenate([rest_spread, off])


def _determinant(matrix: Array) -> Fraction:
    """Return the exact determinant."""
    rows = [[Fraction(float(x)) for x in row] for row in matrix]
    value = Fraction(1)
    for k in range(len(rows)):
        swap = next((i for i in range(k, len(rows)) if rows[i][k] != 0), None)
        if swap is None:
            return Fraction(0)
        if swap != k:
            rows[k], rows[swap] = rows[swap], rows[k]
            value = -value
        value *= rows[k][k]
        for i in range(k + 1, len(rows)):
            share = rows[i][k] / rows[k][k]
            rows[i] = [x - share * y for x, y in zip(rows[i], rows[k], strict=True)]
    return value
