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

from relulens.numerics.kernels.planar_halve import (
    BAD,
    BASE,
    CELL,
    CHORDS,
    CORNER,
    CROSSINGS,
    LEFT,
    LINE,
    LONGEST,
    NUMBERS,
    PIECE,
    QUERY,
    SIZE,
    STAGE,
    TODO,
    VERTEX,
    cut_once,
    halve,
)
from relulens.numerics.kernels.planar_outline import (
    changing_signs,
    crossing_pairs,
    cut_boundary,
    distinct_chords,
    longest_boundary,
    subdivide,
    uncut_boundary,
)

_ONE = np.uint64(1)


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
    tally = np.zeros(NUMBERS, np.int64)
    tally[TODO] = count
    tally[BASE] = base
    tally[STAGE] = stage
    tally[VERTEX] = base
    tally[LINE] = lines
    tally[LONGEST] = longest_boundary(offsets, borders, sub_first)
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
    around = corners.shape[0] + 5 * cut + tally[LONGEST] + 64
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
    cut_steep, cut_rest, sub_first, positive, negative, active, units, known,
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
        cut_rest: Their values that are left there.
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
    base = tally[BASE]
    longest = tally[LONGEST]
    tally[CELL] = 0
    tally[QUERY] = 0
    tally[LEFT] = 0
    found = np.full((7, n), -1, np.int64)
    blurred = np.zeros((3, n))
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
            cut_steep, cut_rest, sub_first, positive, negative, active, units, known,
            around, found, blurred, chord, seen, across, along, bits, heads,
        )  # fmt: skip
        if tally[CELL] == tally[TODO]:
            break
        x = tally[CROSSINGS]
        m = tally[CHORDS]
        size = tally[SIZE]
        places = _more(places, tally[VERTEX] + x)
        errors = _more(errors, tally[VERTEX] + x)
        inner = _more(inner, tally[VERTEX] - base + x)
        mixed = _more(mixed, tally[VERTEX] - base + x)
        new_edges = _more(new_edges, tally[LINE] + m + 2 * x)
        new_makers = _more(new_makers, tally[LINE] + m + 2 * x)
        new_blurs = _more(new_blurs, tally[LINE] + m + 2 * x)
        new_offsets = _more(new_offsets, tally[PIECE] + m + x + 2)
        parents = _more(parents, tally[PIECE] + m + x + 1)
        codes = _more(codes, tally[PIECE] + m + x + 1)
        need = tally[CORNER] + size + 2 * (m + 2 * x)
        if need > new_around.shape[1]:
            wider = np.empty((2, need + need // 2), np.int64)
            wider[:, : tally[CORNER]] = new_around[:, : tally[CORNER]]
            new_around = wider
        queries = _more(queries, tally[QUERY] + x)
        if around.shape[1] < _room(size, m):
            around = np.empty((2, _room(size, m)), np.int64)
        chord = _more(chord, 2 * (m + 1) * (m + 1))
        bits = _more(bits, m + 2)
        heads = _more(heads, m + 2)
    tally[TODO] = tally[LEFT]
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
    vertices = tally[VERTEX]
    inner = vertices - tally[BASE]
    lines = tally[LINE]
    cells = tally[PIECE]
    return (
        made[1][:vertices], made[2][:vertices], made[3][:inner], made[4][:inner],
        made[5][:lines], made[6][:lines], made[7][:lines], made[8][: cells + 1],
        made[9][0, : tally[CORNER]], made[9][1, : tally[CORNER]],
        made[10][:cells], made[11][:cells], made[12][: tally[QUERY]], tally[BAD],
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


@njit(cache=True, nogil=True, error_model="numpy")
def _run(
    tally, places, errors, inner, mixed, new_edges, new_makers, new_blurs,
    new_offsets, new_around, parents, codes, queries, todo,
    offsets, corners, borders, edges, rounding, starts, cut_unit, cut_vertex,
    cut_steep, cut_rest, sub_first, positive, negative, active, units, known,
    around, found, blurred, chord, seen, across, along, bits, heads,
):  # fmt: skip
    """Split cells until the next one needs more room than there is."""
    words = positive.shape[1]
    for place in range(tally[CELL], tally[TODO]):
        c = todo[place]
        pieces = tally[PIECE]
        filled = tally[CORNER]
        anything = changing_signs(c, offsets, corners, positive, negative, active, seen)
        size = 0
        chords = 0
        wrong = False
        m = 0
        x = 0
        if anything:
            size, chords, wrong = cut_boundary(
                c, offsets, corners, borders, edges, starts, cut_unit, cut_vertex,
                cut_steep, cut_rest, sub_first, positive, negative, around, found,
                blurred, seen,
            )  # fmt: skip
            if not wrong:
                m = distinct_chords(
                    places, errors, positive.shape[0], rounding, found, blurred, chord,
                    chords,
                )  # fmt: skip
                x = crossing_pairs(chord, m)
        else:
            size = tally[LONGEST]
        if (
            tally[VERTEX] + x > places.shape[0]
            or tally[VERTEX] - tally[BASE] + x > inner.shape[0]
            or tally[LINE] + m + 2 * x > new_edges.shape[0]
            or pieces + m + x + 1 > parents.shape[0]
            or filled + size + 2 * (m + 2 * x) > new_around.shape[1]
            or tally[QUERY] + x > queries.shape[0]
            or (m > 1 and _room(size, m) > around.shape[1])
            or 2 * (m + 1) * (m + 1) > chord.shape[0]
            or m + 2 > heads.shape[0]
        ):
            tally[CELL] = place
            tally[CROSSINGS] = x
            tally[CHORDS] = m
            tally[SIZE] = size
            for i in range(chords):
                found[0, found[5, i]] = -1
                found[1, found[5, i]] = -1
            return
        if m == 0:
            tally[BAD] += wrong
            filled = uncut_boundary(
                c, offsets, corners, borders, edges, starts, cut_vertex, sub_first,
                new_around, filled,
            )  # fmt: skip
            tally[CORNER] = filled
            parents[pieces] = c
            for w in range(words):
                codes[pieces, w] = seen[0, w]
            tally[PIECE] = pieces + 1
            new_offsets[pieces + 1] = filled
        else:
            heads[0, 0] = 0
            heads[0, 1] = size
            heads[0, 2] = 0
            heads[0, 3] = m
            for w in range(words):
                bits[0, w] = seen[0, w]
            depth = 1
            asked = tally[QUERY]
            vertices = tally[VERTEX]
            lines = tally[LINE]
            while depth > 0 and tally[QUERY] == asked:
                if heads[depth - 1, 3] == 1:
                    depth -= 1
                    cut_once(
                        depth, c, tally, new_edges, new_makers, new_blurs, new_offsets,
                        new_around, parents, codes, units, around, blurred, chord, bits,
                        heads,
                    )  # fmt: skip
                    continue
                depth = halve(
                    depth - 1, c, tally, seen, places, errors, inner, mixed, new_edges,
                    new_makers, new_blurs, new_offsets, new_around, parents, codes,
                    queries, units, known, around, found, blurred, chord, across,
                    along, bits, heads,
                )  # fmt: skip
            if tally[QUERY] > asked:
                # What is cut after an open order would be wrong.
                tally[VERTEX] = vertices
                tally[LINE] = lines
                tally[PIECE] = pieces
                tally[CORNER] = filled
                todo[tally[LEFT]] = c
                tally[LEFT] += 1
        for i in range(chords):
            k = found[5, i]
            r = found[6, k]
            if m > 0 and r >= 0:
                bit = _ONE << np.uint64(k & 63)
                for d in range(pieces, tally[PIECE]):
                    on = (codes[d, r >> 6] >> np.uint64(r & 63)) & _ONE != 0
                    if on == (found[4, k] == found[4, r]):
                        codes[d, k >> 6] |= bit
            found[0, k] = -1
            found[1, k] = -1
    tally[CELL] = tally[TODO]
