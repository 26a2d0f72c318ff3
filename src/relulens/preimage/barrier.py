"""Decide by Newton steps on a barrier whether rows positively span their space."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

Array: TypeAlias = NDArray[np.float64]

_FLAT = 1e-7
"""Pivots below this times the largest leave no digit in a Newton step."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Candidate:
    """What the Newton steps ended with; nothing here is proved yet.

    Attributes:
        kind: ``"spanning"`` with multipliers, ``"recession"`` with a direction, or
            ``"none"`` with the last point, which grows along a direction if anything.
        vector: Multipliers [p], or a direction [q].
        iterations: Newton steps taken.
    """

    kind: Literal["spanning", "recession", "none"]
    vector: Array
    iterations: int


def _line_minimum(s: Array, d: Array) -> float:
    """Return where ``-sum log(s - t d)`` is smallest along t > 0, if it is finite."""
    ahead = d > 0
    last = float(np.min(s[ahead] / d[ahead]))
    ratio = d / s
    low, high = 0.0, 1.0 - 1e-12
    t = min(1.0, 0.5 * last) / last
    for _ in range(60):
        part = ratio / (1.0 - (t * last) * ratio)
        slope = float(part.sum())
        if slope > 0:
            high = t
        else:
            low = t
        guess = t - slope / (float(part @ part) * last)
        if not low < guess < high:
            guess = 0.5 * (low + high)
        if abs(guess - t) < 1e-6 * t or high - low < 1e-9:
            t = guess
            break
        t = guess
    return t * last


def _newton_step(G: Array, s: Array) -> Array | None:
    """Return the barrier's Newton step, or nothing where its Hessian is singular."""
    scaled = G / s[:, None]
    hessian = blas.dsyrk(1.0, scaled.T)
    factor, info = lapack.dpotrf(hessian, clean=0)
    if info != 0:
        return None
    pivots = np.diag(factor)
    if pivots.min() < _FLAT * pivots.max():
        return None
    slope = scaled.sum(0)
    step, _ = lapack.dpotrs(factor, slope)
    rest = slope - scaled.T @ (scaled @ step)
    correction, _ = lapack.dpotrs(factor, rest)
    return -(step + correction)


def barrier(
    G: Array, *, start: Array | None = None, steps: int = 40, grown: float = 1e14
) -> Candidate:
    r"""Minimise :math:`-\sum_i \log(1 - g_i^T z)`, which has a minimiser iff rows span.

    A Newton step :math:`\delta` gives :math:`w = 1 + G\delta / s`, :math:`s = 1 - Gz`,
    with :math:`G^T (w / s) = 0`: multipliers if all are positive. If instead
    :math:`G\delta \le 0` or :math:`Gz \le 0`, that is a direction of recession.

    Args:
        G: Rows [p, q] of Euclidean norm one.
        start: A point with ``G z < 1``; zero by default.
        steps: The most Newton steps.
        grown: Stop once the largest ``1 - g z`` exceeds this.

    Returns:
        A candidate; rounding is not accounted for.

    Cost:
        One product ``G^T G`` and one Cholesky factorisation a step; 0 to 15 steps.
    """
    z = np.zeros(G.shape[1]) if start is None else start
    s = np.ones(G.shape[0]) if start is None else 1.0 - G @ z
    for count in range(steps):
        step = _newton_step(G, s)
        if step is None or not np.isfinite(step).all():
            break
        d = G @ step
        w = 1.0 + d / s
        if w.min() > 1e-9:
            return Candidate(kind="spanning", vector=w / s, iterations=count)
        if d.max() <= 0:
            return Candidate(kind="recession", vector=step, iterations=count)
        z = z + _line_minimum(s, d) * step
        s = 1.0 - G @ z
        if s.min() >= 1.0:
            return Candidate(kind="recession", vector=z, iterations=count + 1)
        if s.min() <= 0 or s.max() > grown:
            break
    return Candidate(kind="none", vector=z, iterations=count + 1)
