"""Split the cells of a planar graph along chords.

The functions are known by their signs at the vertices, and where they change sign on
edges there are vertices already. Inside a cell every function that changes sign is a
chord between two places of the cell's boundary, and the cell is split along one chord
after another; where chords cross, the crossing is made once, on the chord that is cut
along, and both halves get it. All decisions follow from signs at vertices and from the
order of crossings along a chord; an order that rounding leaves open and that no earlier
decision implies is returned as a query.

Arrays are grown outside the loop over the cells: inside it, an array that is assigned
again would be counted at every use.
"""

import numpy as np
from numba import njit

from relulens.numerics.kernels.planar_outline import (
    changing_signs,
    crossing_pairs,
    cut_boundary,
    distinct_chords,
    longest_boundary,
    subdivide,
    uncut_boundary,
)

_ROUND = 2.0**-52
_ONE = np.uint64(1)
(
    _CELL, _TODO, _LEFT, _VERTEX, _LINE, _PIECE, _CORNER, _QUERY, _BAD,
    _CROSSINGS, _CHORDS, _SIZE, _BASE, _STAGE, _LONGEST, _NUMBERS,
) = range(16)  # fmt: skip
"""What the tally counts: cells done, to do and left; vertices, edges, new cells, their
corners and queries made; cells that contradict themselves; what the next cell needs;
and what stays: vertices at first, the stage, and the longest boundary."""


@njit(cache=True, nogil=True)
def split_begun(
    places, errors, offsets, corners, borders, edges, makers, blurs, starts,
    cut_vertex, sub_first, words, stage,
):  # fmt: skip
    """Return the tables that ``split_cells`` fills, with the pieces of the old edges.

    Args:
        places: Vertices [V, 2], those on cut edges included, after the old ones.
        errors: Errors of their places [V].
        offsets: Where cells start in the next two [C + 1].
        corners: Vertices of the cells, counter-clockwise.
        borders: Edge from each corner to the next.
        edges: Vertices of the old edges [E, 2].
        makers: Stage, unit and seam of the old edges [E, 3].
        blurs: Errors of the old edges' lines, across them [E].
        starts: Where each edge's cuts start in the next [E + 1].
        cut_vertex: Their vertices; equal for functions that cut at one place.
        sub_first: First new edge of every old one [E + 1].
        words: Words of a bitset of the functions.
        stage: Number noted as the maker of new edges.

    Returns:
        The tally; places and errors; first and second vertex and function, and place
        between the vertices, of every new vertex inside a cell; edges, their makers and
        blurs; offsets, and corners and borders as two rows; parents and codes of the
        cells; queries (key, chord's ends, two functions, cell); cells left to split.
    """
    count = offsets.shape[0] - 1
    base = places.shape[0]
    lines = sub_first[-1]
    cut = cut_vertex.shape[0]
    tally = np.zeros(_NUMBERS, np.int64)
    tally[_TODO] = count
    tally[_BASE] = base
    tally[_STAGE] = stage
    tally[_VERTEX] = base
    tally[_LINE] = lines
    tally[_LONGEST] = longest_boundary(offsets, borders, sub_first)
    # Every chord has two ends, and most ends two cells.
    about = count + 2 * cut + 64
    inner = np.empty((cut + 64, 3), np.int64)
    edges_made = np.empty((lines + 2 * cut + 64, 2), np.int64)
    makers_made = np.empty((lines + 2 * cut + 64, 3), np.int32)
    blurs_made = np.empty(lines + 2 * cut + 64)
    subdivide(
        edges, makers, blurs, starts, cut_vertex, sub_first, edges_made, makers_made,
        blurs_made,
    )  # fmt: skip
    around = corners.shape[0] + 5 * cut + tally[_LONGEST] + 64
    return (
        tally, _more(places, base + cut + 64), _more(errors, base + cut + 64), inner,
        np.empty(cut + 64), edges_made, makers_made, blurs_made,
        np.zeros(about + 1, np.int64), np.empty((2, around), np.int64),
        np.empty(about, np.int64), np.empty((about, words), np.uint64),
        np.empty((16, 6), np.int64), np.arange(count),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def split_cells(
    made, offsets, corners, borders, edges, rounding, starts, cut_unit, cut_vertex,
    cut_steep, sub_first, positive, negative, active, units, known,
):  # fmt: skip
    """Split cells by the functions that change sign on them.

    Args:
        made: The tables, from ``split_begun`` or an earlier run.
        offsets: Where cells start in the next two [C + 1].
        corners: Vertices of the cells, counter-clockwise.
        borders: Edge from each corner to the next.
        edges: Vertices of the old edges [E, 2].
        rounding: Rounding of every function [n].
        starts: Where each edge's cuts start in the next two [E + 1].
        cut_unit: Functions, sorted along each edge.
        cut_vertex: Their vertices; equal for functions that cut at one place.
        cut_steep: How steep the functions are there at least.
        sub_first: First new edge of every old one [E + 1].
        positive: Signs at the old vertices as bitsets.
        negative: Likewise.
        active: Functions that count in every cell, or [0, words] for all.
        units: Number noted for each function.
        known: Keys of answered queries, sorted, and under each the sign of the last
            function at the crossing of the two others [2, Q].

    Returns:
        The tables. Cells with an open query are left as they are, to be split by a
        further run that knows its answer.
    """
    (
        tally, places, errors, inner, mixed, new_edges, new_makers, new_blurs,
        new_offsets, new_around, parents, codes, queries, todo,
    ) = made  # fmt: skip
    n = units.shape[0]
    words = positive.shape[1]
    base = tally[_BASE]
    longest = tally[_LONGEST]
    tally[_CELL] = 0
    tally[_QUERY] = 0
    tally[_LEFT] = 0
    found = np.full((7, n), -1, np.int64)
    blurred = np.zeros((2, n))
    seen = np.zeros((4, words), np.uint64)
    across = np.empty((5, n + 1), np.int64)
    along = np.empty((2, n + 1))
    around = np.empty((2, 4096 + longest), np.int64)
    chord = np.empty((1024 + n, 4), np.int64)
    bits = np.empty((64, words), np.uint64)
    heads = np.empty((64, 4), np.int64)
    while True:
        _run(
            tally, places, errors, inner, mixed, new_edges, new_makers, new_blurs,
            new_offsets, new_around, parents, codes, queries, todo,
            offsets, corners, borders, edges, rounding, starts, cut_unit, cut_vertex,
            cut_steep, sub_first, positive, negative, active, units, known,
            around, found, blurred, chord, seen, across, along, bits, heads,
        )  # fmt: skip
        if tally[_CELL] == tally[_TODO]:
            break
        x = tally[_CROSSINGS]
        m = tally[_CHORDS]
        size = tally[_SIZE]
        places = _more(places, tally[_VERTEX] + x)
        errors = _more(errors, tally[_VERTEX] + x)
        inner = _more(inner, tally[_VERTEX] - base + x)
        mixed = _more(mixed, tally[_VERTEX] - base + x)
        new_edges = _more(new_edges, tally[_LINE] + m + 2 * x)
        new_makers = _more(new_makers, tally[_LINE] + m + 2 * x)
        new_blurs = _more(new_blurs, tally[_LINE] + m + 2 * x)
        new_offsets = _more(new_offsets, tally[_PIECE] + m + x + 2)
        parents = _more(parents, tally[_PIECE] + m + x + 1)
        codes = _more(codes, tally[_PIECE] + m + x + 1)
        need = tally[_CORNER] + size + 2 * (m + 2 * x)
        if need > new_around.shape[1]:
            wider = np.empty((2, need + need // 2), np.int64)
            wider[:, : tally[_CORNER]] = new_around[:, : tally[_CORNER]]
            new_around = wider
        queries = _more(queries, tally[_QUERY] + x)
        if around.shape[1] < _room(size, m):
            around = np.empty((2, _room(size, m)), np.int64)
        chord = _more(chord, 2 * (m + 1) * (m + 1))
        bits = _more(bits, m + 2)
        heads = _more(heads, m + 2)
    tally[_TODO] = tally[_LEFT]
    return (
        tally, places, errors, inner, mixed, new_edges, new_makers, new_blurs,
        new_offsets, new_around, parents, codes, queries, todo,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def split_ended(made):
    """Return the tables without the room behind what is filled.

    Returns:
        The tables from places to codes as ``split_begun`` describes them, the queries
        of the last run, and the cells whose signs contradict each other.
    """
    tally = made[0]
    vertices = tally[_VERTEX]
    inner = vertices - tally[_BASE]
    lines = tally[_LINE]
    cells = tally[_PIECE]
    return (
        made[1][:vertices], made[2][:vertices], made[3][:inner], made[4][:inner],
        made[5][:lines], made[6][:lines], made[7][:lines], made[8][: cells + 1],
        made[9][0, : tally[_CORNER]], made[9][1, : tally[_CORNER]],
        made[10][:cells], made[11][:cells], made[12][: tally[_QUERY]], tally[_BAD],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _more(array, need):
    """Return the array with room for ``need`` rows."""
    size = array.shape[0]
    if need <= size:
        return array
    more = np.empty((need + need // 2,) + array.shape[1:], array.dtype)  # noqa: RUF005
    more[:size] = array
    return more


@njit(cache=True, nogil=True)
def _room(size, m):
    """Return vertices of the parts of a cell that are open at once, at most.

    Every half has one chord less than the part it comes from, and every chord adds two
    vertices at most to a boundary.
    """
    return (m + 1) * (2 * size + 8 * m + 4)


@njit(cache=True, nogil=True, inline="always")
def _answer(known, key):
    """Return the known answer to a query, or 2."""
    i = np.searchsorted(known[0], key)
    if i < known.shape[1] and known[0, i] == key:
        return known[1, i]
    return 2


@njit(cache=True, nogil=True, error_model="numpy")
def _run(
    tally, places, errors, inner, mixed, new_edges, new_makers, new_blurs,
    new_offsets, new_around, parents, codes, queries, todo,
    offsets, corners, borders, edges, rounding, starts, cut_unit, cut_vertex,
    cut_steep, sub_first, positive, negative, active, units, known,
    around, found, blurred, chord, seen, across, along, bits, heads,
):  # fmt: skip
    """Split cells until the next one needs more room than there is."""
    words = positive.shape[1]
    for place in range(tally[_CELL], tally[_TODO]):
        c = todo[place]
        pieces = tally[_PIECE]
        filled = tally[_CORNER]
        anything = changing_signs(c, offsets, corners, positive, negative, active, seen)
        size = 0
        chords = 0
        wrong = False
        m = 0
        x = 0
        if anything:
            size, chords, wrong = cut_boundary(
                c, offsets, corners, borders, edges, starts, cut_unit, cut_vertex,
                cut_steep, sub_first, positive, negative, around, found, blurred,
                seen,
            )  # fmt: skip
            if not wrong:
                m = distinct_chords(
                    places, errors, rounding, found, blurred, chord, chords
                )
                x = crossing_pairs(chord, m)
        else:
            size = tally[_LONGEST]
        if (
            tally[_VERTEX] + x > places.shape[0]
            or tally[_VERTEX] - tally[_BASE] + x > inner.shape[0]
            or tally[_LINE] + m + 2 * x > new_edges.shape[0]
            or pieces + m + x + 1 > parents.shape[0]
            or filled + size + 2 * (m + 2 * x) > new_around.shape[1]
            or tally[_QUERY] + x > queries.shape[0]
            or (m > 1 and _room(size, m) > around.shape[1])
            or 2 * (m + 1) * (m + 1) > chord.shape[0]
            or m + 2 > heads.shape[0]
        ):
            tally[_CELL] = place
            tally[_CROSSINGS] = x
            tally[_CHORDS] = m
            tally[_SIZE] = size
            for i in range(chords):
                found[0, found[5, i]] = -1
                found[1, found[5, i]] = -1
            return
        if m == 0:
            tally[_BAD] += wrong
            filled = uncut_boundary(
                c, offsets, corners, borders, edges, starts, cut_vertex, sub_first,
                new_around, filled,
            )  # fmt: skip
            tally[_CORNER] = filled
            parents[pieces] = c
            for w in range(words):
                codes[pieces, w] = seen[0, w]
            tally[_PIECE] = pieces + 1
            new_offsets[pieces + 1] = filled
        else:
            heads[0, 0] = 0
            heads[0, 1] = size
            heads[0, 2] = 0
            heads[0, 3] = m
            for w in range(words):
                bits[0, w] = seen[0, w]
            depth = 1
            asked = tally[_QUERY]
            vertices = tally[_VERTEX]
            lines = tally[_LINE]
            while depth > 0 and tally[_QUERY] == asked:
                if heads[depth - 1, 3] == 1:
                    depth -= 1
                    _cut_once(
                        depth, c, tally, new_edges, new_makers, new_blurs, new_offsets,
                        new_around, parents, codes, units, around, blurred, chord, bits,
                        heads,
                    )  # fmt: skip
                    continue
                depth = _halve(
                    depth - 1, c, tally, seen, places, errors, inner, mixed, new_edges,
                    new_makers, new_blurs, new_offsets, new_around, parents, codes,
                    queries, units, known, around, found, blurred, chord, across,
                    along, bits, heads,
                )  # fmt: skip
            if tally[_QUERY] > asked:
                # What is cut after an open order would be wrong.
                tally[_VERTEX] = vertices
                tally[_LINE] = lines
                tally[_PIECE] = pieces
                tally[_CORNER] = filled
                todo[tally[_LEFT]] = c
                tally[_LEFT] += 1
        for i in range(chords):
            k = found[5, i]
            r = found[6, k]
            if m > 0 and r >= 0:
                bit = _ONE << np.uint64(k & 63)
                for d in range(pieces, tally[_PIECE]):
                    on = (codes[d, r >> 6] >> np.uint64(r & 63)) & _ONE != 0
                    if on == (found[4, k] == found[4, r]):
                        codes[d, k >> 6] |= bit
            found[0, k] = -1
            found[1, k] = -1
    tally[_CELL] = tally[_TODO]


@njit(cache=True, nogil=True, inline="always")
def _cut_once(
    depth, c, tally, new_edges, new_makers, new_blurs, new_offsets, new_around,
    parents, codes, units, around, blurred, chord, bits, heads,
):  # fmt: skip
    """Write the two halves of a part with one chord as new cells."""
    begin = heads[depth, 0]
    size = heads[depth, 1]
    own = heads[depth, 2]
    unit = chord[own, 0]
    p = begin + chord[own, 1]
    q = begin + chord[own, 2]
    line = tally[_LINE]
    new_edges[line, 0] = around[0, p]
    new_edges[line, 1] = around[0, q]
    new_makers[line, 0] = tally[_STAGE]
    new_makers[line, 1] = units[unit]
    new_makers[line, 2] = -1
    new_blurs[line] = blurred[0, unit]
    tally[_LINE] = line + 1
    filled = tally[_CORNER]
    d = tally[_PIECE]
    for i in range(q, begin + size):
        new_around[0, filled] = around[0, i]
        new_around[1, filled] = around[1, i]
        filled += 1
    for i in range(begin, p + 1):
        new_around[0, filled] = around[0, i]
        new_around[1, filled] = around[1, i]
        filled += 1
    new_around[1, filled - 1] = line
    new_offsets[d + 1] = filled
    for i in range(p, q + 1):
        new_around[0, filled] = around[0, i]
        new_around[1, filled] = around[1, i]
        filled += 1
    new_around[1, filled - 1] = line
    new_offsets[d + 2] = filled
    parents[d] = c
    parents[d + 1] = c
    for w in range(codes.shape[1]):
        codes[d, w] = bits[depth, w]
        codes[d + 1, w] = bits[depth, w]
    on = d + 1 if chord[own, 3] > 0 else d
    codes[on, unit >> 6] |= _ONE << np.uint64(unit & 63)
    tally[_CORNER] = filled
    tally[_PIECE] = d + 2


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _halve(
    depth, c, tally, seen, places, errors, inner, mixed, new_edges, new_makers,
    new_blurs, new_offsets, new_around, parents, codes, queries, units, known, around,
    found, blurred, chord, across, along, bits, heads,
):  # fmt: skip
    """Split the part of a cell on top of the stack along one of its chords.

    A half without chords is written as a new cell, the other is put on the stack.

    Returns:
        How many parts the stack has then.
    """
    words = codes.shape[1]
    n = units.shape[0]
    base = tally[_BASE]
    begin = heads[depth, 0]
    size = heads[depth, 1]
    own = heads[depth, 2]
    m = heads[depth, 3]
    best = own
    balance = -1
    for i in range(own, own + m):
        between = chord[i, 2] - chord[i, 1]
        fair = min(between, size - between)
        if fair > balance:
            balance = fair
            best = i
    unit = chord[best, 0]
    p = chord[best, 1]
    q = chord[best, 2]
    inside = chord[best, 3]
    for w in range(words):
        seen[2, w] = bits[depth, w]
        seen[3, w] = bits[depth, w]
    bit = _ONE << np.uint64(unit & 63)
    seen[2 if inside > 0 else 3, unit >> 6] |= bit
    # Places are measured along the whole chord, from whichever end p is nearer.
    flip = inside != found[4, unit]
    va = found[3, unit] if flip else found[2, unit]
    vb = found[2, unit] if flip else found[3, unit]
    ax = places[va, 0]
    ay = places[va, 1]
    bx = places[vb, 0]
    by = places[vb, 1]
    # Chords of the half beyond q, then of the one between p and q.
    start_b = own + m
    start_a = start_b + m
    ma = start_a
    mb = start_b
    mx = 0
    for i in range(own, own + m):
        if i == best:
            continue
        k = chord[i, 0]
        kp = chord[i, 1]
        kq = chord[i, 2]
        sign = chord[i, 3]
        p_in = p < kp < q
        q_in = p < kq < q
        p_out = kp < p or kp > q
        q_out = kq < p or kq > q
        if (p_in and q_out) or (q_in and p_out):
            # It crosses; keep them sorted along the chord.
            near = kp if p_in else kq
            r = kq if p_in else kp
            r = r + size if r < p else r
            cx = places[found[2, k], 0]
            cy = places[found[2, k], 1]
            dx = places[found[3, k], 0] - cx
            dy = places[found[3, k], 1] - cy
            den = (bx - ax) * dy - (by - ay) * dx
            t = 0.5
            slack = 1.0
            if den != 0.0:
                t = min(max(((cx - ax) * dy - (cy - ay) * dx) / den, 0.0), 1.0)
                slack = 2.0 * (blurred[0, unit] + blurred[0, k]) * (abs(dx) + abs(dy))
                slack = min(slack / abs(den) + 4.0 * _ROUND, 1.0)
            at = mx
            together = 0
            while at > 0:
                # Which of the two is nearer to p? -1 the new one.
                o = at - 1
                nearer = 1
                if near <= across[1, o] and r >= across[2, o]:
                    nearer = -1
                elif near >= across[1, o] and r <= across[2, o]:
                    nearer = 1
                elif abs(t - along[0, o]) > slack + along[1, o]:
                    nearer = -1 if t < along[0, o] else 1
                else:
                    rival = chord[across[0, o], 0]
                    key = ((c * n + unit) * n + rival) * n + k
                    sure = _answer(known, key)
                    if sure == 2:
                        asked = tally[_QUERY]
                        queries[asked, 0] = key
                        queries[asked, 1] = va
                        queries[asked, 2] = vb
                        queries[asked, 3] = rival
                        queries[asked, 4] = k
                        queries[asked, 5] = c
                        tally[_QUERY] = asked + 1
                    elif sure == 0:
                        nearer = 0
                    else:
                        # Sign of k at p, by where p lies on the boundary.
                        at_p = sign if kp < p < kq else -sign
                        nearer = 1 if sure == at_p else -1
                if nearer >= 0:
                    if nearer == 0:
                        t = along[0, o]
                        together = 1
                    break
                for j in range(4):
                    across[j, at] = across[j, o]
                along[0, at] = along[0, o]
                along[1, at] = along[1, o]
                at -= 1
            # A group at one place stays together, the new one behind its head.
            across[0, at] = i
            across[1, at] = near
            across[2, at] = r
            across[3, at] = together
            along[0, at] = t
            along[1, at] = slack
            mx += 1
        elif p_in or q_in:
            chord[ma, 0] = k
            chord[ma, 1] = kp - p
            chord[ma, 2] = kq - p
            chord[ma, 3] = sign
            ma += 1
            if sign < 0:
                seen[3, k >> 6] |= _ONE << np.uint64(k & 63)
        elif p_out or q_out:
            a = kp - q if kp >= q else kp + size - q
            b = kq - q if kq >= q else kq + size - q
            chord[mb, 0] = k
            chord[mb, 1] = min(a, b)
            chord[mb, 2] = max(a, b)
            chord[mb, 3] = sign if a < b else -sign
            mb += 1
            if (sign if kp <= p and kq >= q else -sign) > 0:
                seen[2, k >> 6] |= _ONE << np.uint64(k & 63)
        else:
            tally[_BAD] += 1
    # Make the crossings.
    vertices = tally[_VERTEX]
    made = 0
    for i in range(mx):
        k = chord[across[0, i], 0]
        if across[3, i]:
            across[4, i] = made - 1
            blurred[0, k] = max(blurred[0, k], errors[vertices + made - 1])
            continue
        t = along[0, i]
        v = vertices + made
        places[v, 0] = ax + t * (bx - ax)
        places[v, 1] = ay + t * (by - ay)
        far = abs(bx - ax) + abs(by - ay)
        size_of = abs(ax) + abs(bx) + abs(ay) + abs(by)
        errors[v] = along[1, i] * far + blurred[0, unit] + 2.0 * _ROUND * size_of
        inner[v - base, 0] = va
        inner[v - base, 1] = vb
        inner[v - base, 2] = k
        mixed[v - base] = t
        across[4, i] = made
        made += 1
    tally[_VERTEX] = vertices + made
    lines = tally[_LINE]
    for i in range(made + 1):
        new_edges[lines + i, 0] = around[0, begin + p] if i == 0 else vertices + i - 1
        new_edges[lines + i, 1] = around[0, begin + q] if i == made else vertices + i
        new_makers[lines + i, 0] = tally[_STAGE]
        new_makers[lines + i, 1] = units[unit]
        new_makers[lines + i, 2] = -1
        new_blurs[lines + i] = blurred[0, unit]
    tally[_LINE] = lines + made + 1
    size_a = q - p + 1
    size_b = size - (q - p) + 1
    for i in range(mx):
        o = across[0, i]
        k = chord[o, 0]
        sign = chord[o, 3]
        # Between the end and the crossing lies the rest of the boundary.
        chord[ma, 0] = k
        chord[ma, 1] = across[1, i] - p
        chord[ma, 2] = size_a + made - 1 - across[4, i]
        chord[ma, 3] = sign if across[1, i] == chord[o, 1] else -sign
        ma += 1
        r = across[2, i]
        chord[mb, 0] = k
        chord[mb, 1] = r - q
        chord[mb, 2] = size_b + across[4, i]
        chord[mb, 3] = sign if (r if r < size else r - size) == chord[o, 1] else -sign
        mb += 1
    at = begin + size
    for half in (1, 0):
        chords = mb - start_b if half else ma - start_a
        around_half = size_b if half else size_a
        total = around_half + made
        start = q if half else p
        seam = lines if half else lines + made
        if chords == 0:
            filled = tally[_CORNER]
            for i in range(around_half):
                o = start + i
                o = begin + (o if o < size else o - size)
                new_around[0, filled + i] = around[0, o]
                new_around[1, filled + i] = around[1, o]
            filled += around_half
            new_around[1, filled - 1] = seam
            for i in range(made):
                j = i if half else made - 1 - i
                new_around[0, filled + i] = vertices + j
                new_around[1, filled + i] = lines + (j + 1 if half else j)
            tally[_CORNER] = filled + made
            d = tally[_PIECE]
            parents[d] = c
            for w in range(words):
                codes[d, w] = seen[2 + half, w]
            new_offsets[d + 1] = filled + made
            tally[_PIECE] = d + 1
        else:
            heads[depth, 0] = at
            heads[depth, 1] = total
            heads[depth, 2] = start_b if half else start_a
            heads[depth, 3] = chords
            for i in range(around_half):
                o = start + i
                o = begin + (o if o < size else o - size)
                around[0, at + i] = around[0, o]
                around[1, at + i] = around[1, o]
            at += around_half
            around[1, at - 1] = seam
            for i in range(made):
                j = i if half else made - 1 - i
                around[0, at + i] = vertices + j
                around[1, at + i] = lines + (j + 1 if half else j)
            at += made
            for w in range(words):
                bits[depth, w] = seen[2 + half, w]
            depth += 1
    return depth
