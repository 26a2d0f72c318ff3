"""Domains of slices: convex polygons in plane coordinates."""

import math
from fractions import Fraction

import numpy as np
import torch

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.arrays import tensor_of


def convex_polygon(domain: object) -> np.ndarray:
    """Return a convex polygon [k, 2] counter-clockwise.

    Args:
        domain: Its corners, in either sense of rotation.

    Raises:
        InvalidArgumentError: It has fewer than three corners, no area, or it is not
            convex; decided in exact arithmetic.
        NotFiniteError: A coordinate is NaN or infinite.
    """
    given = tensor_of(domain, subject="the domain of a slice")
    corners = given.to("cpu", torch.float64).numpy()
    if corners.ndim != 2 or corners.shape[1] != 2 or corners.shape[0] < 3:
        raise InvalidArgumentError(
            f"cannot cut the domain: its shape is {list(corners.shape)}, and [k, 2]"
            " with at least 3 corners is needed. Give a convex polygon in plane"
            " coordinates."
        )
    bad = corners.size - int(np.isfinite(corners).sum())
    if bad:
        raise NotFiniteError(
            f"cannot cut the domain: {bad} of its {corners.size} coordinates are NaN"
            " or infinite. Give a bounded polygon."
        )
    rows: list[list[float]] = corners.tolist()
    turns = _turns(rows)
    if not any(turns):
        raise InvalidArgumentError(
            f"cannot cut the domain: its {len(corners)} corners lie on one line, so its"
            " area is 0. Give a polygon with area above 0."
        )
    if any(t > 0 for t in turns) and any(t < 0 for t in turns):
        left, right = sum(t > 0 for t in turns), sum(t < 0 for t in turns)
        raise InvalidArgumentError(
            f"cannot cut the domain: it is not convex, {left} of its corners turn left"
            f" and {right} turn right. Cut a convex polygon, or several."
        )
    if max(turns) <= 0:
        rows.reverse()
    _check_simple(rows)
    return np.array(rows)


def _turns(corners: list[list[float]]) -> list[int]:
    """Return the sign of the turn at every corner, exactly."""
    signs = []
    (ax, ay), (bx, by) = corners[-2], corners[-1]
    for cx, cy in corners:
        one, two = (bx - ax) * (cy - by), (by - ay) * (cx - bx)
        turn = one - two
        # Each difference and product is rounded once, and so is their difference.
        if abs(turn) > max(2.0**-50 * (abs(one) + abs(two)), 1e-290):
            signs.append(1 if turn > 0 else -1)
        else:
            signs.append(_turn((ax, ay), (bx, by), (cx, cy)))
        ax, ay, bx, by = bx, by, cx, cy
    return signs


def _turn(*places: tuple[float, float]) -> int:
    """Return the sign of the turn from one step to the next, in fractions."""
    (ax, ay), (bx, by), (cx, cy) = ((Fraction(x), Fraction(y)) for x, y in places)
    turn = (bx - ax) * (cy - by) - (by - ay) * (cx - bx)
    return (turn > 0) - (turn < 0)


def _check_simple(corners: list[list[float]]) -> None:
    """Refuse repeated corners and polygons that go around more than once.

    Raises:
        InvalidArgumentError: Neighbouring corners are equal, or it winds again.
    """
    steps = [
        (cx - bx, cy - by)
        for (bx, by), (cx, cy) in zip([corners[-1], *corners], corners, strict=False)
    ]
    repeated = steps.count((0.0, 0.0))
    if repeated:
        raise InvalidArgumentError(
            f"cannot cut the domain: {repeated} of its {len(corners)} sides have length"
            " 0. Give every corner once."
        )
    angles = [math.atan2(y, x) for x, y in steps]
    around = 0.0
    for before, after in zip([angles[-1], *angles], angles, strict=False):
        around += (after - before + math.pi) % (2 * math.pi) - math.pi
    if around > 3 * math.pi:
        raise InvalidArgumentError(
            f"cannot cut the domain: its {len(corners)} sides go around"
            f" {around / (2 * math.pi):.0f} times, not once. Give the corners of a"
            " convex polygon in order."
        )
