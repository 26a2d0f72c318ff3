"""The cells that an enumeration starts from: a box, a polytope, the whole space."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from relulens.errors import InvalidArgumentError

HalfSpaces: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
Table: TypeAlias = list[list[Fraction]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Start:
    """Simplices or boxes that the domain is clipped from.

    Attributes:
        points: Homogeneous vertices as whole numbers; the last entry is 0 at infinity.
        cells: Vertices of each cell.
        incidence: For each cell, the facet slots of each vertex, as a bit mask.
        labels: For each cell, the label of each slot.
        edges: For each cell, pairs of places in its vertices.
        clips: Half-spaces ``a x <= b`` still to be cut off, by place.
        sides: Number of the domain's sides; label ``sides`` is infinity, and
            ``sides + 1`` a face between two cells that is no boundary.
    """

    points: list[list[int]]
    cells: list[list[int]]
    incidence: list[list[int]]
    labels: list[list[int]]
    edges: list[list[tuple[int, int]]]
    clips: list[int]
    sides: int


def box_start(low: NDArray[np.float64], high: NDArray[np.float64]) -> Start:
    """Return a finite box as one cell; side 2 i is ``low``, 2 i + 1 ``high``."""
    n = len(low)
    points: list[list[int]] = []
    incidence: list[int] = []
    for corner in range(1 << n):
        taken = [high[i] if corner >> i & 1 else low[i] for i in range(n)]
        points.append(_whole([Fraction(float(v)) for v in taken] + [Fraction(1)]))
        incidence.append(sum(1 << (2 * i + (corner >> i & 1)) for i in range(n)))
    edges = [
        (corner, corner | 1 << i)
        for corner in range(1 << n)
        for i in range(n)
        if not corner >> i & 1
    ]
    return Start(
        points=points,
        cells=[list(range(1 << n))],
        incidence=[incidence],
        labels=[list(range(2 * n))],
        edges=[edges],
        clips=[],
        sides=2 * n,
    )


def polyhedron_start(rows: NDArray[np.float64], right: NDArray[np.float64]) -> Start:
    """Return simplices that hold ``{x : rows x <= right}``, and what to clip.

    With as many independent rows as unknowns one simplicial cone is enough; else the
    whole space is cut into ``n + 1`` cones with the origin as apex.
    """
    n = rows.shape[1]
    exact = [[Fraction(float(v)) for v in row] for row in rows]
    bounds = [Fraction(float(v)) for v in right]
    chosen = _independent(exact, n)
    if len(chosen) < n:
        return _fan(n, len(rows))
    corner = _solved([exact[i] for i in chosen], [[bounds[i]] for i in chosen])
    identity = [[Fraction(int(i == j)) for j in range(n)] for i in range(n)]
    inverse = _solved([exact[i] for i in chosen], identity)
    points = [_whole([row[0] for row in corner] + [Fraction(1)])]
    points += [
        _whole([-inverse[i][j] for i in range(n)] + [Fraction(0)]) for j in range(n)
    ]
    # Slots 0..n-1 are the chosen sides, slot n is infinity.
    every = (1 << n) - 1
    incidence = [every] + [(every & ~(1 << j)) | 1 << n for j in range(n)]
    return Start(
        points=points,
        cells=[list(range(n + 1))],
        incidence=[incidence],
        labels=[[*chosen, len(rows)]],
        edges=[[(i, j) for j in range(n + 1) for i in range(j)]],
        clips=[i for i in range(len(rows)) if i not in chosen],
        sides=len(rows),
    )


def _fan(n: int, sides: int) -> Start:
    axes = [[int(i == j) for i in range(n)] + [0] for j in range(n)]
    points = [[0] * n + [1], *axes, [-1] * n + [0]]
    cells = [[0, *(1 + j for j in range(n + 1) if j != k)] for k in range(n + 1)]
    # The slot opposite to vertex i is i: infinity is opposite to the apex.
    every = (1 << (n + 1)) - 1
    incidence = [[every & ~(1 << i) for i in range(n + 1)] for _ in cells]
    return Start(
        points=points,
        cells=cells,
        incidence=incidence,
        labels=[[sides, *[sides + 1] * n] for _ in cells],
        edges=[[(i, j) for j in range(n + 1) for i in range(j)] for _ in cells],
        clips=list(range(sides)),
        sides=sides,
    )


def _whole(point: list[Fraction]) -> list[int]:
    common = math.lcm(*(value.denominator for value in point))
    numbers = [int(value * common) for value in point]
    divisor = math.gcd(*numbers)
    return [number // divisor for number in numbers]


def _independent(rows: Table, n: int) -> list[int]:
    """Return the first rows that are linearly independent, at most ``n``."""
    kept: list[tuple[int, list[Fraction]]] = []
    chosen: list[int] = []
    for place, row in enumerate(rows):
        left = list(row)
        for pivot, other in kept:
            factor = left[pivot] / other[pivot]
            if factor:
                left = [a - factor * b for a, b in zip(left, other, strict=True)]
        pivot = next((j for j in range(n) if left[j]), None)
        if pivot is not None:
            kept.append((pivot, left))
            chosen.append(place)
        if len(chosen) == n:
            break
    return chosen


def _solved(matrix: Table, right: Table) -> Table:
    """Return the solution of an invertible system, by elimination."""
    n = len(matrix)
    rows = [[*a, *b] for a, b in zip(matrix, right, strict=True)]
    for column in range(n):
        pivot = next((i for i in range(column, n) if rows[i][column]), None)
        if pivot is None:
            raise InvalidArgumentError(
                f"cannot start from {n} sides: they are not independent. Pass others."
            )
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column][column]
        rows[column] = [value / head for value in rows[column]]
        for i in range(n):
            factor = rows[i][column]
            if i != column and factor:
                rows[i] = [
                    a - factor * b for a, b in zip(rows[i], rows[column], strict=True)
                ]
    return [row[n:] for row in rows]
