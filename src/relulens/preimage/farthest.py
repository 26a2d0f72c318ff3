"""The farthest point of a bounded polyhedron, as far as found."""

import numpy as np
from scipy.linalg import eigh

from relulens.certificates.rounding import Array
from relulens.numerics.interior_point import maximise

_INSIDE = 1 - 1e-9
WORK, MOST_STARTS = 6e9, 100
"""Multiplications that starts may take by default, and how many there are at most."""


def longest_step(G: Array, g: Array, z: Array) -> float:
    """Return the largest t with ``t G z <= g``, infinite where nothing stops it."""
    rate = G @ z
    ahead = rate > 1e-13 * np.abs(z).max(initial=0.0)
    if not ahead.any():
        return np.inf
    return float(np.min(np.maximum(g[ahead], 0.0) / rate[ahead]))


def farthest(
    G: Array, g: Array, *, restarts: int | None, seed: int, rounds: int = 12
) -> tuple[Array, float]:
    """Return a point with ``G z <= g`` far from zero, by linear programs in turn.

    Each program maximises the last point's direction, which never brings it nearer; the
    ends are vertices. Starts are the long axes of an ellipsoid inside, then random.

    Args:
        G: Rows [p, q] of Euclidean norm one; the set is bounded.
        g: Slack at zero [p], nonnegative.
        restarts: How many starts; by default 4 to 100, by size.
        seed: For the random ones.
        rounds: The most programs a start.

    Returns:
        The point and its Euclidean norm; both zero where no program converged.
    """
    best, length = np.zeros(G.shape[1]), 0.0
    if restarts is None:
        p, q = G.shape
        restarts = int(min(MOST_STARTS, max(4, WORK // (80.0 * max(p * q * q, 1)))))
    for start in _starts(G, g, restarts, seed):
        z, size = _climb(G, g, start, rounds)
        if size > length:
            best, length = z, size
    return best, length


def _climb(G: Array, g: Array, start: Array, rounds: int) -> tuple[Array, float]:
    cost, length, best = start, 0.0, np.zeros(G.shape[1])
    for _ in range(rounds):
        found = maximise(cost / np.linalg.norm(cost), G, g, accuracy=1e-7)
        z = found.point
        step = min(1.0, longest_step(G, g, z))
        z = z * (step * _INSIDE)
        size = float(np.linalg.norm(z))
        if size <= length * (1 + 1e-6):
            break
        best, length, cost = z, size, z
    return best, length


def _starts(G: Array, g: Array, restarts: int, seed: int) -> list[Array]:
    q = G.shape[1]
    middle = float(np.median(g)) if g.size else 1.0
    width = np.maximum(g, 1e-3 * max(middle, 1e-12))
    scaled = G / width[:, None]
    axes = eigh(scaled.T @ scaled)[1]
    generator = np.random.default_rng(seed)
    starts: list[Array] = []
    for count in range(restarts):
        if count < min(restarts // 2, 2 * q):
            starts.append(axes[:, count // 2] * (1.0 if count % 2 == 0 else -1.0))
        else:
            starts.append(generator.standard_normal(q))
    return starts
