"""Uniform samples of a bounded polyhedron by hit-and-run, and whether they mixed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from relulens.certificates.rounding import Array
from relulens.numerics.mixing import mixing

_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Walk:
    """What chains of hit-and-run visited.

    Attributes:
        points: Points of the set [count, q].
        spread: Largest split R-hat over the coordinates.
        effective: Smallest effective sample size over the coordinates.
        steps: Steps of every chain, those before the first sample included.
    """

    points: Float[NDArray[np.float64], "count q"]
    spread: float
    effective: float
    steps: int


def hit_and_run(
    rows: Array,
    slack: Array,
    start: Array,
    hessian: Array,
    *,
    count: int,
    seed: int,
    chains: int = 16,
    thinning: int | None = None,
) -> Walk:
    """Return points that are uniform in the limit of long chains.

    Every step draws a direction and a uniform point on the chord. Directions are
    normal in coordinates that make the set round: first the barrier's ellipsoid, then
    the covariance of what was visited, three times over.

    Args:
        rows: Inequalities [p, q] of a bounded set with an interior.
        slack: Right-hand sides [p].
        start: A point strictly inside [q].
        hessian: Of the barrier there [q, q].
        count: How many points.
        seed: For all draws.
        chains: Chains that run side by side.
        thinning: Steps between samples; by default a quarter of the dimension squared,
            at least twice the dimension and at most 2000.

    Cost:
        Two products [p, q] by [q, chains] a step; about ``thinning * count / chains``
        steps, and before the first sample ``thinning * q / 3`` for 16 chains.
    """
    q = rows.shape[1]
    every = max(2 * q, min(q * q // 4, 2000)) if thinning is None else thinning
    kept = max(4, -(-count // chains))
    generator = np.random.default_rng(seed)
    z = np.repeat(start[:, None], chains, axis=1)
    shape = solve_triangular(cholesky(hessian), np.eye(q))
    warm = -(-8 * q // chains) + 4
    fast = max(1, every // 4)
    for _ in range(_ROUNDS):
        visited, z = _run(rows, slack, z, shape, generator, warm, fast)
        shape = _rounding(visited[warm // 4 :].reshape(-1, q))
    visited, _ = _run(rows, slack, z, shape, generator, kept, every)
    found = mixing(visited)
    return Walk(
        points=visited.reshape(-1, q)[:count],
        spread=float(found.spread.max()),
        effective=float(found.effective.min()),
        steps=_ROUNDS * warm * fast + kept * every,
    )


def _rounding(late: Array) -> Array:
    """Return a factor of the covariance of points, kept regular [q, q]."""
    q = late.shape[1]
    covariance = np.atleast_2d(np.cov(late.T))
    covariance += 1e-9 * np.trace(covariance) / q * np.eye(q)
    return cholesky(covariance, lower=True)


def _run(
    rows: Array,
    slack: Array,
    z: Array,
    shape: Array,
    generator: np.random.Generator,
    kept: int,
    every: int,
) -> tuple[Array, Array]:
    """Return the points kept [kept, chains, q] and the last ones [q, chains]."""
    rates = rows @ shape
    q, chains = z.shape
    visited = np.empty((kept, chains, q))
    for sample in range(kept):
        room = np.maximum(slack[:, None] - rows @ z, 0.0)
        for _ in range(every):
            turn = generator.standard_normal((q, chains))
            rate = rates @ turn
            with np.errstate(divide="ignore", invalid="ignore"):
                step = room / rate
            ahead = np.where(rate > 0, step, np.inf).min(0)
            behind = np.where(rate < 0, step, -np.inf).max(0)
            length = behind + generator.random(chains) * (ahead - behind)
            z = z + (shape @ turn) * length
            room = np.maximum(room - rate * length, 0.0)
        visited[sample] = z.T
    return visited, z
