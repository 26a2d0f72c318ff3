"""Project the rows of a matrix onto weighted l1 balls, row by row, without sorting.

Michelot's iteration: the threshold of a set of entries that contains the support of the
projection is a lower bound of the true one; entries below it leave the set, until none
does. Sums that decide whether a row is inside are compensated, so that "inside" is not
a matter of rounding.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

_SPLIT = 134217729.0


@njit(cache=True, inline="always")
def _product_error(a: float, b: float, p: float) -> float:
    c = _SPLIT * a
    high_a = c - (c - a)
    c = _SPLIT * b
    high_b = c - (c - b)
    low_a, low_b = a - high_a, b - high_b
    return ((high_a * high_b - p) + high_a * low_b + low_a * high_b) + low_a * low_b


@njit(cache=True)
def _inside(row: Floats, weights: Floats, radius: float) -> bool:
    """Say whether the weighted l1 norm is at most the radius, rounding compensated."""
    total, rest = 0.0, 0.0
    for j in range(row.shape[0]):
        a = abs(row[j])
        if a == 0.0 or weights[j] == 0.0:
            continue
        p = a * weights[j]
        rest += _product_error(a, weights[j], p)
        s = total + p
        t = s - total
        rest += (total - (s - t)) + (p - t)
        total = s
    return total + rest < radius or (total - radius) + rest <= 0.0


@njit(cache=True)
def _threshold(row: Floats, weights: Floats, radius: float, kept: Integers) -> float:
    """Return the threshold of a row outside its ball; ``kept`` is working memory."""
    above, below, threshold = -radius, 0.0, 0.0
    # The threshold of any set of entries is a lower bound, that of a single one too.
    for j in range(row.shape[0]):
        w = weights[j]
        if w > 0.0:
            a = abs(row[j])
            above += w * a
            below += w * w
            threshold = max(threshold, (a - radius / w) / w)
    threshold = max(threshold, above / below)
    count = 0
    for j in range(row.shape[0]):
        if weights[j] > 0.0 and abs(row[j]) > threshold * weights[j]:
            kept[count] = j
            count += 1
    while True:
        above, below = -radius, 0.0
        for k in range(count):
            w = weights[kept[k]]
            above += w * abs(row[kept[k]])
            below += w * w
        threshold = max(threshold, above / below)
        left = 0
        for k in range(count):
            j = kept[k]
            if abs(row[j]) > threshold * weights[j]:
                kept[left] = j
                left += 1
        if left == count or left == 0:
            return threshold
        count = left


@njit(cache=True)
def _project_all(matrix: Floats, weights: Floats, radii: Floats) -> Floats:
    rows, columns = matrix.shape
    kept = np.empty(columns, np.int64)
    thresholds = np.zeros(rows)
    for i in range(rows):
        row = matrix[i]
        total = 0.0
        for j in range(columns):
            total += weights[j] * abs(row[j])
        radius = radii[i]
        slack = 1e-14 * (columns + 2)
        if total < radius * (1.0 - slack):
            continue
        if total <= radius * (1.0 + slack) and _inside(row, weights, radius):
            continue
        threshold = _threshold(row, weights, radius, kept)
        thresholds[i] = threshold
        for j in range(columns):
            w = weights[j]
            if w > 0.0:
                a = abs(row[j]) - threshold * w
                row[j] = 0.0 if a <= 0.0 else (a if row[j] > 0.0 else -a)
        shrink = 1.0 - 2.0**-52
        while not _inside(row, weights, radius):
            for j in range(columns):
                if weights[j] > 0.0:
                    row[j] *= shrink
            shrink = 1.0 - 2.0 * (1.0 - shrink)
    return thresholds


def project_rows_in_place(matrix: Floats, weights: Floats, radii: Floats) -> Floats:
    """Project the rows of ``matrix`` in place and return the thresholds [rows].

    Args:
        matrix: Rows, contiguous, of finite numbers.
        weights: Weights of the columns; those of weight 0 stay as they are.
        radii: Radius of every row's ball, positive.

    Returns:
        The thresholds, 0 for rows that were inside.
    """
    return _project_all(matrix, weights, radii)
