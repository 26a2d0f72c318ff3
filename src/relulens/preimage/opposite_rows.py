"""Opposite rows: of each pair one is active everywhere."""

from fractions import Fraction
from math import gcd

import numpy as np

from relulens.certificates.rounding import Array
from relulens.certificates.whole_numbers import whole_rows


def opposite_rows(rows: Array, offset: Array) -> np.ndarray:
    """Return rows that have an exact opposite with which one is active at every point.

    For ``w x + a`` and ``-c (w x) + b`` with c > 0 both are negative nowhere iff
    ``c a + b >= 0``. Where such rows span, the layer is injective: the
    construction with 2n rows, B and -D B with a positive diagonal D.

    Args:
        rows: Coefficients [m, n].
        offset: Constant parts [m].

    Returns:
        One row of each pair, ascending.
    """
    highest: dict[tuple[int, ...], tuple[Fraction, int]] = {}
    for i, row in enumerate(whole_rows(np.column_stack([rows, offset]))):
        divisor = gcd(*row[:-1])
        if divisor == 0:
            continue
        key = tuple(value // divisor for value in row[:-1])
        shift = Fraction(row[-1], divisor)
        if key not in highest or shift > highest[key][0]:
            highest[key] = (shift, i)
    found = []
    for key, (shift, i) in highest.items():
        other = highest.get(tuple(-value for value in key))
        if other is not None and i < other[1] and shift + other[0] >= 0:
            found.append(i)
    return np.array(sorted(found), dtype=np.int64)
