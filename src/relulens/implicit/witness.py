"""Look for two equilibria of one input of a ReLU model."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from relulens.certificates.entries import entries_of
from relulens.certificates.equilibria import TwoEquilibria
from relulens.certificates.principal_minors import LARGEST, minor_signs
from relulens.implicit.gain_matrix import DENSE
from relulens.implicit.model import ImplicitModel

Array = NDArray[np.float64]


def two_equilibria(model: ImplicitModel, vector: Array) -> TwoEquilibria | None:
    """Return a proof that a ReLU model is not well-posed, or nothing.

    Candidates are single entries with ``a_ii >= 1``, the Perron vector, which is one
    for nonnegative A, and eigenvectors of principal submatrices of A with a real
    eigenvalue of 1 or more.

    Args:
        model: The model.
        vector: The Perron vector of the gains.
    """
    if not model.phi.all_relu or model.n > DENSE:
        return None
    matrix, radius = entries_of(model.A)
    for gap in _candidates(matrix, radius, vector):
        found = TwoEquilibria(A=model.A, gap=torch.from_numpy(gap))
        if _promising(matrix, gap) and found.verify():
            return found
    return None


def _promising(matrix: Array, gap: Array) -> bool:
    turned = gap * (gap - matrix @ gap)
    size = np.abs(gap) * (np.abs(gap) + np.abs(matrix) @ np.abs(gap))
    return bool(gap.any() and (turned <= 1e-9 * size).all())


def _candidates(matrix: Array, radius: Array, vector: Array) -> Iterator[Array]:
    n = matrix.shape[0]
    worst = int(np.argmax(np.diagonal(matrix))) if n else 0
    if n and matrix[worst, worst] >= 1:
        yield np.eye(n)[worst]
    yield vector.copy()
    if n <= LARGEST:
        sign, rows = minor_signs(np.eye(n) - matrix, radius)
        if sign != "positive":
            yield from _eigenvectors(matrix, np.array(rows))
    _, label = connected_components(csr_array(matrix != 0), connection="strong")
    for component in np.unique(label):
        yield from _eigenvectors(matrix, np.flatnonzero(label == component))


def _eigenvectors(matrix: Array, rows: NDArray[np.int64]) -> Iterator[Array]:
    """Yield eigenvectors for real eigenvalues of 1 or more of a principal submatrix."""
    values, vectors = np.linalg.eig(matrix[np.ix_(rows, rows)])
    real = np.flatnonzero((np.abs(values.imag) < 1e-12) & (values.real > 1 - 1e-12))
    for place in real:
        found = vectors[:, place].real
        found[np.abs(found) < 1e-12 * np.abs(found).max()] = 0.0
        full = np.zeros(matrix.shape[0])
        full[rows] = found
        yield full
