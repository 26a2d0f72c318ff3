"""Candidates for both answers: multipliers that span, or a direction that recedes."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.linalg import eigh, qr, solve_triangular, svd

from relulens.certificates.rounding import Array
from relulens.errors import SolverError
from relulens.numerics.least_squares import nonnegative_least_squares
from relulens.preimage.barrier import Candidate, barrier
from relulens.preimage.sifted import sifted_barrier

_EPS = float(np.finfo(np.float64).eps)
_LARGE = 4_000_000
"""Past so many entries the active-set method would take minutes; it is left out."""


def candidates(G: Array) -> Iterator[tuple[str, Candidate]]:
    """Give answers to try, the likeliest first; each must still be proved.

    Args:
        G: Rows [p, q] of Euclidean norm one, q at least one.

    Yields:
        The method's name and a candidate. Few rows are solved outright; then barrier
        steps, a null vector of dependent columns, and nonnegative least squares.
    """
    p, q = G.shape
    if p <= q:
        yield from _few(G)
        return
    found = sifted_barrier(G)
    if found.kind != "none":
        yield "barrier", found
    null = _null_vector(G)
    if null is not None:
        yield "null vector", _recession(null)
    else:
        yield from _whitened(G)
    if found.kind == "none" and found.vector.any():
        yield "barrier", _recession(found.vector)
    if G.size <= _LARGE:
        yield from _least_squares(G)


def _whitened(G: Array) -> Iterator[tuple[str, Candidate]]:
    """Take barrier steps in coordinates where the columns are orthonormal."""
    basis, triangle = qr(G, mode="economic", check_finite=False)
    size = np.sqrt((basis**2).sum(1))
    if size.min() == 0:
        return
    found = barrier(np.ascontiguousarray(basis / size[:, None]))
    if found.kind == "spanning":
        vector = found.vector / size
    else:
        vector = solve_triangular(triangle, found.vector)
    if found.kind != "none":
        yield "whitened barrier", replace(found, vector=vector)


def _recession(vector: Array) -> Candidate:
    return Candidate(kind="recession", vector=vector, iterations=0)


def _few(G: Array) -> Iterator[tuple[str, Candidate]]:
    """Solve ``G z = -1``; if the rows are dependent, a null vector answers."""
    if G.shape[0]:
        solved = np.linalg.lstsq(G, -np.ones(G.shape[0]), rcond=None)[0]
        z = np.asarray(solved, dtype=np.float64)
        if (G @ z).max() < -0.5:
            yield "few rows", _recession(z)
    null = _null_vector(G)
    if null is not None:
        yield "null vector", _recession(null)


def _null_vector(G: Array) -> Array | None:
    if G.shape[0] == 0:
        return np.eye(G.shape[1])[0]
    if G.size > _LARGE:
        values, vectors = eigh(G.T @ G, check_finite=False)
        return vectors[:, 0] if values[0] <= 1e-14 * values[-1] else None
    _, values, right = svd(G, full_matrices=True, check_finite=False)
    short = values.size < G.shape[1]
    limit = 100 * _EPS * max(G.shape) * values[0]
    return right[-1] if short or values[-1] <= limit else None


def _least_squares(G: Array) -> Iterator[tuple[str, Candidate]]:
    """Give ``min |G^T (m + 1)|`` over m >= 0: zero spans, else its residual recedes."""
    right = -G.sum(0)
    try:
        extra, distance = nonnegative_least_squares(np.ascontiguousarray(G.T), right)
    except SolverError:
        return
    values = extra + 1.0
    if distance <= 1e-9 * np.linalg.norm(values):
        yield "least squares", Candidate(kind="spanning", vector=values, iterations=0)
    else:
        yield "least squares", _recession(right - extra @ G)
