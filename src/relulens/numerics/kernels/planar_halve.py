"""A part of a cell split along a chord.

A finished half is a new cell; the other waits on the stack of parts to be split.
"""

import numpy as np
from numba import njit

_ROUND = 2.0**-52
_ONE = np.uint64(1)
_HUGE = 1e300

(
    CELL, TODO, LEFT, VERTEX, LINE, PIECE, CORNER, QUERY, BAD,
    CROSSINGS, CHORDS, SIZE, BASE, STAGE, LONGEST, NUMBERS,
) = range(16)  # fmt: skip
"""What the tally counts: cells done, to do and left; vertices, edges, new cells, their
corners and queries made; cells that contradict themselves; what the next cell needs;
and what stays: vertices at first, the stage, and the longest boundary."""


@njit(cache=True, nogil=True, inline="always")
def _answer(known, key):
    """Return the known answer to a query, or 2."""
    i = np.searchsorted(known[0], key)
    if i < known.shape[1] and known[0, i] == key:
        return known[1, i]
    return 2


@njit(cache=True, nogil=True, inline="always")
def cut_once(
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
    line = tally[LINE]
    new_edges[line, 0] = around[0, p]
    new_edges[line, 1] = around[0, q]
    new_makers[line, 0] = tally[STAGE]
    new_makers[line, 1] = units[unit]
    new_makers[line, 2] = -1
    new_blurs[line] = blurred[0, unit]
    tally[LINE] = line + 1
    filled = tally[CORNER]
    d = tally[PIECE]
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
    tally[CORNER] = filled
    tally[PIECE] = d + 2


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def halve(
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
    base = tally[BASE]
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
            slack = _HUGE
            if den != 0.0:
                free = ((cx - ax) * dy - (cy - ay) * dx) / den
                t = min(max(free, 0.0), 1.0)
                slack = 2.0 * (blurred[0, unit] + blurred[0, k]) * (abs(dx) + abs(dy))
                slack = slack / abs(den) + abs(free - t) + 4.0 * _ROUND
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
                        asked = tally[QUERY]
                        queries[asked, 0] = key
                        queries[asked, 1] = va
                        queries[asked, 2] = vb
                        queries[asked, 3] = rival
                        queries[asked, 4] = k
                        queries[asked, 5] = c
                        tally[QUERY] = asked + 1
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
            tally[BAD] += 1
    # Make the crossings.
    vertices = tally[VERTEX]
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
        ends = max(errors[va], errors[vb])
        errors[v] = min(along[1, i] * far, far + ends)
        errors[v] += blurred[0, unit] + 2.0 * _ROUND * size_of
        inner[v - base, 0] = va
        inner[v - base, 1] = vb
        inner[v - base, 2] = k
        mixed[v - base] = t
        across[4, i] = made
        made += 1
    tally[VERTEX] = vertices + made
    lines = tally[LINE]
    for i in range(made + 1):
        new_edges[lines + i, 0] = around[0, begin + p] if i == 0 else vertices + i - 1
        new_edges[lines + i, 1] = around[0, begin + q] if i == made else vertices + i
        new_makers[lines + i, 0] = tally[STAGE]
        new_makers[lines + i, 1] = units[unit]
        new_makers[lines + i, 2] = -1
        new_blurs[lines + i] = blurred[0, unit]
    tally[LINE] = lines + made + 1
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
            filled = tally[CORNER]
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
            tally[CORNER] = filled + made
            d = tally[PIECE]
            parents[d] = c
            for w in range(words):
                codes[d, w] = seen[2 + half, w]
            new_offsets[d + 1] = filled + made
            tally[PIECE] = d + 1
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
