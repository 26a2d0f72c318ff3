"""The part of a pre-image on which a pattern holds: a polyhedron, or nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relulens.certificates.rounding import Array
from relulens.numerics.linear_programs import Inequalities
from relulens.preimage.pattern_maps import Units

TOUCHING = 1e-7
"""A face is met up to this distance, in the input's unit."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PatternPiece:
    """All inputs of a pattern with the features asked for.

    Attributes:
        pattern: Side of every unit, true where its argument is not negative [units];
            for a maximum the place of its winner.
        point: An input in it [n].
        rows: Inequalities ``rows x <= right`` [r, n] of norm one; an equality is two.
        right: Right-hand sides [r].
        sides: Row of each unit's side [units]; minus one if its argument is constant.
    """

    pattern: NDArray[np.bool_] | NDArray[np.int64]
    point: Array
    rows: Array
    right: Array
    sides: NDArray[np.int64]

    def touched(self) -> list[int]:
        """Return the units whose argument is zero somewhere on the piece.

        Cost:
            One linear program a unit.
        """
        program = Inequalities(self.rows, self.right)
        found = []
        for unit in np.flatnonzero(self.sides >= 0):
            row = self.rows[self.sides[unit]]
            bound = self.right[self.sides[unit]]
            reached = program.maximise(row)
            if reached.status != "optimal" or reached.value >= bound - TOUCHING:
                found.append(int(unit))
        return found


def sides_of(
    arguments: Array, pattern: NDArray[np.bool_]
) -> tuple[Array, Array, NDArray[np.int64]] | None:
    """Return the inequalities of a pattern, or nothing if a constant contradicts it."""
    size = np.linalg.norm(arguments[:, :-1], axis=1)
    scale = size + np.abs(arguments[:, -1])
    moving = size > 1e-12 * scale
    sign = np.where(pattern, -1.0, 1.0)
    if (sign[~moving] * arguments[~moving, -1] > 1e-9).any():
        return None
    rows = (sign / np.where(moving, size, 1.0))[:, None] * arguments
    places = np.full(pattern.size, -1)
    places[moving] = np.arange(int(moving.sum()))
    return rows[moving, :-1], -rows[moving, -1], places


def pattern_piece(
    units: Units,
    pattern: NDArray[np.bool_],
    features: Array,
    extra: tuple[Array, Array],
) -> PatternPiece | None:
    """Return the piece of a pattern, or nothing if it is empty.

    Args:
        units: The units.
        pattern: Their sides.
        features: Features [m].
        extra: Inequalities of the domain.

    Cost:
        One forward pass on n + 1 points and one linear program.
    """
    maps = units.maps(pattern)
    sides = sides_of(maps.arguments, pattern)
    if sides is None:
        return None
    held = maps.features[:, :-1]
    wanted = features - maps.features[:, -1]
    size = np.linalg.norm(held, axis=1)
    moving = size > 1e-12 * (size + np.abs(maps.features[:, -1]))
    if (np.abs(wanted[~moving]) > 1e-9 * (1 + np.abs(features[~moving]))).any():
        return None
    equal, level = held[moving] / size[moving, None], wanted[moving] / size[moving]
    rows = np.concatenate([sides[0], equal, -equal, extra[0]])
    right = np.concatenate([sides[1], level, -level, extra[1]])
    point = feasible(rows, right)
    if point is None:
        return None
    return PatternPiece(
        pattern=pattern, point=point, rows=rows, right=right, sides=sides[2]
    )


def feasible(rows: Array, right: Array) -> Array | None:
    """Return a point with ``rows x <= right``, if there is one."""
    if rows.shape[0] == 0:
        return np.zeros(rows.shape[1])
    found = Inequalities(rows, right).maximise(np.zeros(rows.shape[1]))
    return found.point if found.status == "optimal" else None
