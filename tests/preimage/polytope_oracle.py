"""Vertices of small polytopes by solving every square system, for the tests."""

from itertools import combinations

import numpy as np


def vertices(rows: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return all points where n independent rows hold with equality and none fails."""
    found = []
    for chosen in combinations(range(rows.shape[0]), rows.shape[1]):
        square = rows[list(chosen)]
        if abs(np.linalg.det(square)) < 1e-9:
            continue
        point = np.linalg.solve(square, right[list(chosen)])
        if (rows @ point <= right + 1e-9).all():
            found.append(point)
    return np.array(found)
