"""The order of zeros along edges and chords where rounding leaves it open.

Functions are affine along an edge of a cell, and on the cell, so their exact values at
the corners tell where they are zero and which sign they have there.
"""

from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from relulens.regions.exact_entries import TooLongError
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_mesh import Integers, Origin

Order: TypeAlias = tuple[NDArray[np.int64], NDArray[np.bool_]] | None


class EdgeValues:
    """Exact values of functions at corners of cells and at zeros on their edges.

    Args:
        node: Node whose entries, or differences of two, the functions are.
        functions: Flat positions of the entries, and of what is subtracted [2, n].
        corners: Vertices that are corners; further ones lie on edges.
        origin: How vertices were made.
        exact: Evaluates at corners.
    """

    def __init__(
        self,
        node: int,
        functions: tuple[Integers, Integers],
        corners: int,
        origin: Origin,
        exact: ExactSigns,
    ) -> None:
        self._node, self._corners = node, corners
        self._unit, self._other = functions
        self._origin, self._exact = origin, exact
        self.spent = exact.spent

    def at(self, vertex: int, function: int) -> int:
        """Return a value at a vertex, times a positive number of the vertex.

        Raises:
            TooLongError: There is no time for it.
        """
        unit, other = int(self._unit[function]), int(self._other[function])
        return self._at(vertex, unit, other)

    def weight(self, corner: int) -> int:
        """Return what values at a corner are multiplied by, but for a common number.

        Raises:
            TooLongError: There is no time for it.
        """
        return self._exact.place(corner, self._origin)[2]

    def _at(self, vertex: int, unit: int, other: int) -> int:
        origin = self._origin
        if vertex < self._corners:
            return self._exact.value(vertex, self._node, unit, other, origin)
        ends = int(origin.first[vertex]), int(origin.second[vertex])
        made = int(origin.unit[vertex]), int(origin.other[vertex])
        one, two = (self._at(v, *made) for v in ends)
        u, v = (self._at(v, unit, other) for v in ends)
        return abs(two) * u + abs(one) * v


def shares_along(
    ends: tuple[int, int], run: Integers, values: EdgeValues
) -> list[float]:
    """Return how far along an edge functions are zero, from 0 to 1, correctly rounded.

    Args:
        ends: The edge's corners.
        run: Functions of opposite signs at these.
        values: Values at corners.

    Raises:
        TooLongError: There is no time for it.
    """
    first, second = (values.weight(v) for v in ends)
    shares = []
    for k in run.tolist():
        one, two = (abs(values.at(v, k)) for v in ends)
        shares.append(one * second / (one * second + two * first))
    return shares


def crossing_signs(queries: NDArray[np.int64], values: EdgeValues) -> dict[int, int]:
    """Return the signs that the order of crossings along chords depends on.

    Args:
        queries: Key, two ends of a chord, a function that is zero between them, and
            the function whose sign there is asked for, in every row.
        values: Values at the ends of chords.
    """
    known: dict[int, int] = {}
    for key, p, q, rival, k, *_ in queries.tolist():
        if key in known:
            continue
        try:
            one, two = values.at(p, rival), values.at(q, rival)
            mixed = abs(two) * values.at(p, k) + abs(one) * values.at(q, k)
        except TooLongError:
            values.spent.undecided += 1
            # What time did not allow to decide is taken as one place.
            known[key] = 0
        else:
            values.spent.decided += 1
            known[key] = (mixed > 0) - (mixed < 0)
    return known


def order_along(ends: tuple[int, int], run: Integers, values: EdgeValues) -> Order:
    """Return the order of zeros of functions along an edge, and which are one place.

    Args:
        ends: The edge's corners.
        run: Functions of opposite signs at these.
        values: Values at corners.

    Returns:
        Places in the run, in order, and for each whether it lies behind the one before;
        nothing if there is no time for it.
    """
    try:
        pairs = [[abs(values.at(v, k)) for v in ends] for k in run.tolist()]
    except TooLongError:
        values.spent.undecided += len(run) - 1
        return None
    values.spent.decided += len(run) - 1
    # Values at a corner have one positive factor in common: the quotient still grows.
    where = [Fraction(one, two) for one, two in pairs]
    order = sorted(range(len(run)), key=where.__getitem__)
    behind = [where[i] != where[j] for i, j in pairwise(order)]
    return np.array(order), np.array([True, *behind])
