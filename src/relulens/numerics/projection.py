"""The point of a polyhedron that is nearest to the origin."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from relulens.numerics.least_squares import nonnegative_least_squares

INFEASIBLE = 1e-9
"""A residual below this says that the inequalities contradict each other."""


def nearest_point(
    rows: Float[NDArray[np.float64], "m n"],
    right: Float[NDArray[np.float64], " m"],
    equal: int | None = None,
) -> Float[NDArray[np.float64], " n"] | None:
    """Return the shortest ``d`` with ``rows d >= right``, one row an equation if asked.

    Lawson and Hanson's least distance programming: with nonnegative ``u`` that brings
    ``[rows right]^T u`` nearest to the last unit vector, the residual points to ``d``.

    Args:
        rows: Left-hand sides, about of norm one.
        right: Right-hand sides, about of size one.
        equal: Place of a row that must hold with equality.

    Returns:
        The point, or nothing if there is none.

    Raises:
        SolverError: The least squares did not end.
    """
    if equal is not None:
        rows = np.concatenate([rows, -rows[equal][None]])
        right = np.concatenate([right, -right[equal][None]])
    # Everything happens in the span of the rows, often far smaller than the space.
    span, _ = np.linalg.qr(rows.T)
    matrix = np.concatenate([(rows @ span).T, right[None]])
    target = np.zeros(len(matrix))
    target[-1] = 1.0
    multipliers, left = nonnegative_least_squares(matrix, target)
    if left <= INFEASIBLE:
        return None
    residual = matrix @ multipliers - target
    return span @ (-residual[:-1] / residual[-1])
