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


@njit(cache=True)
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


@njit(cache=True, error_model="numpy")
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
        how steep the function is at least, and entries whose order to the next one
        is in doubt.
    """
    count = edges.shape[0]
    words = positive.shape[1]
    starts = np.zeros(count + 1, np.int64)
    unit = np.empty(256, np.int64)
    place = np.empty(256, np.float64)
    slack = np.empty(256, np.float64)
    steep = np.empty(256, np.float64)
    doubts = np.empty(64, np.int64)
    total = 0
    open_ = 0
    for e in range(count):
        a = edges[e, 0]
        b = edges[e, 1]
        first = total
        far = np.hypot(places[b, 0] - places[a, 0], places[b, 1] - places[a, 1])
        for w in range(words):
            x = (positive[a, w] & negative[b, w]) | (negative[a, w] & positive[b, w])
            if x != 0 and active.shape[0]:
                mask = np.uint64(0)
                if cells[e, 0] >= 0:
                    mask |= active[cells[e, 0], w]
                if cells[e, 1] >= 0:
                    mask |= active[cells[e, 1], w]
                x &= mask
            bit = 0
            while x != 0:
                while x & np.uint64(255) == 0:
                    x >>= np.uint64(8)
                    bit += 8
                while x & _ONE == 0:
                    x >>= _ONE
                    bit += 1
                k = 64 * w + bit
                x >>= _ONE
                bit += 1
                if total == unit.shape[0]:
                    unit = np.concatenate((unit, unit))
                    place = np.concatenate((place, place))
                    slack = np.concatenate((slack, slack))
                    steep = np.concatenate((steep, steep))
                za = z[a, k]
                zb = z[b, k]
                gap = abs(za - zb)
                t = za / (za - zb) if gap > 0.0 else 0.5
                t = min(max(t, 0.0), 1.0)
                s = 2.0 * (limits[0, k] + blur[e] * limits[1, k])
                s = s / gap + 2.0 * _ROUND if gap > 0.0 else 1.0
                i = total
                while i > first and place[i - 1] > t:
                    unit[i] = unit[i - 1]
                    place[i] = place[i - 1]
                    slack[i] = slack[i - 1]
                    steep[i] = steep[i - 1]
                    i -= 1
                unit[i] = k
                place[i] = t
                slack[i] = s
                steep[i] = gap / far if far > 0.0 else 0.0
                total += 1
        starts[e + 1] = total
        widest = 0.0
        for i in range(first, total):
            widest = max(widest, slack[i])
        for i in range(first, total - 1):
            if place[i + 1] - place[i] <= slack[i] + widest:
                if open_ == doubts.shape[0]:
                    doubts = np.concatenate((doubts, doubts))
                doubts[open_] = i
                open_ += 1
    return (
        starts, unit[:total], place[:total], slack[:total], steep[:total],
        doubts[:open_],
    )  # fmt: skip


@njit(cache=True)
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


@njit(cache=True)
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
            for k in range(64 * w, min(64 * w + 64, n)):
                bit = _ONE << np.uint64(k & 63)
                z = values[v, k]
                if up & bit == 0:
                    made[v, at + k] = low[k] * min(z, -_TINY) if low[k] != 0.0 else 0.0
                elif down & bit == 0:
                    made[v, at + k] = high[k] * max(z, _TINY)
                else:
                    made[v, at + k] = 0.0


@njit(cache=True)
def edge_sides(edges, offsets, corners, borders):
    """Return the cells left and right of every edge, -1 for none."""
    sides = np.full((edges.shape[0], 2), -1, np.int64)
    for c in range(offsets.shape[0] - 1):
        for i in range(offsets[c], offsets[c + 1]):
            e = borders[i]
            sides[e, 0 if edges[e, 0] == corners[i] else 1] = c
    return sides


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _grown(array, need):
    size = array.shape[0]
    if need <= size:
        return array
    more = np.empty((max(need, 2 * size),) + array.shape[1:], array.dtype)  # noqa: RUF005
    more[:size] = array
    return more


@njit(cache=True)
def _answer(keys, answers, key):
    """Return the known answer to a query, or 2."""
    i = np.searchsorted(keys, key)
    if i < keys.shape[0] and keys[i] == key:
        return answers[i]
    return 2


@njit(cache=True, error_model="numpy")
def split_cells(
    places, errors, offsets, corners, borders, edges, makers, blurs, rounding,
    starts, cut_unit, cut_vertex, cut_steep, sub_first, positive, negative, active,
    stage,
    units, keys, answers,
):  # fmt: skip
    """Split every cell by the functions that change sign on it.

    Args:
        places: Vertices [V, 2], those on cut edges included, after the old ones.
        errors: Errors of their places [V].
        offsets: Where cells start in the next two [C + 1].
        corners: Vertices of the cells, counter-clockwise.
        borders: Edge from each corner to the next.
        edges: Vertices of the old edges [E, 2].
        makers: Stage and unit of the old edges [E, 2].
        blurs: Errors of the old edges' lines, across them [E].
        rounding: Rounding of every function [n].
        starts: Where each edge's cuts start in the next two [E + 1].
        cut_unit: Functions, sorted along each edge.
        cut_vertex: Their vertices; equal for functions that cut at one place.
        cut_steep: How steep the functions are there at least.
        sub_first: First new edge of every old one [E + 1].
        positive: Signs at the old vertices as bitsets.
        negative: Likewise.
        active: Functions that count in every cell, or [0, words] for all.
        stage: Number noted as the maker of new edges.
        units: Number noted for each function.
        keys: Known queries, sorted.
        answers: Sign of the last function at the crossing of the two others.

    Returns:
        Places, errors; first and second vertex, place and function of every new vertex
        inside a cell; new edges, their makers and blurs; new offsets, corners,
        borders; parents;
        codes of the new cells; queries (cell, chord's ends, function, first, second);
        cells that could not be cut.
    """
    n = units.shape[0]
    words = positive.shape[1]
    count = offsets.shape[0] - 1
    vertices = places.shape[0]
    base = vertices
    places = _grown(places, vertices + 64)
    errors = _grown(errors, vertices + 64)
    from_a = np.empty(64, np.int64)
    from_b = np.empty(64, np.int64)
    from_t = np.empty(64, np.float64)
    from_k = np.empty(64, np.int64)
    lines = sub_first[-1]
    new_edges = np.empty((lines + 64, 2), np.int64)
    new_makers = np.full((lines + 64, makers.shape[1]), -1, np.int32)
    new_blurs = np.empty(lines + 64, np.float64)
    for e in range(edges.shape[0]):
        at = sub_first[e]
        here = edges[e, 0]
        last = -1
        for x in range(starts[e], starts[e + 1]):
            v = cut_vertex[x]
            if v != last:
                new_edges[at, 0] = here
                new_edges[at, 1] = v
                new_makers[at] = makers[e]
                new_blurs[at] = blurs[e]
                at += 1
                here = v
                last = v
        new_edges[at, 0] = here
        new_edges[at, 1] = edges[e, 1]
        new_makers[at] = makers[e]
        new_blurs[at] = blurs[e]
    new_offsets = np.zeros(count + 64, np.int64)
    new_corners = np.empty(corners.shape[0] + 256, np.int64)
    new_borders = np.empty(corners.shape[0] + 256, np.int64)
    parents = np.empty(count + 64, np.int64)
    codes = np.empty((count + 64, words), np.uint64)
    cells = 0
    filled = 0
    queries = np.empty((16, 6), np.int64)
    asked = 0
    bad = 0
    # One cell: its boundary, and its chords (function, two slots, sign between them).
    lv = np.empty(256, np.int64)
    le = np.empty(256, np.int64)
    first = np.full(n, -1, np.int64)
    second = np.full(n, -1, np.int64)
    after = np.zeros(n, np.int64)
    end_a = np.zeros(n, np.int64)
    end_b = np.zeros(n, np.int64)
    steepest = np.zeros(n, np.float64)
    blur = np.zeros(n, np.float64)
    twin = np.full(n, -1, np.int64)
    chord = np.empty((n + 1, 4), np.int64)
    listed = np.empty(n + 1, np.int64)
    # The stack of parts: arena of ints, arena of words, and headers.
    arena = np.empty(4096, np.int64)
    bits = np.empty((256, words), np.uint64)
    heads = np.empty((256, 4), np.int64)
    up = np.zeros(words, np.uint64)
    down = np.zeros(words, np.uint64)
    both = np.zeros(words, np.uint64)
    code_a = np.zeros(words, np.uint64)
    code_b = np.zeros(words, np.uint64)
    xi = np.empty(n + 1, np.int64)
    xl = np.empty(n + 1, np.int64)
    xr = np.empty(n + 1, np.int64)
    xt = np.empty(n + 1, np.float64)
    xs = np.empty(n + 1, np.float64)
    xv = np.empty(n + 1, np.int64)
    joined = np.zeros(n + 1, np.bool_)
    part_a = np.empty((n + 1, 4), np.int64)
    part_b = np.empty((n + 1, 4), np.int64)
    crossing = np.full(n + 1, -1, np.int64)
    for c in range(count):
        up[:] = 0
        down[:] = 0
        for i in range(offsets[c], offsets[c + 1]):
            v = corners[i]
            for w in range(words):
                up[w] |= positive[v, w]
                down[w] |= negative[v, w]
        anything = False
        for w in range(words):
            both[w] = up[w] & down[w]
            if active.shape[0]:
                both[w] &= active[c, w]
            anything = anything or both[w] != 0
        need = 0
        for i in range(offsets[c], offsets[c + 1]):
            need += sub_first[borders[i] + 1] - sub_first[borders[i]]
        if need >= lv.shape[0]:
            lv = _grown(lv, need + 1)
            le = _grown(le, need + 1)
        size = 0
        chords = 0
        wrong = False
        for i in range(offsets[c], offsets[c + 1]):
            v = corners[i]
            e = borders[i]
            forward = edges[e, 0] == v
            other = edges[e, 1] if forward else edges[e, 0]
            lv[size] = v
            if anything:
                for w in range(words):
                    x = both[w] & ~(positive[v, w] | negative[v, w])
                    b = 0
                    while x != 0:
                        if x & _ONE:
                            k = 64 * w + b
                            bit = _ONE << np.uint64(b)
                            if first[k] < 0:
                                first[k] = size
                                end_a[k] = v
                                steepest[k] = 0.0
                                after[k] = 0
                                if positive[other, w] & bit:
                                    after[k] = 1
                                elif negative[other, w] & bit:
                                    after[k] = -1
                                listed[chords] = k
                                chords += 1
                            elif second[k] < 0:
                                second[k] = size
                                end_b[k] = v
                            else:
                                wrong = True
                        x >>= _ONE
                        b += 1
            pieces = sub_first[e + 1] - sub_first[e]
            edge = sub_first[e] if forward else sub_first[e + 1] - 1
            step = 1 if forward else -1
            le[size] = edge
            size += 1
            if pieces == 1:
                continue
            last = -1
            lower, upper = starts[e], starts[e + 1]
            for y in range(upper - lower):
                x = lower + y if forward else upper - 1 - y
                if cut_vertex[x] != last:
                    last = cut_vertex[x]
                    edge += step
                    lv[size] = last
                    le[size] = edge
                    size += 1
                k = cut_unit[x]
                w = k >> 6
                bit = _ONE << np.uint64(k & 63)
                if both[w] & bit:
                    if first[k] < 0:
                        first[k] = size - 1
                        end_a[k] = last
                        steepest[k] = cut_steep[x]
                        after[k] = 1 if positive[other, w] & bit else -1
                        listed[chords] = k
                        chords += 1
                    elif second[k] < 0:
                        second[k] = size - 1
                        end_b[k] = last
                        steepest[k] = max(steepest[k], cut_steep[x])
                    else:
                        wrong = True
        # Chords with the same ends are one line.
        kept = 0
        for i in range(chords):
            k = listed[i]
            if second[k] < 0 or after[k] == 0:
                wrong = True
                continue
            same = -1
            for j in range(kept):
                if chord[j, 1] == first[k] and chord[j, 2] == second[k]:
                    same = j
                    break
            twin[k] = -1
            if same >= 0:
                twin[k] = chord[same, 0]
                continue
            chord[kept, 0] = k
            chord[kept, 1] = first[k]
            chord[kept, 2] = second[k]
            chord[kept, 3] = after[k]
            kept += 1
            if steepest[k] > 0.0:
                blur[k] = rounding[k] / steepest[k]
            else:
                blur[k] = max(errors[end_a[k]], errors[end_b[k]])
            size_of = abs(places[end_a[k], 0]) + abs(places[end_a[k], 1])
            blur[k] += 4.0 * _ROUND * size_of
        if wrong:
            bad += 1
            kept = 0
        # Push the whole cell.
        if 2 * size + 4 * kept > arena.shape[0]:
            arena = _grown(arena, 2 * size + 4 * kept)
        for i in range(size):
            arena[i] = lv[i]
            arena[size + i] = le[i]
        for i in range(kept):
            for j in range(4):
                arena[2 * size + 4 * i + j] = chord[i, j]
        heads[0, 0] = 0
        heads[0, 1] = size
        heads[0, 2] = kept
        for w in range(words):
            bits[0, w] = up[w] & ~both[w]
        depth = 1
        stopped = False
        opened = cells
        while depth > 0:
            depth -= 1
            begin = heads[depth, 0]
            size = heads[depth, 1]
            m = heads[depth, 2]
            if m == 0 or stopped:
                # A finished cell.
                if cells + 1 >= new_offsets.shape[0]:
                    new_offsets = _grown(new_offsets, cells + 2)
                    parents = _grown(parents, cells + 2)
                    codes = _grown(codes, cells + 2)
                if filled + size > new_corners.shape[0]:
                    new_corners = _grown(new_corners, filled + size)
                    new_borders = _grown(new_borders, filled + size)
                for i in range(size):
                    new_corners[filled + i] = arena[begin + i]
                    new_borders[filled + i] = arena[begin + size + i]
                filled += size
                parents[cells] = c
                for w in range(words):
                    codes[cells, w] = bits[depth, w]
                cells += 1
                new_offsets[cells] = filled
                continue
            if size > lv.shape[0]:
                lv = _grown(lv, size)
                le = _grown(le, size)
            for i in range(size):
                lv[i] = arena[begin + i]
                le[i] = arena[begin + size + i]
            best = -1
            balance = -1
            for i in range(m):
                for j in range(4):
                    chord[i, j] = arena[begin + 2 * size + 4 * i + j]
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
                code_a[w] = bits[depth, w]
                code_b[w] = bits[depth, w]
            bit = _ONE << np.uint64(unit & 63)
            if inside > 0:
                code_a[unit >> 6] |= bit
            else:
                code_b[unit >> 6] |= bit
            ma = 0
            mb = 0
            mx = 0
            # Places are measured along the whole chord, from whichever end p is nearer.
            flip = inside != after[unit]
            va = end_b[unit] if flip else end_a[unit]
            vb = end_a[unit] if flip else end_b[unit]
            ax = places[va, 0]
            ay = places[va, 1]
            bx = places[vb, 0]
            by = places[vb, 1]
            far = abs(bx - ax) + abs(by - ay)
            for i in range(m):
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
                bit = _ONE << np.uint64(k & 63)
                if (p_in and q_out) or (q_in and p_out):
                    # It crosses; keep them sorted along the chord.
                    near = kp if p_in else kq
                    r = kq if p_in else kp
                    cx = places[end_a[k], 0]
                    cy = places[end_a[k], 1]
                    dx = places[end_b[k], 0] - cx
                    dy = places[end_b[k], 1] - cy
                    den = (bx - ax) * dy - (by - ay) * dx
                    num = (cx - ax) * dy - (cy - ay) * dx
                    t = 0.5
                    slack = 1.0
                    if den != 0.0:
                        t = min(max(num / den, 0.0), 1.0)
                        slack = 2.0 * (blur[unit] + blur[k]) * (abs(dx) + abs(dy))
                        slack = min(slack / abs(den) + 4.0 * _ROUND, 1.0)
                    r = r + size if r < p else r
                    at = mx
                    together = False
                    while at > 0:
                        # Which of the two is nearer to p? -1 the new one.
                        o = at - 1
                        nearer = 0
                        if near <= xl[o] and r >= xr[o]:
                            nearer = -1
                        elif near >= xl[o] and r <= xr[o]:
                            nearer = 1
                        elif abs(t - xt[o]) > slack + xs[o]:
                            nearer = -1 if t < xt[o] else 1
                        else:
                            rival = chord[xi[o], 0]
                            key = ((c * n + unit) * n + rival) * n + k
                            known = _answer(keys, answers, key)
                            if known == 2:
                                queries = _grown(queries, asked + 1)
                                queries[asked, 0] = key
                                queries[asked, 1] = va
                                queries[asked, 2] = vb
                                queries[asked, 3] = rival
                                queries[asked, 4] = k
                                queries[asked, 5] = c
                                asked += 1
                                stopped = True
                                nearer = 1
                            elif known == 0:
                                nearer = 0
                            else:
                                # Sign of k at p, by where p lies on the boundary.
                                at_p = sign if kp < p < kq else -sign
                                nearer = 1 if known == at_p else -1
                        if nearer >= 0:
                            if nearer == 0:
                                t = xt[o]
                                together = True
                            break
                        xi[at] = xi[o]
                        xl[at] = xl[o]
                        xr[at] = xr[o]
                        xt[at] = xt[o]
                        xs[at] = xs[o]
                        joined[at] = joined[o]
                        at -= 1
                    # A group at one place stays together, the new one behind its head.
                    xi[at] = i
                    xl[at] = near
                    xr[at] = r
                    xt[at] = t
                    xs[at] = slack
                    joined[at] = together
                    mx += 1
                elif p_in or q_in:
                    part_a[ma, 0] = k
                    part_a[ma, 1] = kp - p
                    part_a[ma, 2] = kq - p
                    part_a[ma, 3] = sign
                    ma += 1
                    if -sign > 0:
                        code_b[k >> 6] |= bit
                elif p_out or q_out:
                    a = kp - q if kp >= q else kp + size - q
                    b = kq - q if kq >= q else kq + size - q
                    part_b[mb, 0] = k
                    part_b[mb, 1] = min(a, b)
                    part_b[mb, 2] = max(a, b)
                    part_b[mb, 3] = sign if a < b else -sign
                    mb += 1
                    around = kp <= p and kq >= q
                    if (sign if around else -sign) > 0:
                        code_a[k >> 6] |= bit
                else:
                    bad += 1
            # Make the crossings.
            made = 0
            if vertices + mx > places.shape[0]:
                places = _grown(places, vertices + mx)
                errors = _grown(errors, vertices + mx)
            if vertices + mx - base > from_a.shape[0]:
                from_a = _grown(from_a, vertices + mx - base)
                from_b = _grown(from_b, vertices + mx - base)
                from_t = _grown(from_t, vertices + mx - base)
                from_k = _grown(from_k, vertices + mx - base)
            for i in range(mx):
                if joined[i]:
                    crossing[i] = made - 1
                    k = chord[xi[i], 0]
                    blur[k] = max(blur[k], errors[vertices - 1])
                    continue
                t = xt[i]
                places[vertices, 0] = ax + t * (bx - ax)
                places[vertices, 1] = ay + t * (by - ay)
                size_of = abs(ax) + abs(bx) + abs(ay) + abs(by)
                errors[vertices] = xs[i] * far + blur[unit] + 2.0 * _ROUND * size_of
                from_a[vertices - base] = va
                from_b[vertices - base] = vb
                from_t[vertices - base] = t
                from_k[vertices - base] = chord[xi[i], 0]
                xv[made] = vertices
                crossing[i] = made
                made += 1
                vertices += 1
            if lines + made + 1 > new_edges.shape[0]:
                new_edges = _grown(new_edges, lines + made + 1)
                new_makers = _grown(new_makers, lines + made + 1)
                new_blurs = _grown(new_blurs, lines + made + 1)
            for i in range(made + 1):
                new_edges[lines + i, 0] = lv[p] if i == 0 else xv[i - 1]
                new_edges[lines + i, 1] = lv[q] if i == made else xv[i]
                new_makers[lines + i, :] = -1
                new_makers[lines + i, 0] = stage
                new_makers[lines + i, 1] = units[unit]
                new_blurs[lines + i] = blur[unit]
            size_a = q - p + 1
            size_b = size - (q - p) + 1
            for i in range(mx):
                k = chord[xi[i], 0]
                kp = chord[xi[i], 1]
                sign = chord[xi[i], 3]
                near = xl[i]
                # Between the end and the crossing lies the rest of the boundary.
                part_a[ma, 0] = k
                part_a[ma, 1] = near - p
                part_a[ma, 2] = size_a + made - 1 - crossing[i]
                part_a[ma, 3] = sign if near == kp else -sign
                ma += 1
                r = xr[i] if xr[i] < size else xr[i] - size
                part_b[mb, 0] = k
                part_b[mb, 1] = xr[i] - q
                part_b[mb, 2] = size_b + crossing[i]
                part_b[mb, 3] = sign if r == kp else -sign
                mb += 1
            # Push the part beyond q, then the part between p and q.
            if depth + 2 > heads.shape[0]:
                heads = _grown(heads, depth + 2)
                bits = _grown(bits, depth + 2)
            total_a = size_a + made
            total_b = size_b + made
            if mb == 0 or ma == 0:
                if cells + 2 >= new_offsets.shape[0]:
                    new_offsets = _grown(new_offsets, cells + 3)
                    parents = _grown(parents, cells + 3)
                    codes = _grown(codes, cells + 3)
                if filled + total_a + total_b > new_corners.shape[0]:
                    new_corners = _grown(new_corners, filled + total_a + total_b)
                    new_borders = _grown(new_borders, filled + total_a + total_b)
            need = 2 * (total_a + total_b) + 4 * (ma + mb)
            if begin + need > arena.shape[0]:
                arena = _grown(arena, begin + need)
            at = begin
            if mb == 0:
                for i in range(size_b):
                    o = q + i
                    o = o if o < size else o - size
                    new_corners[filled + i] = lv[o]
                    new_borders[filled + i] = le[o]
                new_borders[filled + size_b - 1] = lines
                for i in range(made):
                    new_corners[filled + size_b + i] = xv[i]
                    new_borders[filled + size_b + i] = lines + i + 1
                filled += total_b
                parents[cells] = c
                for w in range(words):
                    codes[cells, w] = code_b[w]
                cells += 1
                new_offsets[cells] = filled
            else:
                heads[depth, 0] = at
                heads[depth, 1] = total_b
                heads[depth, 2] = mb
                for i in range(size_b):
                    o = q + i
                    o = o if o < size else o - size
                    arena[at + i] = lv[o]
                    arena[at + total_b + i] = le[o]
                arena[at + total_b + size_b - 1] = lines
                for i in range(made):
                    arena[at + size_b + i] = xv[i]
                    arena[at + total_b + size_b + i] = lines + i + 1
                at += 2 * total_b
                for i in range(mb):
                    for j in range(4):
                        arena[at + j] = part_b[i, j]
                    at += 4
                for w in range(words):
                    bits[depth, w] = code_b[w]
                depth += 1
            if ma == 0:
                for i in range(size_a):
                    new_corners[filled + i] = lv[p + i]
                    new_borders[filled + i] = le[p + i]
                new_borders[filled + size_a - 1] = lines + made
                for i in range(made):
                    new_corners[filled + size_a + i] = xv[made - 1 - i]
                    new_borders[filled + size_a + i] = lines + made - 1 - i
                filled += total_a
                parents[cells] = c
                for w in range(words):
                    codes[cells, w] = code_a[w]
                cells += 1
                new_offsets[cells] = filled
            else:
                heads[depth, 0] = at
                heads[depth, 1] = total_a
                heads[depth, 2] = ma
                for i in range(size_a):
                    arena[at + i] = lv[p + i]
                    arena[at + total_a + i] = le[p + i]
                arena[at + total_a + size_a - 1] = lines + made
                for i in range(made):
                    arena[at + size_a + i] = xv[made - 1 - i]
                    arena[at + total_a + size_a + i] = lines + made - 1 - i
                at += 2 * total_a
                for i in range(ma):
                    for j in range(4):
                        arena[at + j] = part_a[i, j]
                    at += 4
                for w in range(words):
                    bits[depth, w] = code_a[w]
                depth += 1
            lines += made + 1
        for i in range(chords):
            k = listed[i]
            r = twin[k]
            if r >= 0:
                bit = _ONE << np.uint64(k & 63)
                for d in range(opened, cells):
                    on = (codes[d, r >> 6] >> np.uint64(r & 63)) & _ONE != 0
                    if on == (after[k] == after[r]):
                        codes[d, k >> 6] |= bit
            first[k] = -1
            second[k] = -1
            twin[k] = -1
    inner = vertices - base
    return (
        places[:vertices], errors[:vertices], from_a[:inner], from_b[:inner],
        from_t[:inner], from_k[:inner], new_edges[:lines], new_makers[:lines],
        new_blurs[:lines],
        new_offsets[: cells + 1], new_corners[:filled], new_borders[:filled],
        parents[:cells], codes[:cells], queries[:asked], bad,
    )  # fmt: skip
