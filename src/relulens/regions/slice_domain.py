"""Domains of slices: convex polygons in plane coordinates."""

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
    if not np.isfinite(corners).all():
        bad = int((~np.isfinite(corners)).sum())
        raise NotFiniteError(
            f"cannot cut the domain: {bad} of its {corners.size} coordinates are NaN"
            " or infinite. Give a bounded polygon."
        )
    turns = _turns(corners)
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
    turned = corners if max(turns) > 0 else corners[::-1]
    _check_simple(turned)
    return np.ascontiguousarray(turned)


def _turns(corners: np.ndarray) -> list[int]:
    """Return the sign of the turn at every corner, exactly."""
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    (ax, ay), (bx, by) = (corners - before).T, (after - corners).T
    turns = ax * by - ay * bx
    # Each difference and product is rounded once, and so is their difference.
    doubt = np.abs(turns) <= 2.0**-50 * (np.abs(ax * by) + np.abs(ay * bx))
    signs: list[int] = np.sign(turns).astype(int).tolist()
    doubt |= (np.abs(turns) < 1e-290) | ~np.isfinite(turns)
    for i in np.flatnonzero(doubt).tolist():
        signs[i] = _turn(before[i], corners[i], after[i])
    return signs


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> int:
    """Return the sign of the turn from one step to the next, in fractions."""
    (ax, ay), (bx, by), (cx, cy) = (
        (Fraction(float(x)), Fraction(float(y))) for x, y in (a, b, c)
    )
    turn = (bx - ax) * (cy - by) - (by - ay) * (cx - bx)
    return (turn > 0) - (turn < 0)


def _check_simple(corners: np.ndarray) -> None:
    """Refuse repeated corners and polygons that go around more than once.

    Raises:
        InvalidArgumentError: Neighbouring corners are equal, or it winds again.
    """
    steps = np.roll(corners, -1, axis=0) - corners
    repeated = int((steps == 0).all(1).sum())
    if repeated:
        raise InvalidArgumentError(
            f"cannot cut the domain: {repeated} of its {len(corners)} sides have length"
            " 0. Give every corner once."
        )
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    around = np.mod(np.diff(np.append(angles, angles[0])) + np.pi, 2 * np.pi) - np.pi
    if around.sum() > 3 * np.pi:
        raise InvalidArgumentError(
            f"cannot cut the domain: its {len(corners)} sides go around"
            f" {around.sum() / (2 * np.pi):.0f} times, not once. Give the corners of a"
            " convex polygon in order."
        )
