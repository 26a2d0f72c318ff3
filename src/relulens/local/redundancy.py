"""Which inequalities of a polytope are needed, and the largest ball in it."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import lapack
from torch import Tensor

from relulens.errors import SolverError
from relulens.numerics.linear_programs import Inequalities

_PROJECTED = 4096
"""Most rows of which a dense Gram matrix is made."""

Bounds: TypeAlias = tuple[Tensor, Tensor] | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ball:
    """A ball in the l2 norm.

    Attributes:
        centre: Its centre.
        radius: Its radius, possibly infinite; negative if the set is empty.
    """

    centre: Float[Tensor, " ..."]
    radius: float


def _with_box(
    rows: NDArray[np.float64], right: NDArray[np.float64], box: Bounds
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if box is None:
        return rows, right
    low, high = (bound.numpy() for bound in box)
    unit = np.eye(rows.shape[1])
    upper, lower = np.isfinite(high), np.isfinite(low)
    both = [rows, unit[upper], -unit[lower]]
    return np.concatenate(both), np.concatenate([right, high[upper], -low[lower]])


def _normed(
    rows: NDArray[np.float64], right: NDArray[np.float64], constant: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the places of the rows that vary, and these rows with norm one."""
    norms = np.linalg.norm(rows, axis=1)
    places = np.nonzero(~constant & (norms > 0))[0]
    return places, rows[places] / norms[places, None], right[places] / norms[places]


def largest_ball(
    rows: NDArray[np.float64],
    right: NDArray[np.float64],
    constant: NDArray[np.bool_],
    point: NDArray[np.float64],
    *,
    box: Bounds,
) -> Ball:
    """Return the largest ball in a polytope.

    Args:
        rows: Left-hand sides [m, n].
        right: Right-hand sides [m].
        constant: Rows that do not count.
        point: A point of the polytope, the centre if the radius is unbounded.
        box: Bounds that hold, too.

    Raises:
        SolverError: The polytope has no point, beyond rounding.
    """
    _, unit, scaled = _normed(rows, right, constant)
    unit, scaled = _with_box(unit, scaled, box)
    width = rows.shape[1]
    wide = np.concatenate([unit, np.ones((len(unit), 1))], axis=1)
    cost = np.zeros(width + 1)
    cost[-1] = 1.0
    # Relative to the point, so that the solver sees slacks rather than coordinates.
    slack = scaled - unit @ point
    found = Inequalities(wide, slack).maximise(cost)
    if found.status == "infeasible":
        raise SolverError(
            f"cannot find a ball: the {len(unit)} inequalities have no common point for"
            " the solver. Check the point and the domain."
        )
    if found.status == "unbounded":
        return Ball(centre=torch.from_numpy(point.copy()), radius=float("inf"))
    centre = torch.from_numpy(point + found.point[:-1])
    return Ball(centre=centre, radius=found.value)


def _first_of_each(
    unit: NDArray[np.float64], right: NDArray[np.float64], tol: float
) -> NDArray[np.int64]:
    """Return the tightest row of each direction, the first one where equal."""
    order = np.lexsort((np.arange(len(unit)), right))
    # Rows that agree along two random directions to rounding are compared in full.
    drawn = np.random.default_rng(0).standard_normal((unit.shape[1], 2))
    keys = unit @ drawn
    groups: dict[tuple[int, int], list[int]] = {}
    kept: list[int] = []
    for place in order:
        cell = np.floor(keys[place] * 1e8).astype(np.int64)
        near = [
            other
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
            for other in groups.get((int(cell[0]) + a, int(cell[1]) + b), ())
        ]
        if any(np.linalg.norm(unit[place] - unit[other]) <= tol for other in near):
            continue
        groups.setdefault((int(cell[0]), int(cell[1])), []).append(int(place))
        kept.append(int(place))
    return np.sort(np.array(kept, dtype=np.int64))


def irredundant(
    rows: NDArray[np.float64],
    right: NDArray[np.float64],
    constant: NDArray[np.bool_],
    point: NDArray[np.float64],
    *,
    box: Bounds,
    tol: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows that are needed, with norm one.

    Independent rows are all needed. Else Clarkson's method: the rows that rays from an
    inner point hit first are needed, and every other row is tested against those found
    so far only.

    Args:
        rows: Left-hand sides [m, n].
        right: Right-hand sides [m].
        constant: Rows that do not count.
        point: A point of the polytope.
        box: Bounds that hold, too; its sides are not listed.
        tol: Distance that a row must cut off to be needed.

    Returns:
        Places of the needed rows, these rows, and their right-hand sides.
    """
    places, unit, scaled = _normed(rows, right, constant)
    if not len(places):
        return places, unit, scaled
    first = _first_of_each(unit, scaled, 1e-9)
    places, unit, scaled = places[first], unit[first], scaled[first]
    all_rows, all_right = _with_box(unit, scaled, box)
    if _independent(all_rows):
        return places, unit, scaled
    if float((all_right - all_rows @ point).min()) > 1e3 * tol:
        kept = _by_rays(all_rows, all_right, len(places), point, tol)
        return places[kept], unit[kept], scaled[kept]
    centre = largest_ball(
        all_rows, all_right, np.zeros(len(all_rows), dtype=bool), point, box=None
    )
    if centre.radius <= tol:
        kept = _one_by_one(all_rows, all_right, len(places), point, tol)
    else:
        inner = _inner(centre, all_rows, all_right, point)
        kept = _by_rays(all_rows, all_right, len(places), inner, tol)
    return places[kept], unit[kept], scaled[kept]


def _independent(rows: NDArray[np.float64]) -> bool:
    """Tell whether rows of norm one are surely linearly independent.

    The Cholesky factor of ``rows rows^T`` less a shift exists only if the smallest
    eigenvalue exceeds the shift, up to rounding far below it.
    """
    count, width = rows.shape
    if count > width:
        return False
    gram = rows @ rows.T
    gram[np.diag_indices(count)] -= 1e-9 + 1e-13 * count
    return int(lapack.dpotrf(gram, lower=1)[1]) == 0


def _inner(
    centre: Ball,
    rows: NDArray[np.float64],
    right: NDArray[np.float64],
    point: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return a point well inside: the ball's centre, or of one of bounded radius."""
    if np.isfinite(centre.radius):
        return centre.centre.numpy()
    width = rows.shape[1]
    wide = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    cap = np.zeros((1, width + 1))
    cap[0, -1] = 1.0
    slack = right - rows @ point
    radius = 1.0 + float(np.abs(slack).max(initial=0.0))
    program = Inequalities(
        np.concatenate([wide, cap]), np.concatenate([slack, [radius]])
    )
    return point + program.maximise(cap[0]).point[:-1]


def _by_rays(
    rows: NDArray[np.float64],
    right: NDArray[np.float64],
    listed: int,
    inner: NDArray[np.float64],
    tol: float,
) -> NDArray[np.int64]:
    slack = right - rows @ inner  # All positive.
    generator = np.random.default_rng(0)
    needed = np.zeros(len(rows), dtype=bool)
    needed[listed:] = True
    _mark_projected(rows, slack, needed)
    if needed.all():
        return np.arange(listed)
    drawn = generator.standard_normal((2 * min(len(rows), 256), rows.shape[1]))
    _mark_all(rows, slack, drawn, needed)
    program = Inequalities(rows[needed], slack[needed])
    for place in range(listed):
        while not needed[place]:
            program.add(rows[place], slack[place] + 1.0)
            found = program.maximise(rows[place])
            program.remove_last()
            if found.value <= slack[place] + tol:
                break
            hit = _mark_first_hit(rows, slack, found.point, needed)
            if hit is None:
                needed[place] = True
                hit = place
            program.add(rows[hit], slack[hit])
    return np.nonzero(needed[:listed])[0]


def _mark_projected(
    rows: NDArray[np.float64],
    slack: NDArray[np.float64],
    needed: NDArray[np.bool_],
) -> None:
    """Mark rows that a ray of its own for each row hits first.

    In units of its slack, row j grows like ``z_j`` along a ray, and z is any vector in
    the range of the scaled rows; the row with the largest entry is hit first. The best
    guess for row i is the projection of the unit vector i on that range.
    """
    if len(rows) > _PROJECTED:
        return
    # Any scale will do for the guess; tiny slacks would only spoil its accuracy.
    scale = np.maximum(slack, 0.05 * np.median(slack))
    scaled = rows / scale[:, None]
    gram = scaled @ scaled.T
    tol = 1e-12 * float(gram.diagonal().max())
    factor, pivots, rank, _ = lapack.dpstrf(gram, lower=1, tol=tol)
    basis = np.empty((len(rows), rank))
    basis[pivots - 1] = np.tril(factor)[:, :rank]
    span, _ = np.linalg.qr(basis)
    shadow = span @ span.T
    for place in np.nonzero(~needed)[0]:
        needed[place] = _comes_first(shadow, scale / slack, int(place))


def _comes_first(
    shadow: NDArray[np.float64], speed: NDArray[np.float64], place: int
) -> bool:
    """Tell whether a vector of the range was found whose largest entry is one row's."""
    z = shadow[place].copy()
    for _ in range(60):
        hits = z * speed
        own = hits[place]
        hits[place] = -np.inf
        if own <= 1e-9:
            return False
        ahead = np.nonzero(hits > 0.98 * own)[0]
        if float(hits.max()) < own * (1 - 1e-6):
            return True
        # Push the rows that come first back below, one step of relaxation each.
        back = (hits[ahead] - 0.9 * own) / speed[ahead] / shadow[ahead, ahead]
        z = z - back @ shadow[ahead]
    return False


def _mark_all(
    rows: NDArray[np.float64],
    slack: NDArray[np.float64],
    directions: NDArray[np.float64],
    needed: NDArray[np.bool_],
) -> None:
    """Mark the rows that rays from the inner point hit first, where one is alone."""
    for some in np.array_split(directions, max(1, len(directions) // 256)):
        speed = some @ rows.T
        ahead = speed > 1e-12 * np.linalg.norm(some, axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            times = np.where(ahead, slack / speed, np.inf)
        if times.shape[1] < 2:
            needed[0] |= bool(ahead.any())
            continue
        two = np.argpartition(times, 1, axis=1)[:, :2]
        near = np.take_along_axis(times, two, axis=1)
        first = two[np.arange(len(some)), near.argmin(axis=1)]
        least, second = near.min(axis=1), near.max(axis=1)
        alone = np.isfinite(least) & (second > least * (1 + 1e-9))
        needed[first[alone]] = True


def _mark_first_hit(
    rows: NDArray[np.float64],
    slack: NDArray[np.float64],
    direction: NDArray[np.float64],
    needed: NDArray[np.bool_],
) -> int | None:
    """Mark the row that a ray from the inner point hits first, if it is alone."""
    speed = rows @ direction
    ahead = speed > 1e-12 * np.linalg.norm(direction)
    if not ahead.any():
        return None
    times = np.full(len(rows), np.inf)
    times[ahead] = slack[ahead] / speed[ahead]
    two = np.argpartition(times, 1)[:2] if len(times) > 1 else np.array([0])
    first = int(two[np.argmin(times[two])])
    second = float(np.max(times[two])) if len(two) > 1 else np.inf
    if needed[first] or second <= times[first] * (1 + 1e-9):
        return None
    needed[first] = True
    return first


def _one_by_one(
    rows: NDArray[np.float64],
    right: NDArray[np.float64],
    listed: int,
    point: NDArray[np.float64],
    tol: float,
) -> NDArray[np.int64]:
    """Leave out, in turn, each row that follows from those that are left.

    This needs no inner point, so it serves where equalities are hidden in the rows.
    """
    slack = right - rows @ point
    program = Inequalities(rows, slack)
    kept = np.ones(listed, dtype=bool)
    for place in range(listed):
        program.set_right(place, slack[place] + 1.0)
        if program.maximise(rows[place]).value <= slack[place] + tol:
            kept[place] = False
            program.set_right(place, np.inf)
        else:
            program.set_right(place, slack[place])
    return np.nonzero(kept)[0]
