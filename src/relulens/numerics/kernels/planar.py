"""Cut the cells of a planar graph by functions that are affine on every cell.

The functions are known by their signs at the vertices; where one changes sign on an
edge a vertex is made, shared by the cells on both sides. Inside a cell every function
that changes sign is a chord between two places of the cell's boundary, and the cell is
split along one chord after another; where chords cross, the crossing is made once, on
the chord that is cut along, and both halves get it. All decisions follow from signs at
vertices and from the order of crossings along an edge or chord; an order that rounding
leaves open and that no earlier decision implies is returned as a query.
"""

import numpy as np
from numba import njit

_ROUND = 2.0**-52
_ONE = np.uint64(1)
_TINY = 1e-290
_HUGE = 1e300


@njit(cache=True, nogil=True)
def sign_bits(z, tau, steep, error):
    """Return bitsets of surely positive and surely negative values, and the doubts.

    Args:
        z: Values [V, n].
        tau: Rounding of every function [n].
        steep: How much an error of the place counts in every function [n].
        error: Error of every vertex's place [V].
    """
    count, n = z.shape
    words = (n + 63) // 64
    positive = np.zeros((count, words), np.uint64)
    negative = np.zeros((count, words), np.uint64)
    doubts = np.empty((64, 2), np.int64)
    found = 0
    for v in range(count):
        off = error[v]
        for w in range(words):
            up = np.uint64(0)
            down = np.uint64(0)
            stop = min(64, n - 64 * w)
            for b in range(stop):
                k = 64 * w + b
                value = z[v, k]
                limit = tau[k] + off * steep[k]
                if value > limit:
                    up |= _ONE << np.uint64(b)
                elif value < -limit:
                    down |= _ONE << np.uint64(b)
                elif limit > 0.0 or value != 0.0:
                    if found == doubts.shape[0]:
                        more = np.empty((2 * found, 2), np.int64)
                        more[:found] = doubts
                        doubts = more
                    doubts[found, 0] = v
                    doubts[found, 1] = k
                    found += 1
            positive[v, w] = up
            negative[v, w] = down
    return positive, negative, doubts[:found]


@njit(cache=True, nogil=True, inline="always")
def _changes(e, edges, cells, positive, negative, active, w):
    """Return which functions of a word change sign on an edge and count beside it."""
    a = edges[e, 0]
    b = edges[e, 1]
    x = (positive[a, w] & negative[b, w]) | (negative[a, w] & positive[b, w])
    if x != 0 and active.shape[0]:
        mask = np.uint64(0)
        if cells[e, 0] >= 0:
            mask |= active[cells[e, 0], w]
        if cells[e, 1] >= 0:
            mask |= active[cells[e, 1], w]
        x &= mask
    return x


@njit(cache=True, nogil=True, error_model="numpy")
def edge_cuts(places, edges, cells, z, positive, negative, limits, blur, active):
    """Return where functions change sign inside edges, sorted along each edge.

    Args:
        places: Vertices [V, 2].
        edges: Vertices of every edge [E, 2].
        cells: Cells left and right [E, 2], -1 for none.
        z: Values [V, n].
        positive: Signs as bitsets [V, words].
        negative: Likewise.
        limits: Rounding and steepness of every function [2, n].
        blur: Error of every edge's line, across it [E].
        active: Functions that count in every cell [C, words], or [0, words] for all.

    Returns:
        Starts [E + 1], functions, parameters from the first vertex, their errors,
        how steep the function is at least, its value left there, and entries whose
        order to the next one is in doubt.
    """
    count = edges.shape[0]
    words = positive.shape[1]
    starts = np.zeros(count + 1, np.int64)
    total = 0
    for e in range(count):
        for w in range(words):
            x = _changes(e, edges, cells, positive, negative, active, w)
            while x != 0:
                x &= x - _ONE
                total += 1
        starts[e + 1] = total
    unit = np.empty(total, np.int64)
    place = np.empty(total, np.float64)
    slack = np.empty(total, np.float64)
    steep = np.empty(total, np.float64)
    rest = np.empty(total, np.float64)
    doubtful = np.zeros(total, np.bool_)
    for e in range(count):
        first = starts[e]
        end = first
        if starts[e + 1] == first:
            continue
        a = edges[e, 0]
        b = edges[e, 1]
        far = np.hypot(places[b, 0] - places[a, 0], places[b, 1] - places[a, 1])
        widest = 0.0
        for w in range(words):
            x = _changes(e, edges, cells, positive, negative, active, w)
            k = 64 * w - 1
            while x != 0:
                k += 1
                while x & np.uint64(255) == 0:
                    x >>= np.uint64(8)
                    k += 8
                while x & _ONE == 0:
                    x >>= _ONE
                    k += 1
                x >>= _ONE
                za = z[a, k]
                zb = z[b, k]
                gap = abs(za - zb)
                t = 0.5
                s = _HUGE
                over = 0.0
                if gap > 0.0:
                    free = za / (za - zb)
                    t = min(max(free, 0.0), 1.0)
                    # Signs at ends that are badly placed may be other than values.
                    s = 2.0 * (limits[0, k] + blur[e] * limits[1, k]) / gap
                    over = abs(free - t)
                    s += over + 2.0 * _ROUND
                widest = max(widest, s)
                i = end
                while i > first and place[i - 1] > t:
                    unit[i] = unit[i - 1]
                    place[i] = place[i - 1]
                    slack[i] = slack[i - 1]
                    steep[i] = steep[i - 1]
                    rest[i] = rest[i - 1]
                    i -= 1
                unit[i] = k
                place[i] = t
                slack[i] = s
                sure = max(gap - 2.0 * limits[0, k], 0.0)
                steep[i] = sure / far if far > 0.0 else 0.0
                rest[i] = over * gap
                end += 1
        for i in range(first, end - 1):
            doubtful[i] = place[i + 1] - place[i] <= slack[i] + widest
    return starts, unit, place, slack, steep, rest, np.flatnonzero(doubtful)


@njit(cache=True, nogil=True)
def mix_rows(rows, width, start, first, second, place):
    """Fill rows from ``start`` with mixtures of two earlier rows each, in order.

    Only the first ``width`` columns are. A mixture is 0 only if both numbers are.
    """
    for i in range(first.shape[0]):
        a = first[i]
        b = second[i]
        t = place[i]
        for j in range(width):
            x = rows[a, j]
            y = rows[b, j]
            mixed = x + t * (y - x)
            rows[start + i, j] = _TINY if mixed == 0.0 and x != y else mixed


@njit(cache=True, nogil=True)
def features(values, offsets, corners, codes, low, high, made, at):
    """Write two-slope units at vertices, 0 where and only where they are exactly 0.

    Args:
        values: Their arguments [V, n], affine on every cell.
        offsets: Where cells start in the next [C + 1].
        corners: Vertices of the cells.
        codes: Units that are positive on every cell, as bitsets [C, words].
        low: Slopes of negative arguments [n].
        high: Slopes of positive ones [n].
        made: Where they are written, in the columns from ``at``.
        at: First column.
    """
    count, n = values.shape
    words = codes.shape[1]
    on = np.zeros((count, words), np.uint64)
    off = np.zeros((count, words), np.uint64)
    for c in range(offsets.shape[0] - 1):
        for i in range(offsets[c], offsets[c + 1]):
            v = corners[i]
            for w in range(words):
                on[v, w] |= codes[c, w]
                off[v, w] |= ~codes[c, w]
    for v in range(count):
        for w in range(words):
            up = on[v, w]
            down = off[v, w]
            for b in range(min(64, n - 64 * w)):
                k = 64 * w + b
                z = values[v, k]
                here = np.uint64(b)
                above = (up >> here) & _ONE != 0
                below = (down >> here) & _ONE != 0
                negative = low[k] * min(z, -_TINY)
                positive = 0.0 if below else high[k] * max(z, _TINY)
                made[v, at + k] = positive if above else negative


@njit(cache=True, nogil=True)
def supports(values, errors, offsets, corners, start, stop):
    """Return which functions may be other than zero on some cells, as 1.0 and 0.0.

    Args:
        values: Values at the vertices [V, m].
        errors: Bounds on their errors [m].
        offsets: Where cells start in the next [C + 1].
        corners: Vertices of the cells.
        start: First cell.
        stop: Cell behind the last.
    """
    m = errors.shape[0]
    found = np.zeros((stop - start, m))
    for c in range(start, stop):
        for i in range(offsets[c], offsets[c + 1]):
            v = corners[i]
            for k in range(m):
                if abs(values[v, k]) > errors[k]:
                    found[c - start, k] = 1.0
    return found


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def absolute_products(matrix, one, two):
    """Return the absolute values of a matrix [n, m] times two vectors [m], as [2, n].

    Nothing as large as the matrix is made.
    """
    n, m = matrix.shape
    made = np.empty((2, n))
    for k in range(n):
        first = 0.0
        second = 0.0
        for j in range(m):
            size = abs(matrix[k, j])
            first += size * one[j]
            second += size * two[j]
        made[0, k] = first
        made[1, k] = second
    return made


@njit(cache=True, nogil=True)
def column_ranges(z):
    """Return the smallest and largest entries of the columns of a table [2, n]."""
    count, n = z.shape
    found = np.empty((2, n))
    found[0] = np.inf
    found[1] = -np.inf
    for v in range(count):
        for k in range(n):
            found[0, k] = min(found[0, k], z[v, k])
            found[1, k] = max(found[1, k], z[v, k])
    return found


@njit(cache=True, nogil=True)
def steepest_slopes(z, edges, lengths, which):
    """Return the largest slope of every function along some edges.

    Args:
        z: Values at the vertices [V, n].
        edges: Vertices of every edge [E, 2].
        lengths: How long they are [E].
        which: The edges that count.
    """
    n = z.shape[1]
    found = np.zeros(n)
    for e in which:
        a = edges[e, 0]
        b = edges[e, 1]
        scale = 1.0 / lengths[e]
        for k in range(n):
            found[k] = max(found[k], abs(z[b, k] - z[a, k]) * scale)
    return found


@njit(cache=True, nogil=True)
def edge_sides(edges, offsets, corners, borders):
    """Return the cells left and right of every edge, -1 for none."""
    sides = np.full((edges.shape[0], 2), -1, np.int64)
    for c in range(offsets.shape[0] - 1):
        for i in range(offsets[c], offsets[c + 1]):
            e = borders[i]
            sides[e, 0 if edges[e, 0] == corners[i] else 1] = c
    return sides


@njit(cache=True, nogil=True)
def cell_areas(places, offsets, corners):
    """Return the signed area of every cell."""
    areas = np.zeros(offsets.shape[0] - 1)
    for c in range(areas.shape[0]):
        origin = corners[offsets[c]]
        x0 = places[origin, 0]
        y0 = places[origin, 1]
        total = 0.0
        for i in range(offsets[c] + 1, offsets[c + 1] - 1):
            a = corners[i]
            b = corners[i + 1]
            total += (places[a, 0] - x0) * (places[b, 1] - y0) - (places[b, 0] - x0) * (
                places[a, 1] - y0
            )
        areas[c] = 0.5 * total
    return areas


@njit(cache=True, nogil=True)
def cell_signs(offsets, corners, positive, negative):
    """Return which functions are positive, and negative, somewhere on every cell."""
    words = positive.shape[1]
    ups = np.zeros((offsets.shape[0] - 1, words), np.uint64)
    downs = np.zeros((offsets.shape[0] - 1, words), np.uint64)
    for c in range(ups.shape[0]):
        for i in range(offsets[c], offsets[c + 1]):
            for w in range(words):
                ups[c, w] |= positive[corners[i], w]
                downs[c, w] |= negative[corners[i], w]
    return ups, downs
