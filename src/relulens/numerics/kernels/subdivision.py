"""Cut convex cells in any dimension by affine functions, cell by cell.

A cell is a list of vertices (numbers shared by all cells), the facets that each vertex
lies on as a bitset, and its edges. Every decision is combinatorial, from the signs of
the functions at vertices, so coincident and degenerate cuts need no tolerance. A sign
that rounding leaves open stops the kernel; the caller decides it and calls again.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int32]
Words: TypeAlias = NDArray[np.uint64]
Pool: TypeAlias = tuple[Integers, Small, Words]
Points: TypeAlias = tuple[Floats, Floats, Words, Words, Small]
Table: TypeAlias = tuple[Integers, Small]

DONE, DOUBT, BUDGET, FACETS = 0, 1, 2, 3
"""How the kernel stops: finished, signs to decide, cells or facet slots used up."""

# Places in the kernel's counters.
CELL, DEPTH, VERTICES, MADE, INTS, WORDS, DOUBTS, FILLED = range(8)
# Places in the header of a cell.
FIRST_INT, FIRST_WORD, NV, NF, NE, NEXT, PARENT = range(7)
_ROUND = 2.0**-52
_ONE = np.uint64(1)


@njit(cache=True, inline="always")
def _bits(x):
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + (
        (x >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, inline="always")
def _lowest(x):
    return _bits((x & (~x + _ONE)) - _ONE)


@njit(cache=True)
def _longer(a, size):
    if a.shape[0] >= size:
        return a
    b = np.empty(max(size, 2 * a.shape[0]), a.dtype)
    b[: a.shape[0]] = a
    return b


@njit(cache=True)
def _taller(a, size):
    if a.shape[0] >= size:
        return a
    b = np.empty((max(size, 2 * a.shape[0]), a.shape[1]), a.dtype)
    b[: a.shape[0]] = a
    return b


@njit(cache=True, inline="always")
def _slot(keys, key):
    h = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    mask = np.int64(keys.shape[0] - 1)
    place = np.int64(h >> np.uint64(20)) & mask
    while keys[place] != -1 and keys[place] != key:
        place = (place + 1) & mask
    return place


@njit(cache=True)
def _rehashed(keys, values):
    wide = np.full(2 * keys.shape[0], -1, np.int64)
    held = np.empty(2 * keys.shape[0], np.int32)
    for i in range(keys.shape[0]):
        if keys[i] != -1:
            place = _slot(wide, keys[i])
            wide[place] = keys[i]
            held[place] = values[i]
    return wide, held


@njit(cache=True)
def _new_vertex(rows, err, pos, neg, made, v, u, w, unit, columns, doubts, ndoubt):
    """Place vertex v where a function is zero between u and w; return the doubts."""
    column = columns[unit]
    a, b = abs(rows[u, column]), abs(rows[w, column])
    ea, eb = err[u], err[w]
    share = a / (a + b)
    low, high = max(a - ea, 0.0), a + ea
    most = high / (high + max(b - eb, 0.0))
    least = low / (low + b + eb) if low > 0.0 else 0.0
    off = max(most - share, share - least) + 4 * _ROUND
    widest = 0.0
    largest = 0.0
    for j in range(rows.shape[1]):
        x, y = rows[u, j], rows[w, j]
        d = y - x
        rows[v, j] = x + share * d
        widest = max(widest, abs(d))
        largest = max(largest, max(abs(x), abs(y)))
    rows[v, column] = 0.0
    err[v] = max(ea, eb) + widest * off + 4 * _ROUND * largest
    made[v, 0], made[v, 1], made[v, 2] = u, w, unit
    for word in range(pos.shape[1]):
        pu, pw, nu, nw = pos[u, word], pos[w, word], neg[u, word], neg[w, word]
        p = (pu & ~nw) | (pw & ~nu)
        n = (nu & ~pw) | (nw & ~pu)
        open_ = (pu & nw) | (pw & nu)
        while open_:
            bit = _lowest(open_)
            open_ &= open_ - _ONE
            j = 64 * word + bit
            if j == unit:
                continue
            value = rows[v, columns[j]]
            if value > err[v]:
                p |= _ONE << np.uint64(bit)
            elif value < -err[v]:
                n |= _ONE << np.uint64(bit)
            else:
                doubts[ndoubt, 0], doubts[ndoubt, 1] = v, j
                ndoubt += 1
        pos[v, word] = p
        neg[v, word] = n
    return ndoubt


@njit(cache=True)
def _pairs(inc, zeros, nz, dimension, pairs):
    """Write the edges of the cut facet as pairs of its vertices; return how many."""
    words = inc.shape[1]
    simple = True
    for a in range(nz):
        count = 0
        for word in range(words):
            count += _bits(inc[zeros[a], word])
        if count != dimension - 1:
            simple = False
    found = 0
    for a in range(nz):
        for b in range(a + 1, nz):
            p, q = zeros[a], zeros[b]
            count = 0
            for word in range(words):
                count += _bits(inc[p, word] & inc[q, word])
            if count < dimension - 2:
                continue
            adjacent = True
            if not simple:
                for c in range(nz):
                    r = zeros[c]
                    if r == p or r == q:
                        continue
                    inside = True
                    for word in range(words):
                        if inc[p, word] & inc[q, word] & ~inc[r, word]:
                            inside = False
                            break
                    if inside:
                        adjacent = False
                        break
            if adjacent:
                if found >= pairs.shape[0]:
                    pairs = _taller(pairs, 2 * pairs.shape[0])
                pairs[found, 0], pairs[found, 1] = p, q
                found += 1
    return found, pairs


@njit(cache=True)
def _child(
    sign, side, vid, nv, lab, nf, inc, eu, ew, ne, cut, nall, pairs, npairs, label, out
):
    """Write one side of a cut cell to the end of a pool; return it and free slots."""
    head, ints, words, depth, oi, ow = out
    w = inc.shape[1]
    alive = np.zeros(w, np.uint64)
    for i in range(nv):
        if sign[i] == side:
            for word in range(w):
                alive[word] |= inc[i, word]
    slot = -1
    for word in range(w):
        free = ~alive[word]
        if free:
            slot = 64 * word + _lowest(free)
            break
    if slot < 0:
        return head, ints, words, oi, ow, False
    slots = max(nf, slot + 1)
    place = np.full(nall, -1, np.int64)
    need = nall + slots + ne + npairs + 8
    ints = _longer(ints, oi + need)
    words = _longer(words, ow + nall * w)
    head = _taller(head, depth + 1)
    count = 0
    for i in range(nall):
        if i < nv and sign[i] == -side:
            continue
        zero = i >= nv or sign[i] == 0
        place[i] = count
        ints[oi + count] = vid[i]
        for word in range(w):
            bits = inc[i, word] & alive[word]
            if zero and slot // 64 == word:
                bits |= _ONE << np.uint64(slot % 64)
            words[ow + count * w + word] = bits
        count += 1
    at = oi + count
    for f in range(slots):
        ints[at + f] = -1
        if f < nf and (alive[f // 64] >> np.uint64(f % 64)) & _ONE:
            ints[at + f] = lab[f]
    ints[at + slot] = label
    at += slots
    edges = 0
    for e in range(ne):
        p, q = eu[e], ew[e]
        if cut[e] >= 0:
            p = p if sign[p] == side else q
            q = cut[e]
        elif place[p] < 0 or place[q] < 0 or (sign[p] == 0 and sign[q] == 0):
            continue
        ints[at + edges] = (place[p] << 16) | place[q]
        edges += 1
    for e in range(npairs):
        ints[at + edges] = (place[pairs[e, 0]] << 16) | place[pairs[e, 1]]
        edges += 1
    head[depth, FIRST_INT], head[depth, FIRST_WORD] = oi, ow
    head[depth, NV], head[depth, NF], head[depth, NE] = count, slots, edges
    return head, ints, words, at + edges, ow + count * w, True


@njit(cache=True)
def subdivide(
    counters, points, table, given, stack, made, codes, doubts,
    columns, dimension, label, clip, budget,
):  # fmt: skip
    """Cut every given cell by every function that changes sign on it.

    Args:
        counters: Where the kernel stands, by the constants above.
        points: Rows [V, columns], errors [V], words of positive and of negative signs
            [V, words], and the edge and function that made each vertex [V, 3].
        table: Open hash from a cut edge to its vertex.
        given: Cells to cut.
        stack: Cells on their way.
        made: Cells that are finished.
        codes: Words of the functions that are positive on each finished cell.
        doubts: Vertices and functions whose signs the caller must decide.
        columns: Column of each function in the rows.
        dimension: Dimension of the cells.
        label: Label of the facets that the first function cuts.
        clip: Whether only the positive side stays.
        budget: Most finished cells and cells on their way.

    Returns:
        Why it stopped, and all arrays, which may have grown.
    """
    rows, err, pos, neg, origin = points
    keys, values = table
    head, ints, words = given
    shead, sints, swords = stack
    mhead, mints, mwords = made
    uw = pos.shape[1]
    w = np.int64(counters[8])
    status = 0
    eu = np.empty(64, np.int64)
    ew = np.empty(64, np.int64)
    cut = np.empty(64, np.int64)
    vid = np.empty(64, np.int64)
    sign = np.empty(64, np.int64)
    zeros = np.empty(64, np.int64)
    inc = np.empty((64, w), np.uint64)
    pairs = np.empty((64, 2), np.int64)
    anypos = np.zeros(uw, np.uint64)
    while True:
        depth = counters[DEPTH]
        if depth == 0:
            cell = counters[CELL]
            if cell >= head.shape[0]:
                break
            # The given cell becomes the only one on its way.
            nv, nf, ne = head[cell, NV], head[cell, NF], head[cell, NE]
            fi, fw = head[cell, FIRST_INT], head[cell, FIRST_WORD]
            sints = _longer(sints, nv + nf + ne)
            swords = _longer(swords, nv * w)
            sints[: nv + nf + ne] = ints[fi : fi + nv + nf + ne]
            swords[: nv * w] = words[fw : fw + nv * w]
            shead[0, FIRST_INT], shead[0, FIRST_WORD] = 0, 0
            shead[0, NV], shead[0, NF], shead[0, NE] = nv, nf, ne
            shead[0, NEXT], shead[0, PARENT] = 0, cell
            counters[CELL] += 1
            counters[DEPTH] = 1
            depth = 1
        top = depth - 1
        fi, fw = shead[top, FIRST_INT], shead[top, FIRST_WORD]
        nv, nf, ne = shead[top, NV], shead[top, NF], shead[top, NE]
        first, parent = shead[top, NEXT], shead[top, PARENT]
        unit = -1
        for word in range(uw):
            p, n = np.uint64(0), np.uint64(0)
            for i in range(nv):
                v = sints[fi + i]
                p |= pos[v, word]
                n |= neg[v, word]
            anypos[word] = p
            both = p & n
            if unit < 0 and 64 * word + 63 >= first:
                if first > 64 * word:
                    both &= ~((_ONE << np.uint64(first - 64 * word)) - _ONE)
                if both:
                    unit = 64 * word + _lowest(both)
        if unit < 0:
            if clip and not anypos[0] & _ONE:
                counters[DEPTH] = top
                continue
            cell = counters[MADE]
            if cell >= budget:
                status = BUDGET
                break
            mhead = _taller(mhead, cell + 1)
            codes = _taller(codes, cell + 1)
            mi, mw = counters[INTS], counters[WORDS]
            mints = _longer(mints, mi + nv + nf + ne)
            mwords = _longer(mwords, mw + nv * w)
            for i in range(nv + nf + ne):
                mints[mi + i] = sints[fi + i]
            for i in range(nv * w):
                mwords[mw + i] = swords[fw + i]
            mhead[cell, FIRST_INT], mhead[cell, FIRST_WORD] = mi, mw
            mhead[cell, NV], mhead[cell, NF], mhead[cell, NE] = nv, nf, ne
            mhead[cell, PARENT] = parent
            for word in range(uw):
                codes[cell, word] = anypos[word]
            counters[INTS], counters[WORDS] = mi + nv + nf + ne, mw + nv * w
            counters[MADE] += 1
            counters[DEPTH] = top
            continue
        # Vertices where the function is zero on edges, shared with the neighbours.
        if nv + ne > vid.shape[0]:
            vid = _longer(vid, nv + ne)
            sign = _longer(sign, nv + ne)
            zeros = _longer(zeros, nv + ne)
            inc = _taller(inc, nv + ne)
        if ne > eu.shape[0]:
            eu, ew, cut = _longer(eu, ne), _longer(ew, ne), _longer(cut, ne)
        nz = 0
        uword, ubit = unit // 64, np.uint64(unit % 64)
        for i in range(nv):
            v = sints[fi + i]
            vid[i] = v
            s = np.int64((pos[v, uword] >> ubit) & _ONE) - np.int64(
                (neg[v, uword] >> ubit) & _ONE
            )
            sign[i] = s
            for word in range(w):
                inc[i, word] = swords[fw + i * w + word]
            if s == 0:
                zeros[nz] = i
                nz += 1
        nall = nv
        ndoubt = counters[DOUBTS]
        for e in range(ne):
            both_ends = sints[fi + nv + nf + e]
            i, j = both_ends >> 16, both_ends & 0xFFFF
            eu[e], ew[e], cut[e] = i, j, -1
            if sign[i] * sign[j] >= 0:
                continue
            u, v = min(vid[i], vid[j]), max(vid[i], vid[j])
            key = (np.int64(u) << 32) | np.int64(v)
            if 2 * counters[FILLED] > keys.shape[0]:
                keys, values = _rehashed(keys, values)
            place = _slot(keys, key)
            if keys[place] == -1:
                new = counters[VERTICES]
                rows = _taller(rows, new + 1)
                err = _longer(err, new + 1)
                pos, neg = _taller(pos, new + 1), _taller(neg, new + 1)
                origin = _taller(origin, new + 1)
                doubts = _taller(doubts, ndoubt + 64 * uw)
                ndoubt = _new_vertex(
                    rows, err, pos, neg, origin, new, u, v, unit, columns, doubts,
                    ndoubt,
                )  # fmt: skip
                keys[place], values[place] = key, new
                counters[FILLED] += 1
                counters[VERTICES] += 1
            vid[nall] = values[place]
            for word in range(w):
                inc[nall, word] = inc[i, word] & inc[j, word]
            zeros[nz] = nall
            cut[e] = nall
            nz += 1
            nall += 1
        counters[DOUBTS] = ndoubt
        if ndoubt > 0:
            status = DOUBT
            break
        if nall >= 32768:
            status = FACETS
            break
        npairs, pairs = _pairs(inc, zeros, nz, dimension, pairs)
        labels = sints[fi + nv : fi + nv + nf].copy()
        # The children take the place of the cell on the stack.
        oi, ow = fi, fw
        at = top
        fine = True
        for side in (1, -1):
            if side == -1 and clip:
                break
            out = (shead, sints, swords, at, oi, ow)
            shead, sints, swords, oi, ow, fine = _child(
                sign, side, vid, nv, labels, nf, inc, eu, ew, ne, cut, nall, pairs,
                npairs, label + unit, out,
            )  # fmt: skip
            if not fine:
                break
            shead[at, NEXT], shead[at, PARENT] = unit + 1, parent
            at += 1
        if not fine:
            status = FACETS
            break
        counters[DEPTH] = at
    return (
        status,
        (rows, err, pos, neg, origin),
        (keys, values),
        (shead, sints, swords),
        (mhead, mints, mwords),
        codes,
        doubts,
    )
