"""Least squares with nonnegative unknowns: the one door to scipy's solver."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from relulens.errors import SolverError


def nonnegative_least_squares(
    matrix: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the nonnegative x that brings ``matrix x`` nearest to ``right``.

    Args:
        matrix: Coefficients [rows, columns].
        right: What is approximated [rows].

    Returns:
        The minimiser [columns] and the Euclidean distance that is left.

    Raises:
        SolverError: The active-set method did not end.
    """
    try:
        solution, distance = nnls(matrix, right, maxiter=30 * max(matrix.shape[1], 30))
    except RuntimeError as error:
        raise SolverError(
            f"cannot solve nonnegative least squares [{matrix.shape[0]},"
            f" {matrix.shape[1]}]: {error}. Scale the rows, or ask for less."
        ) from error
    return solution, float(distance)
