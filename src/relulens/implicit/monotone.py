"""Find proofs of well-posedness for elementwise monotone phi."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from relulens.certificates.monotone import (
    DiagonalLyapunov,
    MetzlerBound,
    PMatrix,
    loop_matrix,
    metzler_factor,
)
from relulens.certificates.principal_minors import LARGEST
from relulens.implicit.gain_matrix import DENSE
from relulens.implicit.model import ImplicitModel
from relulens.implicit.perron import perron, weights

Array = NDArray[np.float64]

LARGEST_SCALED = 600
"""Largest state for which a diagonal Λ is looked for: every turn costs n^3."""

SMALLEST = 1e-300
"""Norm of ``I - A`` below which no Λ is looked for; for zero there is none."""


def steepest_slopes(model: ImplicitModel) -> torch.Tensor | None:
    """Return the largest slopes [n] of an elementwise monotone phi, else nothing."""
    slopes = model.phi.slopes()
    if slopes is None:
        return None
    low, high = slopes
    monotone = bool((low >= 0).all() and high.isfinite().all())
    return high.cpu() if monotone else None


def monotone_certificate(
    model: ImplicitModel,
) -> MetzlerBound | DiagonalLyapunov | PMatrix | None:
    """Return the cheapest proof that holds, or nothing."""
    steepest = steepest_slopes(model)
    if steepest is None or model.n > DENSE or model.n != model.m:
        return None
    matrix, radius = loop_matrix(model.A, steepest)
    vector = _metzler_vector(matrix)
    if vector is not None:
        factor = metzler_factor(matrix, radius, vector)
        if factor < 1:
            return MetzlerBound(
                A=model.A,
                steepest=steepest,
                vector=torch.from_numpy(vector),
                factor=factor,
            )
    if model.n <= LARGEST_SCALED:
        scales = diagonal_scales(np.eye(model.n) - matrix)
        if scales is not None:
            found = DiagonalLyapunov(
                A=model.A, steepest=steepest, scales=torch.from_numpy(scales)
            )
            if found.verify():
                return found
    if model.n <= LARGEST:
        last = PMatrix(A=model.A, steepest=steepest)
        return last if last.verify() else None
    return None


def _metzler_vector(matrix: Array) -> Array | None:
    """Return v > 0 with ``K v < v`` for the matrix with its diagonal signed."""
    signed = np.abs(matrix)
    diagonal = np.diagonal(matrix).copy()
    np.fill_diagonal(signed, diagonal)
    shift = max(0.0, -float(diagonal.min(initial=0.0)))
    largest = perron(signed + shift * np.eye(diagonal.size)).low - shift
    if not largest < 1:
        return None
    return weights(signed, 1 - 0.5 * min(1.0, 1 - largest))


def diagonal_scales(matrix: Array, *, turns: int = 60) -> Array | None:
    """Return d > 0 with ``diag(d) M + M^T diag(d)`` positive definite, if found.

    Newton's method on ``-w t - log det(S(d) - t I) - sum log d`` with ``sum d = n``,
    where S is that matrix, and the weight w of t grows until t is positive.

    Args:
        matrix: The matrix M [n, n].
        turns: Most Newton steps; each costs a few products of n by n matrices.
    """
    n = matrix.shape[0]
    d = np.ones(n)
    t = float(np.linalg.eigvalsh(matrix + matrix.T)[0])
    if t > 1e-9 or n == 0:
        return d
    scale = float(np.abs(matrix).sum(1).max())
    return None if scale < SMALLEST else _ascended(matrix, d, t, scale, turns)


def _ascended(
    matrix: Array, d: Array, t: float, scale: float, turns: int
) -> Array | None:
    """Return d for which Newton's method brought t above zero, if it did."""
    n = d.size
    t -= 0.1 * scale
    weight = n / scale
    for _ in range(turns):
        step = _newton_step(matrix, d, t, weight)
        if step is None:
            return None
        change, rise, decrement = step
        size = _step_size(matrix, d, t, change, rise)
        if size == 0.0:
            return None
        d, t = d + size * change, t + size * rise
        if t > 1e-9 * scale:
            return d
        if decrement < 0.5:
            if n / weight < 1e-8 * scale:
                return None
            weight *= 4
    return None


def _newton_step(
    matrix: Array, d: Array, t: float, weight: float
) -> tuple[Array, float, float] | None:
    """Return the steps of d and t, and the decrement."""
    n = d.size
    half = d[:, None] * matrix
    try:
        factor = cho_factor(half + half.T - t * np.eye(n), lower=True)
    except LinAlgError:
        return None
    inverse = cho_solve(factor, np.eye(n))
    product = matrix @ inverse
    slope = -2 * np.diagonal(product) - 1 / d
    rise = -weight + float(np.trace(inverse))
    curve = 2 * product * product.T + 2 * (product @ matrix.T) * inverse
    curve[np.diag_indices(n)] += 1 / d**2
    mixed = -2 * (product * inverse).sum(1)
    corner = float((inverse * inverse).sum())
    # Stationarity in d and t, and sum of the steps of d zero.
    system = np.zeros((n + 2, n + 2))
    system[:n, :n], system[:n, n], system[n, :n] = curve, mixed, mixed
    system[n, n], system[:n, n + 1], system[n + 1, :n] = corner, 1.0, 1.0
    right = np.concatenate([-slope, [-rise, 0.0]])
    try:
        found = np.asarray(np.linalg.solve(system, right), dtype=np.float64)
    except LinAlgError:
        return None
    if not np.isfinite(found).all():
        return None
    decrement = float(right @ found)
    return found[:n], float(found[n]), max(decrement, 0.0)


def _step_size(matrix: Array, d: Array, t: float, change: Array, rise: float) -> float:
    """Return a step that stays inside the cone, by halving."""
    size = 1.0
    for _ in range(40):
        next_d, next_t = d + size * change, t + size * rise
        if (next_d > 0).all():
            half = next_d[:, None] * matrix
            try:
                np.linalg.cholesky(half + half.T - next_t * np.eye(d.size))
            except np.linalg.LinAlgError:
                pass
            else:
                return size
        size /= 2
    return 0.0
