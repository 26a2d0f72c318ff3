"""Boundaries of cells and the chords across them, before the cells are split."""

import numpy as np
from numba import njit

_ROUND = 2.0**-52
_ONE = np.uint64(1)


@njit(cache=True, nogil=True)
def longest_boundary(offsets, borders, sub_first):
    """Return the most vertices around a cell, those on its cut edges included."""
    longest = 0
    for c in range(offsets.shape[0] - 1):
        need = 0
        for i in range(offsets[c], offsets[c + 1]):
            need += sub_first[borders[i] + 1] - sub_first[borders[i]]
        longest = max(longest, need)
    return longest


@njit(cache=True, nogil=True)
def subdivide(
    edges, makers, blurs, starts, cut_vertex, sub_first, new_edges, new_makers,
    new_blurs,
):  # fmt: skip
    """Write the pieces of the old edges between the vertices on them."""
    for e in range(edges.shape[0]):
        at = sub_first[e]
        here = edges[e, 0]
        last = -1
        for x in range(starts[e], starts[e + 1]):
            v = cut_vertex[x]
            if v != last:
                new_edges[at, 0] = here
                new_edges[at, 1] = v
                at += 1
                here = v
                last = v
        new_edges[at, 0] = here
        new_edges[at, 1] = edges[e, 1]
        for i in range(sub_first[e], at + 1):
            for j in range(3):
                new_makers[i, j] = makers[e, j]
            new_blurs[i] = blurs[e]


@njit(cache=True, nogil=True, inline="always")
def changing_signs(c, offsets, corners, positive, negative, active, seen):
    """Write which functions are positive, and change sign, on a cell.

    Returns:
        Whether any does.
    """
    anything = False
    for w in range(positive.shape[1]):
        up = np.uint64(0)
        down = np.uint64(0)
        for i in range(offsets[c], offsets[c + 1]):
            up |= positive[corners[i], w]
            down |= negative[corners[i], w]
        both = up & down
        if active.shape[0]:
            both &= active[c, w]
        seen[0, w] = up & ~both
        seen[1, w] = both
        anything = anything or both != 0
    return anything


@njit(cache=True, nogil=True, inline="always")
def uncut_boundary(
    c, offsets, corners, borders, edges, starts, cut_vertex, sub_first, around, at
):  # fmt: skip
    """Write the boundary of a cell that is not cut itself; return where it ends."""
    for i in range(offsets[c], offsets[c + 1]):
        v = corners[i]
        e = borders[i]
        forward = edges[e, 0] == v
        first = sub_first[e]
        last = sub_first[e + 1] - 1
        around[0, at] = v
        around[1, at] = first if forward else last
        at += 1
        edge = first if forward else last
        step = 1 if forward else -1
        here = -1
        for y in range(starts[e + 1] - starts[e]):
            x = starts[e] + y if forward else starts[e + 1] - 1 - y
            if cut_vertex[x] != here:
                here = cut_vertex[x]
                edge += step
                around[0, at] = here
                around[1, at] = edge
                at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def cut_boundary(
    c, offsets, corners, borders, edges, starts, cut_unit, cut_vertex, cut_steep,
    cut_rest, sub_first, positive, negative, around, found, blurred, seen,
):  # fmt: skip
    """Write the boundary of a cell with the vertices on its edges, and its chords.

    Vertices, and edges from each to the next, go to ``around``. The rows of ``found``
    get the ends of every function's chord as places on the boundary, their vertices,
    the sign of the function behind the first, and the functions that have chords; the
    further rows of ``blurred`` how steep they are and what is left at the ends.

    Returns:
        Vertices of the boundary, chords, and whether signs contradict each other.
    """
    words = positive.shape[1]
    size = 0
    chords = 0
    wrong = False
    for i in range(offsets[c], offsets[c + 1]):
        v = corners[i]
        e = borders[i]
        forward = edges[e, 0] == v
        other = edges[e, 1] if forward else edges[e, 0]
        around[0, size] = v
        for w in range(words):
            x = seen[1, w] & ~(positive[v, w] | negative[v, w])
            k = 64 * w - 1
            while x != 0:
                k += 1
                if x & _ONE:
                    bit = _ONE << np.uint64(k & 63)
                    if found[0, k] < 0:
                        found[0, k] = size
                        found[2, k] = v
                        found[4, k] = 0
                        if positive[other, w] & bit:
                            found[4, k] = 1
                        elif negative[other, w] & bit:
                            found[4, k] = -1
                        blurred[1, k] = 0.0
                        blurred[2, k] = 0.0
                        found[5, chords] = k
                        chords += 1
                    elif found[1, k] < 0:
                        found[1, k] = size
                        found[3, k] = v
                    else:
                        wrong = True
                x >>= _ONE
        first = sub_first[e]
        last = sub_first[e + 1] - 1
        around[1, size] = first if forward else last
        size += 1
        if first == last:
            continue
        edge = first if forward else last
        step = 1 if forward else -1
        here = -1
        lower = starts[e]
        upper = starts[e + 1]
        for y in range(upper - lower):
            x = lower + y if forward else upper - 1 - y
            if cut_vertex[x] != here:
                here = cut_vertex[x]
                edge += step
                around[0, size] = here
                around[1, size] = edge
                size += 1
            k = cut_unit[x]
            w = k >> 6
            bit = _ONE << np.uint64(k & 63)
            if seen[1, w] & bit:
                if found[0, k] < 0:
                    found[0, k] = size - 1
                    found[2, k] = here
                    found[4, k] = 1 if positive[other, w] & bit else -1
                    blurred[1, k] = cut_steep[x]
                    blurred[2, k] = cut_rest[x]
                    found[5, chords] = k
                    chords += 1
                elif found[1, k] < 0:
                    found[1, k] = size - 1
                    found[3, k] = here
                    blurred[1, k] = max(blurred[1, k], cut_steep[x])
                    blurred[2, k] = max(blurred[2, k], cut_rest[x])
                else:
                    wrong = True
    for i in range(chords):
        k = found[5, i]
        wrong = wrong or found[1, k] < 0 or found[4, k] == 0
    return size, chords, wrong


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def distinct_chords(places, errors, old, rounding, found, blurred, chord, chords):
    """Write the chords of a cell, those with the same ends once; return how many.

    Rows of ``chord`` are function, places of both ends and sign between. The first row
    of ``blurred`` gets the errors of their lines, the last of ``found`` the function
    whose chord a function shares. Vertices from ``old`` on lie on cut edges.
    """
    kept = 0
    for i in range(chords):
        k = found[5, i]
        same = -1
        for j in range(kept):
            if chord[j, 1] == found[0, k] and chord[j, 2] == found[1, k]:
                same = j
                break
        found[6, k] = -1
        if same >= 0:
            found[6, k] = chord[same, 0]
            continue
        chord[kept, 0] = k
        chord[kept, 1] = found[0, k]
        chord[kept, 2] = found[1, k]
        chord[kept, 3] = found[4, k]
        kept += 1
        # An end is as far from the line as its value tells, or as it is badly placed.
        blur = 0.0
        for row in (2, 3):
            v = found[row, k]
            off = 1.5 * errors[v]
            if v >= old and blurred[1, k] > 0.0:
                off = min(off, (rounding[k] + blurred[2, k]) / blurred[1, k])
            blur = max(blur, off)
        a = found[2, k]
        blurred[0, k] = blur + 4.0 * _ROUND * (abs(places[a, 0]) + abs(places[a, 1]))
    return kept


@njit(cache=True, nogil=True)
def crossing_pairs(chord, m):
    """Return how many pairs of chords cross at most."""
    crossings = 0
    for i in range(m):
        p = chord[i, 1]
        q = chord[i, 2]
        for j in range(i):
            one = p < chord[j, 1] < q
            two = p < chord[j, 2] < q
            crossings += one != two
    return crossings
