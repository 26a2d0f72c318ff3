"""List linear regions depth first, by linear programs that start where others ended.

The domain is the cube ``[-1, 1]^n``. A region is its inequalities, a point inside it
and a few of its vertices with the inverses of their bases. A unit is cut by without a
program where two known vertices lie on either side; else one program asks for the side
that no vertex shows. It starts at a vertex of the region, so it needs no first phase.

Every inequality and unit carries a bound on its error over the cube. That a unit keeps
its sign is shown by multipliers, with their rounding; that a region exists, by a point
inside by more than all errors. What neither shows is counted as open.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int32]

INPUT, AFFINE, TWO_SLOPE, MAXIMUM, CLIP = range(5)
"""Kinds of nodes; the last one keeps the side where its argument is positive."""

DONE, FULL = 0, 1
"""How the kernel stops: finished, or no room for more regions."""

# Places in a frame.
NODE, CURSOR, ROWS, POOL, TOP, STATE, SAVED, FIRST = range(8)
# Places in the counters.
DEPTH, FOUND, OPEN, PROGRAMS, PIVOTS, THIN, NOTED = range(7)
# Places in the net.
KIND, OFFSET, LENGTH, SOURCE, POINTER, COLUMN, WEIGHT, BIAS, NEGATIVE, POSITIVE = range(
    10
)
# What a program or a test found.
BEST, BEYOND, STALLED = 0, 1, 2
OFF, ON, CUT = 0, 1, 2

_ROUND = 2.0**-53
_TINY = 1e-11


@njit(cache=True)
def _refined(x, basis, inverse, rt, right):
    """Place a vertex again from its basis; mend the inverse where it has drifted."""
    n = x.shape[0]
    off = 0.0
    for i in range(n):
        total = -right[basis[i]]
        for k in range(n):
            total += rt[k, basis[i]] * x[k]
        off = max(off, abs(total))
    if off <= 1e-14:
        return
    product = np.zeros((n, n))
    for i in range(n):
        for k in range(n):
            share = rt[k, basis[i]]
            for j in range(n):
                product[i, j] -= share * inverse[k, j]
        product[i, i] += 2.0
    mended = np.zeros((n, n))
    for i in range(n):
        for k in range(n):
            share = inverse[i, k]
            for j in range(n):
                mended[i, j] += share * product[k, j]
    for k in range(n):
        total = 0.0
        for i in range(n):
            inverse[k, i] = mended[k, i]
            total += mended[k, i] * right[basis[i]]
        x[k] = total


@njit(cache=True)
def _leaving(cost, inverse, basis, lam, square, least, bland):
    """Return the facet to leave, by the steepest edge or the smallest number."""
    n = cost.shape[0]
    for i in range(n):
        lam[i] = 0.0
        square[i] = 0.0
    for k in range(n):
        c = cost[k]
        for i in range(n):
            lam[i] += c * inverse[k, i]
            square[i] += inverse[k, i] * inverse[k, i]
    out, best = -1, 0.0
    for i in range(n):
        if lam[i] >= -least:
            continue
        if bland:
            if out < 0 or basis[i] < basis[out]:
                out = i
        elif lam[i] * lam[i] > best * square[i]:
            best = lam[i] * lam[i] / square[i]
            out = i
    return out


@njit(cache=True)
def _entering(slack, along, size, length, bland):
    """Return the row that is met first; of near ties the one of the largest pivot."""
    least = np.inf
    tiny = _TINY * length
    room = 0.0 if bland else 1e-13
    for j in range(size):
        if along[j] > tiny:
            least = min(least, (max(slack[j], 0.0) + room) / along[j])
    come, widest = -1, 0.0
    for j in range(size):
        if along[j] > tiny and max(slack[j], 0.0) <= least * along[j]:
            if bland:
                return j
            if along[j] > widest:
                come, widest = j, along[j]
    return come


@njit(cache=True)
def maximise(cost, shift, goal, x, basis, inverse, rt, right, size, work, counters):
    """Walk from a vertex along edges until a function exceeds a goal or is largest.

    The vertex, its basis and the inverse are replaced by those of the last one.
    """
    slack, along, small = work
    n = cost.shape[0]
    lam, square, d, w = small[0], small[1], small[2], small[3]
    counters[PROGRAMS] += 1
    norm = 0.0
    value = shift
    for k in range(n):
        norm += cost[k] * cost[k]
        value += cost[k] * x[k]
    least = 1e-12 * np.sqrt(norm)
    for j in range(size):
        slack[j] = right[j]
    for k in range(n):
        for j in range(size):
            slack[j] -= rt[k, j] * x[k]
    flat, result = 0, STALLED
    for _ in range(40 * n + 200):
        if value > goal:
            result = BEYOND
            break
        bland = flat > n
        out = _leaving(cost, inverse, basis, lam, square, least, bland)
        if out < 0:
            result = BEST
            break
        counters[PIVOTS] += 1
        length = np.sqrt(square[out])
        for j in range(size):
            along[j] = 0.0
        for k in range(n):
            d[k] = -inverse[k, out]
            for j in range(size):
                along[j] += rt[k, j] * d[k]
        come = _entering(slack, along, size, length, bland)
        if come < 0:
            break
        step = max(slack[come], 0.0) / along[come]
        flat = flat + 1 if step * length <= 1e-13 else 0
        for i in range(n):
            w[i] = 0.0
        for k in range(n):
            for i in range(n):
                w[i] += rt[k, come] * inverse[k, i]
        value = shift
        for k in range(n):
            x[k] += step * d[k]
            value += cost[k] * x[k]
            share = inverse[k, out] / w[out]
            for i in range(n):
                inverse[k, i] -= share * w[i]
            inverse[k, out] = share
        for j in range(size):
            slack[j] -= step * along[j]
        slack[come] = 0.0
        basis[out] = come
    _refined(x, basis, inverse, rt, right)
    value = shift
    for k in range(n):
        value += cost[k] * x[k]
    return result, value


@njit(cache=True)
def upper_bound(cost, shift, off, basis, inverse, rt, right, errors):
    """Return what a function cannot exceed, from the multipliers of a basis."""
    n = cost.shape[0]
    total, size, rest = shift + off, abs(shift), 0.0
    left = cost.copy()
    for i in range(n):
        multiplier = 0.0
        for k in range(n):
            multiplier += cost[k] * inverse[k, i]
        if multiplier <= 0.0:
            continue
        row = basis[i]
        total += multiplier * (right[row] + errors[row])
        size += multiplier * (abs(right[row]) + np.sqrt(n))
        for k in range(n):
            left[k] -= multiplier * rt[k, row]
    for k in range(n):
        rest += abs(left[k])
        size += abs(cost[k])
    return total + 1.001 * rest + 4.0 * (n + 4) * _ROUND * size


@njit(cache=True)
def _start(row, sign, frame, pool, arena):
    """Return the known vertex where a function is largest."""
    x = arena[0]
    best, place = -np.inf, -1
    n = x.shape[1]
    for i in range(frame[POOL]):
        v = pool[i]
        value = row[n]
        for k in range(n):
            value += row[k] * x[v, k]
        if sign * value > best:
            best, place = sign * value, v
    return best, place


@njit(cache=True)
def _push(frame, pool, vertex):
    """Remember a vertex; the oldest ones give way."""
    if frame[POOL] < pool.shape[0]:
        pool[frame[POOL]] = vertex
        frame[POOL] += 1
    else:
        pool[vertex % pool.shape[0]] = vertex


@njit(cache=True)
def _program(row, sign, goal, start, frame, pool, arena, rows, work, counters):
    """Solve a program from a known vertex; return what it found, and its bound."""
    x, basis, inverse = arena
    rt, right, errors, _ = rows
    n = x.shape[1]
    new = frame[TOP]
    x[new] = x[start]
    basis[new] = basis[start]
    inverse[new] = inverse[start]
    cost = sign * row[:n]
    before = counters[PIVOTS]
    result, value = maximise(
        cost, sign * row[n], goal, x[new], basis[new], inverse[new],
        rt, right, frame[ROWS], work, counters,
    )  # fmt: skip
    if counters[PIVOTS] > before:
        frame[TOP] += 1
        _push(frame, pool, new)
    bound = np.inf
    if result == BEST:
        bound = upper_bound(
            cost, sign * row[n], 0.0, basis[new], inverse[new], rt, right, errors
        )
    return result, value, bound


@njit(cache=True)
def _thin(row, off):
    n = row.shape[0] - 1
    size = 0.0
    for k in range(n):
        size += abs(row[k])
    return 4.0 * (off + 16 * _ROUND * (size + abs(row[n]))), size


@njit(cache=True)
def _doubt(sign, basis, rows, counters, note):
    """Count a sign within rounding of zero; keep what it takes to decide it."""
    pair, code, table, codes = note
    made = rows[3]
    counters[OPEN] += 1
    if counters[NOTED] == len(table):
        return
    line = table[counters[NOTED]]
    line[0], line[1], line[2] = pair[0], pair[1], sign
    for i in range(len(basis)):
        for k in range(3):
            line[3 + 3 * i + k] = made[basis[i], k]
    codes[counters[NOTED]] = code
    counters[NOTED] += 1


@njit(cache=True)
def test(row, off, inner, frame, pool, arena, rows, work, counters, note):
    """Tell on which sides of zero a function is inside a region."""
    n = row.shape[0] - 1
    thin, size = _thin(row, off)
    near = off + (n + 4) * _ROUND * (size + abs(row[n]))
    if off == 0.0 and size == 0.0:
        return ON if row[n] > 0.0 else OFF
    if row[n] - size > near:
        return ON
    if row[n] + size < -near:
        return OFF
    if abs(row[n]) + size <= thin:
        _doubt(0, arena[1][0], rows, counters, note)
        return OFF
    high, top = _start(row, 1.0, frame, pool, arena)
    low, bottom = _start(row, -1.0, frame, pool, arena)
    if high > thin and low > thin:
        return CUT
    here = row[n]
    for k in range(n):
        here += row[k] * inner[k]
    positive = here > 0.0
    if abs(here) <= thin:
        positive = high >= low
    for _ in range(2):
        sign = -1.0 if positive else 1.0
        start = bottom if positive else top
        known = low if positive else high
        if known <= thin:
            goal = max(thin, 0.3 * abs(here))
            before = frame[TOP]
            _, value, bound = _program(
                row, sign, goal, start, frame, pool, arena, rows, work, counters
            )
            moved = frame[TOP] > before
            if value <= thin:
                if bound + off > 0.0:
                    last = max(frame[TOP] - 1, 0) if moved else start
                    _doubt(np.int64(sign), arena[1][last], rows, counters, note)
                return ON if positive else OFF
        positive = not positive
    return CUT


@njit(cache=True)
def _child(
    s, row, off, parent, child, node, cursor, frames, pools, inners, arena, rows, pair
):
    """Make the frame of a region's part where a function has one sign."""
    x = arena[0]
    rt, right, errors, made = rows
    n = x.shape[1]
    here = frames[parent]
    new = frames[child]
    new[:] = here
    norm = 0.0
    size = abs(row[n])
    for k in range(n):
        norm += row[k] * row[k]
        size += abs(row[k])
    norm = np.sqrt(norm)
    place = here[ROWS]
    for k in range(n):
        rt[k, place] = -s * row[k] / norm
    right[place] = s * row[n] / norm
    errors[place] = (off * (1 + 1e-9) + (n + 8) * _ROUND * size) / norm
    made[place, 0], made[place, 1], made[place, 2] = pair[0], pair[1], np.int64(s)
    new[ROWS] = place + 1
    new[NODE], new[CURSOR], new[STATE], new[POOL] = node, cursor, 0, 0
    mean = np.zeros(n)
    best, far = -np.inf, -1
    for i in range(here[POOL]):
        v = pools[parent, i]
        value = row[n]
        for k in range(n):
            value += row[k] * x[v, k]
        if s * value >= 0.0:
            pools[child, new[POOL]] = v
            new[POOL] += 1
            for k in range(n):
                mean[k] += x[v, k]
        if s * value > best:
            best, far = s * value, v
    value = row[n]
    for k in range(n):
        value += row[k] * inners[parent, k]
    value *= s
    share = 0.25
    if value < best:
        crossing = max(-value, 0.0) / (best - value)
        share = max(0.25, 0.5 * (1.0 + crossing)) if value <= 0.0 else 0.25
    for k in range(n):
        moved = inners[parent, k] + share * (x[far, k] - inners[parent, k])
        inners[child, k] = 0.5 * moved + 0.5 * mean[k] / max(new[POOL], 1)


@njit(cache=True)
def _inside(inner, size, rows, slackest):
    """Return how far inside all inequalities a point surely is."""
    rt, right, errors, _ = rows
    n = inner.shape[0]
    least = np.inf
    for j in range(size):
        room = right[j] - errors[j] - slackest
        for k in range(n):
            room -= rt[k, j] * inner[k]
        least = min(least, room - (n + 4) * _ROUND * (abs(right[j]) + n))
    return least


@njit(cache=True)
def _centred(inner, frame, pool, arena, rows, work, slackest, counters):
    """Move a point inside, by the vertices farthest from every inequality."""
    rt, right, _, _ = rows
    x = arena[0]
    n = inner.shape[0]
    row = np.empty(n + 1)
    total = np.zeros(n)
    count = frame[ROWS]
    top, held = frame[TOP], frame[POOL]
    for j in range(count):
        for k in range(n):
            row[k] = -rt[k, j]
        row[n] = right[j]
        _, start = _start(row, 1.0, frame, pool, arena)
        frame[TOP] = top
        _program(row, 1.0, np.inf, start, frame, pool, arena, rows, work, counters)
        frame[POOL] = held
        for k in range(n):
            total[k] += x[top, k]
    for k in range(n):
        inner[k] = total[k] / count
    frame[TOP] = top
    return _inside(inner, count, rows, slackest)


@njit(cache=True)
def _affine(node, net, path):
    """Set the coefficients of an affine node's entries, and their errors."""
    offset, length, pointer = net[OFFSET], net[LENGTH], net[POINTER]
    column, weight, bias = net[COLUMN], net[WEIGHT], net[BIAS]
    value, error, size, _ = path
    width = value.shape[1]
    for f in range(offset[node], offset[node] + length[node]):
        for k in range(width):
            value[f, k] = 0.0
        value[f, width - 1] = bias[f]
        passed, total = 0.0, abs(bias[f])
        for place in range(pointer[f], pointer[f + 1]):
            g, a = column[place], weight[place]
            for k in range(width):
                value[f, k] += a * value[g, k]
            passed += abs(a) * error[g]
            total += abs(a) * size[g]
        terms = pointer[f + 1] - pointer[f] + 2
        error[f] = (passed + terms * _ROUND * total) * (1 + 1e-9)
        if terms == 2:
            error[f] = 0.0
        own = 0.0
        for k in range(width):
            own += abs(value[f, k])
        size[f] = own


@njit(cache=True)
def _features(node, net, path):
    """Set the coefficients of a nonlinear node's features on a region."""
    kind, offset, length = net[KIND], net[OFFSET], net[LENGTH]
    source, pointer, column = net[SOURCE], net[POINTER], net[COLUMN]
    negative, positive = net[NEGATIVE], net[POSITIVE]
    value, error, size, code = path
    width = value.shape[1]
    for i in range(length[node]):
        f = offset[node] + i
        if kind[node] == MAXIMUM:
            g = code[f]
            slope = 1.0
            error[f] = 0.0
            for place in range(pointer[f], pointer[f + 1]):
                error[f] = max(error[f], error[column[place]])
        else:
            g = source[node] + i
            slope = positive[f] if code[f] == 1 else negative[f]
            error[f] = abs(slope) * error[g]
            if slope != 0.0 and abs(slope) != 1.0:
                error[f] += abs(slope) * 2 * _ROUND * size[g]
        for k in range(width):
            value[f, k] = slope * value[g, k]
        size[f] = abs(slope) * size[g]


@njit(cache=True)
def _row(node, f, place, net, path, row, pair):
    """Put a task's function in ``row``, its entries in ``pair``; return its error."""
    kind, offset, source = net[KIND], net[OFFSET], net[SOURCE]
    pointer, column = net[POINTER], net[COLUMN]
    value, error, size, code = path
    width = value.shape[1]
    if kind[node] != MAXIMUM:
        g = source[node] + f - offset[node]
        for k in range(width):
            row[k] = value[g, k]
        pair[0], pair[1] = g, -1
        return error[g]
    if place == 1:
        code[f] = column[pointer[f]]
    g, h = column[pointer[f] + place], code[f]
    pair[0], pair[1] = g, h
    for k in range(width):
        row[k] = value[g, k] - value[h, k]
    off = error[g] + error[h]
    same = True
    for k in range(width):
        same = same and row[k] == 0.0
    if not same:
        off += 2 * _ROUND * (size[g] + size[h])
    return off


@njit(cache=True)
def _enter(node, net, path, tasks, depth, state, work, counters, note):
    """Prepare a node's tasks: for units the ones that do change sign in the region."""
    kind, offset, length = net[KIND], net[OFFSET], net[LENGTH]
    pointer, column, negative = net[POINTER], net[COLUMN], net[NEGATIVE]
    positive = net[POSITIVE]
    feature, entry, first, count = tasks
    frames, pools, inners, arena, rows = state
    frame, pool, inner = frames[depth], pools[depth], inners[depth]
    row = np.empty(path[0].shape[1])
    pair = note[0]
    made = first[node]
    for f in range(offset[node], offset[node] + length[node]):
        if kind[node] == TWO_SLOPE:
            path[3][f] = 0
            if negative[f] == positive[f]:
                continue
            off = _row(node, f, 0, net, path, row, pair)
            found = test(
                row, off, inner, frame, pool, arena, rows, work, counters, note
            )
            if found != CUT:
                path[3][f] = found
                continue
            feature[made], entry[made] = f, 0
            made += 1
        elif kind[node] == CLIP:
            feature[made], entry[made] = f, 0
            made += 1
        else:
            path[3][f] = column[pointer[f]]
            for place in range(1, pointer[f + 1] - pointer[f]):
                feature[made], entry[made] = f, place
                made += 1
    count[node] = made - first[node]


@njit(cache=True)
def _settle(node, task, positive, net, path, tasks):
    """Set the code that a task's answer gives."""
    feature, entry = tasks[0][task], tasks[1][task]
    kind, pointer, column = net[KIND], net[POINTER], net[COLUMN]
    code = path[3]
    if kind[node] == MAXIMUM:
        if positive:
            code[feature] = column[pointer[feature] + entry]
    else:
        code[feature] = 1 if positive else 0


@njit(cache=True)
def enumerate_regions(net, path, tasks, state, work, counters, slackest, out, doubts):
    """List regions until there are no more, or no room; call again to go on.

    Args:
        net: Kinds, offsets, sizes and sources of nodes; entries of affine rows and of
            groups; biases; slopes.
        path: For every entry of every node its affine function, error, size, code.
        tasks: For every node the functions that may cut, and how many.
        state: Frames of the walk, known vertices and points of each, vertices, rows.
        work: Room for programs.
        counters: Depth, regions, open signs, programs, pivots, regions not certain.
        slackest: What the place of a point may be off.
        out: Codes and points of the regions.
        doubts: What signs within rounding of zero depend on: the entries, the side and
            the rows of the basis, each by two entries and a side; and the codes.
    """
    frames, pools, inners, arena, rows = state
    codes, points = out
    pair = np.zeros(2, np.int64)
    note = (pair, path[3], doubts[0], doubts[1])
    kind = net[KIND]
    feature, entry, first, count = tasks
    row = np.empty(path[0].shape[1])
    depth = counters[DEPTH]
    status = DONE
    while depth >= 0:
        frame = frames[depth]
        node = frame[NODE]
        if frame[STATE] == 2:
            depth -= 1
            continue
        if node == len(kind):
            if counters[FOUND] == len(codes):
                status = FULL
                break
            inner = inners[depth]
            room = _inside(inner, frame[ROWS], rows, slackest)
            if room <= 0.0:
                room = _centred(
                    inner, frame, pools[depth], arena, rows, work, slackest, counters
                )
            if room > 0.0:
                codes[counters[FOUND]] = path[3]
                points[counters[FOUND]] = inner
                counters[FOUND] += 1
            else:
                counters[THIN] += 1
            depth -= 1
            continue
        if frame[CURSOR] < 0:
            if kind[node] <= AFFINE:
                if kind[node] == AFFINE:
                    _affine(node, net, path)
                frame[NODE] += 1
                continue
            _enter(node, net, path, tasks, depth, state, work, counters, note)
            frame[CURSOR] = 0
        if frame[STATE] == 0 and frame[CURSOR] == count[node]:
            if kind[node] != CLIP:
                _features(node, net, path)
            frame[NODE], frame[CURSOR] = node + 1, -1
            continue
        task = first[node] + frame[CURSOR]
        f = feature[task]
        if frame[STATE] == 1:
            # The other side; what the first one has overwritten is put back.
            path[3][f] = frame[SAVED]
            frame[STATE] = 2
            positive = frame[FIRST] == 0
            off = _row(node, f, entry[task], net, path, row, pair)
        else:
            off = _row(node, f, entry[task], net, path, row, pair)
            found = test(
                row, off, inners[depth], frame, pools[depth], arena, rows,
                work, counters, note,
            )  # fmt: skip
            if found != CUT:
                if kind[node] == CLIP and found == OFF:
                    depth -= 1
                    continue
                _settle(node, task, found == ON, net, path, tasks)
                frame[CURSOR] += 1
                continue
            frame[SAVED] = path[3][f]
            frame[STATE] = 2 if kind[node] == CLIP else 1
            positive = True
            frame[FIRST] = 1
        sign = 1.0 if positive else -1.0
        _child(
            sign, row, off, depth, depth + 1, node, frame[CURSOR] + 1,
            frames, pools, inners, arena, rows, pair,
        )  # fmt: skip
        _settle(node, task, positive, net, path, tasks)
        depth += 1
    counters[DEPTH] = depth
    return status
