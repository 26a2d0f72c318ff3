"""The shortest step into a polyhedron, in the norms 1, 2 and infinity."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from relulens.numerics.linear_programs import Inequalities
from relulens.numerics.projection import nearest_point
from relulens.robustness.lipschitz.operator_norms import Norm

_STEPS = 1e3
"""Longest step in the solver's units: its tolerance is 1e-7 of one."""

_DUAL = {1: np.inf, 2: 2, "inf": 1}
_ORDER = {1: 1, 2: 2, "inf": np.inf}


def length(step: Float[NDArray[np.float64], " n"], norm: Norm) -> float:
    """Return the norm of a step."""
    return float(np.linalg.norm(step, _ORDER[norm])) if step.size else 0.0


def row_norms(
    rows: Float[NDArray[np.float64], "m n"], norm: Norm
) -> Float[NDArray[np.float64], " m"]:
    """Return the dual norms of rows: how fast they change along unit steps."""
    if rows.size == 0:
        return np.zeros(len(rows))
    return np.linalg.norm(rows, _DUAL[norm], axis=1)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Polyhedron:
    """Steps u with ``rows u <= right``.

    Attributes:
        rows: Left-hand sides [m, n].
        right: Right-hand sides [m].
        norms: Dual norms of the rows [m].
    """

    rows: Float[NDArray[np.float64], "m n"]
    right: Float[NDArray[np.float64], " m"]
    norms: Float[NDArray[np.float64], " m"]

    @property
    def least(self) -> float:
        """A lower bound of the distance: that of the farthest of its half-spaces."""
        varies = self.norms > 0
        short = -self.right[varies] / self.norms[varies]
        return max(0.0, float(short.max(initial=0.0)))

    def with_row(
        self, row: NDArray[np.float64], right: float, norm: Norm
    ) -> "Polyhedron":
        """Return the polyhedron with one more half-space."""
        return Polyhedron(
            rows=np.concatenate([self.rows, row[None]]),
            right=np.append(self.right, right),
            norms=np.append(self.norms, row_norms(row[None], norm)),
        )


def shortest_step(
    given: Polyhedron, norm: Norm, within: float
) -> Float[NDArray[np.float64], " n"] | None:
    """Return the shortest step into a polyhedron.

    Args:
        given: The polyhedron.
        norm: What is short.
        within: Steps as long as this are not asked for, so that inequalities which
            hold for all shorter ones are left out.

    Returns:
        The step, or nothing if the polyhedron is empty or farther than ``within``.

    Raises:
        SolverError: The program could not be solved.
    """
    size = np.abs(given.rows).max(initial=0.0)
    flat = given.norms <= 1e-13 * size
    if bool((given.right[flat] < -1e-9 * max(size, 1e-300)).any()):
        return None
    far = np.isfinite(within) & (given.right >= min(within, 1e300) * given.norms)
    near = ~flat & ~far
    norms = given.norms[near]
    rows, right = given.rows[near] / norms[:, None], given.right[near] / norms
    if not len(rows) or bool((right >= 0).all()):
        return np.zeros(given.rows.shape[1])
    # Every row is at most this far: distances come out about one.
    scale = float(-right.min())
    if scale >= within:
        return None
    if norm == 2:
        step = nearest_point(-rows, -right / scale)
    else:
        step = _by_program(rows, right / scale, norm)
    if step is None or length(step * scale, norm) >= within:
        return None
    return step * scale


def _by_program(
    rows: NDArray[np.float64], right: NDArray[np.float64], norm: Norm
) -> NDArray[np.float64] | None:
    """Return the shortest step in the norm 1 or infinity, by a linear program."""
    width = rows.shape[1]
    eye = np.eye(width)
    longest = eye if norm == 1 else np.ones((width, 1))
    none = np.zeros((len(rows), longest.shape[1]))
    table = np.block([[rows, none], [eye, -longest], [-eye, -longest]])
    ends = np.concatenate([right * _STEPS, np.zeros(2 * width)])
    cost = np.concatenate([np.zeros(width), -np.ones(longest.shape[1])])
    found = Inequalities(table, ends).maximise(cost)
    return found.point[:width] / _STEPS if found.status == "optimal" else None
