"""Injectivity of a ReLU layer decided exactly, one flat of rows after another."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Literal

import numpy as np

from relulens.certificates.rounding import Array
from relulens.certificates.whole_numbers import (
    Table,
    at_least_zero,
    null_vector,
    whole_rows,
)
from relulens.errors import SolverError
from relulens.numerics.least_squares import nonnegative_least_squares


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FlatAnswer:
    """What all flats say.

    Attributes:
        verdict: ``"injective"``, ``"not"`` or ``"undecided"``.
        point: Where all rows that are not orthogonal to ``direction`` are negative.
        direction: Along it nothing changes near the point.
        flats: Flats looked at.
        open: Flats that neither a point nor multipliers settled.
    """

    verdict: Literal["injective", "not", "undecided"]
    point: Array | None
    direction: Array | None
    flats: int
    open: int


def by_flats(rows: Array, offset: Array) -> FlatAnswer:
    """Return whether ``relu(rows x + offset)`` is injective.

    It is iff at every x the rows with ``rows x + offset >= 0`` span. They do not iff
    they lie in a hyperplane that n - 1 rows span: for every such one either a point
    makes all other rows negative, or multipliers exclude it (Gordan); both are checked
    in whole numbers.

    Args:
        rows: Coefficients [m, n], none zero, of rank n.
        offset: Constant parts [m].

    Cost:
        ``binomial(m, n - 1)`` small least-squares problems.
    """
    m, n = rows.shape
    whole = whole_rows(np.column_stack([rows, offset]))
    plain = [row[:n] for row in whole]
    seen: set[frozenset[int]] = set()
    undecided = 0
    for chosen in combinations(range(m), n - 1):
        normal = null_vector([plain[i] for i in chosen], n)
        if normal is None:
            continue
        flat = _members(rows, plain, normal)
        if flat in seen:
            continue
        seen.add(flat)
        rest = np.array([i for i in range(m) if i not in flat])
        point, excluded = _settle(rows[rest], offset[rest], [whole[i] for i in rest])
        if point is not None:
            largest = max(map(abs, normal))
            direction = np.array([float(Fraction(v, largest)) for v in normal])
            return FlatAnswer(
                verdict="not",
                point=point,
                direction=direction,
                flats=len(seen),
                open=undecided,
            )
        undecided += not excluded
    return FlatAnswer(
        verdict="undecided" if undecided else "injective",
        point=None,
        direction=None,
        flats=len(seen),
        open=undecided,
    )


def _members(rows: Array, plain: Table, normal: list[int]) -> frozenset[int]:
    """Return the rows exactly orthogonal to a normal; floats rule out most."""
    largest = max(map(abs, normal))
    rough = np.array([float(Fraction(v, largest)) for v in normal])
    near = np.abs(rows @ rough) <= 1e-9 * (np.abs(rows) @ np.abs(rough))
    return frozenset(
        int(i)
        for i in np.flatnonzero(near)
        if sum(a * b for a, b in zip(plain[i], normal, strict=True)) == 0
    )


def _settle(rows: Array, offset: Array, whole: Table) -> tuple[Array | None, bool]:
    """Return a point where all rows are negative, or whether multipliers exclude it.

    The least distance of nonnegative combinations of the rows, scaled to sum one, from
    zero settles both: its residual is a point, or its support carries multipliers.
    """
    n = rows.shape[1]
    size = np.linalg.norm(rows, axis=1)
    unit, shift = rows / size[:, None], offset / size
    system = np.zeros((n + 2, rows.shape[0] + 1))
    system[:n, :-1], system[n, :-1], system[n + 1, :-1] = unit.T, shift, 1.0
    system[n, -1] = -1.0
    target = np.zeros(n + 2)
    target[-1] = 1.0
    try:
        values, _ = nonnegative_least_squares(system, target)
    except SolverError:
        return None, False
    rest = target - system @ values
    for point in _points(rest[:n], float(rest[n]), shift):
        if not at_least_zero(rows, offset, point).any():
            return point, False
    support = np.flatnonzero(values[:-1] > 1e-12 * max(values.max(), 1e-300))
    return None, _excluded([whole[i] for i in support], n)


def _points(direction: Array, depth: float, shift: Array) -> list[Array]:
    """Return points to try from the residual of the least-squares problem."""
    length = float(np.linalg.norm(direction))
    tries = []
    if depth > 1e-9:
        tries.append(direction / depth)
    if length > 0:
        far = 10.0 * (1.0 + float(np.abs(shift).max(initial=0.0)))
        tries.extend(direction / length * far * 10.0**power for power in (0, 3, 6))
    if not shift.any():
        return tries[-1:]
    return [np.zeros_like(direction), *tries]


def _excluded(whole: Table, n: int) -> bool:
    """Tell whether multipliers of whole rows exclude that all are negative.

    With m >= 0, not all zero, ``rows^T m = 0`` and ``offset . m >= 0``.
    """
    if not whole:
        return False
    columns = len(whole)
    transposed = [[row[j] for row in whole] for j in range(n + 1)]
    for table in (transposed[:n], transposed):
        vector = null_vector(table, columns)
        if vector is None:
            continue
        if max(vector) <= 0:
            vector = [-value for value in vector]
        pull = sum(a * b for a, b in zip(transposed[n], vector, strict=True))
        if min(vector) >= 0 and pull >= 0:
            return True
    return False
