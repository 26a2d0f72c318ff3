"""Vertices of slices that floats place badly, placed by whole numbers.

Where lines are nearly parallel, or a function is nearly zero along a whole edge, the
place of a crossing is lost in rounding although its order among others is known.
"""

import numpy as np

from relulens.regions.exact_entries import TooLongError
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_mesh import Floats, Origin

_ROUND = 2.0**-52

_BAD = 1e-6
"""Error of a place, in parts of the largest coordinate, past which it is mended."""


def mend_places(
    places: Floats, errors: Floats, shares: Floats, origin: Origin, exact: ExactSigns
) -> None:
    """Place the last vertices again where their errors are large.

    Args:
        places: Vertices [V, 2], changed.
        errors: Bounds on the errors of their coordinates [V], changed.
        shares: How far the last of them are from the first to the second vertex that
            they lie between, 0 to 1, changed.
        origin: How the vertices were made.
        exact: Gives places; what it has no time for is left as it is.
    """
    start = len(places) - len(shares)
    if not len(shares):
        return
    size = float(np.abs(places).max())
    for at in np.flatnonzero(errors[start:] > _BAD * size).tolist():
        vertex = start + at
        ends = int(origin.first[vertex]), int(origin.second[vertex])
        try:
            x, y, w = exact.place(vertex, origin)
            one, two = (exact.place(end, origin) for end in ends)
        except TooLongError:
            continue
        places[vertex] = x / w, y / w
        errors[vertex] = 4 * _ROUND * size
        shares[at] = _share((x, y, w), one, two)


def _share(place: tuple[int, int, int], one: list[int], two: list[int]) -> float:
    """Return how far a place is from one to another that it lies between."""
    spans = [two[axis] * one[2] - one[axis] * two[2] for axis in (0, 1)]
    axis = 0 if abs(spans[0]) >= abs(spans[1]) else 1
    if not spans[axis]:
        return 0.0
    passed = place[axis] * one[2] - one[axis] * place[2]
    return (passed * two[2]) / (spans[axis] * place[2])
