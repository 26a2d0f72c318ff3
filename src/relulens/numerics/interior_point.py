"""Dense linear programs with many more inequalities than unknowns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Optimum:
    """The best point of a linear program, with a bound on what was missed.

    Attributes:
        point: A point that satisfies the inequalities strictly or nearly so [q].
        multipliers: Dual variables [p], positive.
        value: ``cost . point``.
        bound: ``right . multipliers``, an upper bound if ``rows^T multipliers = cost``.
        converged: Whether value and bound agree to the tolerance.
        steps: Newton steps taken.
    """

    point: NDArray[np.float64]
    multipliers: NDArray[np.float64]
    value: float
    bound: float
    converged: bool
    steps: int


def _longest(values: NDArray[np.float64], change: NDArray[np.float64]) -> float:
    falling = change < 0
    if not falling.any():
        return 1.0
    return min(1.0, float(np.min(-values[falling] / change[falling])))


def maximise(
    cost: NDArray[np.float64],
    rows: NDArray[np.float64],
    right: NDArray[np.float64],
    *,
    accuracy: float = 1e-8,
    steps: int = 80,
) -> Optimum:
    """Maximise ``cost . z`` where ``rows z <= right``, by Mehrotra's method.

    Args:
        cost: Objective [q].
        rows: Inequalities [p, q] of Euclidean norm about one, p well above q; the set
            is bounded and has an interior.
        right: Right-hand sides [p].
        accuracy: Relative gap of value and bound at which to stop.
        steps: The most Newton steps.

    Returns:
        The optimum; ``converged`` is false where the set is empty, flat or unbounded.

    Cost:
        One product ``rows^T D rows`` and one Cholesky factorisation a step, 10 to 25
        steps.
    """
    scale = max(float(np.abs(right).max(initial=0.0)), 1e-12)
    z = np.zeros(rows.shape[1])
    s = np.maximum(right, 0.1 * scale)
    m = np.full(rows.shape[0], max(float(np.linalg.norm(cost)), 1e-12)) / rows.shape[0]
    value = bound = 0.0
    for count in range(steps):
        primal, dual = right - rows @ z - s, cost - m @ rows
        value, bound = float(cost @ z), float(right @ m)
        size = 1e-30 + abs(value) + abs(bound)
        exact = np.abs(primal).max() <= accuracy * scale
        tight = np.abs(dual).max() <= accuracy * np.abs(cost).max(initial=1e-30)
        if exact and tight and abs(bound - value) <= accuracy * size:
            return _optimum(z, m, value, bound, count, converged=True)
        step = _mehrotra(rows, s, m, primal, dual)
        if step is None:
            break
        dz, ds, dm = step
        z = z + min(1.0, 0.995 * _full(s, ds)) * dz
        s = s + min(1.0, 0.995 * _full(s, ds)) * ds
        m = m + min(1.0, 0.995 * _full(m, dm)) * dm
    return _optimum(z, m, value, bound, steps, converged=False)


def _full(values: NDArray[np.float64], change: NDArray[np.float64]) -> float:
    falling = change < 0
    if not falling.any():
        return 1.0 / 0.995
    return float(np.min(-values[falling] / change[falling]))


def _optimum(
    z: NDArray[np.float64],
    m: NDArray[np.float64],
    value: float,
    bound: float,
    steps: int,
    *,
    converged: bool,
) -> Optimum:
    return Optimum(
        point=z,
        multipliers=m,
        value=value,
        bound=bound,
        converged=converged,
        steps=steps,
    )


def _mehrotra(
    rows: NDArray[np.float64],
    s: NDArray[np.float64],
    m: NDArray[np.float64],
    primal: NDArray[np.float64],
    dual: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    weight = m / s
    scaled = rows * np.sqrt(weight)[:, None]
    gram = blas.dsyrk(1.0, scaled.T)
    gram[np.diag_indices_from(gram)] *= 1 + 1e-13
    factor, info = lapack.dpotrf(gram, clean=0)
    if info != 0 or not np.isfinite(factor).all():
        return None

    def direction(
        target: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        right = dual + (weight * primal - target / s) @ rows
        dz, _ = lapack.dpotrs(factor, right)
        ds = primal - rows @ dz
        return dz, ds, (target - m * ds) / s

    gap = float(s @ m) / s.size
    _, ds, dm = direction(-s * m)
    after = (s + _longest(s, ds) * ds) @ (m + _longest(m, dm) * dm) / s.size
    centre = (max(float(after), 0.0) / gap) ** 3
    return direction(-s * m + centre * gap - ds * dm)
