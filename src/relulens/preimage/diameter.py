"""The diameter of a pre-image's piece, from both sides."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.preimage.bounding_image import Ranges
from relulens.preimage.centres import BarrierCentre
from relulens.preimage.extents import Programs

_LARGE = 100_000_000
"""Past so many products a Newton step, a linear program takes seconds."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Diameter:
    """The largest distance of two points of a set, in the variable's unit.

    Attributes:
        lower: Distance of the farthest pair found; infinite for an unbounded set.
        upper: No pair is farther apart.
        pair: The pair [2, n]; nothing for an unbounded set.
        method: What gave the upper bound: ``"box"`` (the coordinates' ranges) or
            ``"ellipsoid"``, or ``"none"``.
    """

    lower: float
    upper: float
    pair: Float[Tensor, "2 columns"] | None
    method: str


def climb(
    programs: Programs,
    middle: BarrierCentre | None,
    *,
    seed: int,
) -> None:
    """Look for far pairs: ends of a direction, then of the pair found, in turn.

    Directions start near the long axes of the barrier's ellipsoid. They are tilted at
    random, because the end along an axis of symmetry may be a whole face. Where one
    program takes seconds, only the longest axis is looked at.
    """
    p, q = programs.piece.rows.shape
    starts, rounds = (3, 4) if p * q * q < _LARGE else (1, 2)
    axes = np.eye(q) if middle is None else eigh(middle.hessian)[1]
    generator = np.random.default_rng(seed)
    for start in range(starts):
        turn = axes[:, min(start, q - 1)] + 0.1 * _unit(generator.standard_normal(q))
        _rise(programs, _unit(programs.piece.basis @ turn), rounds)


def _rise(programs: Programs, direction: Array, rounds: int) -> None:
    length = 0.0
    for _ in range(rounds):
        high, low = programs.furthest(direction), programs.furthest(-direction)
        if not np.isfinite([high.found, low.found]).all():
            return
        pair = high.point - low.point
        size = float(np.linalg.norm(pair))
        if size <= length * (1 + 1e-6):
            return
        direction, length = pair / size, size


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)


def diameter(
    programs: Programs, middle: BarrierCentre | None, ranges: Ranges
) -> Diameter:
    """Return the farthest pair of the points found, and the best bound known."""
    if not programs.bounded:
        return Diameter(lower=np.inf, upper=np.inf, pair=None, method="none")
    points = np.array([programs.piece.origin, *programs.points])
    distance = cdist(points, points)
    first, second = np.unravel_index(int(np.argmax(distance)), distance.shape)
    box = float((ranges.high_bound - ranges.low_bound).clamp(min=0.0).norm())
    ball = np.inf if middle is None else 2 * middle.reach
    upper, method = (box, "box") if box <= ball else (ball, "ellipsoid")
    return Diameter(
        lower=float(distance[first, second]),
        upper=float(upper) * (1 + 1e-12),
        pair=torch.from_numpy(points[[first, second]]),
        method=method if np.isfinite(upper) else "none",
    )
