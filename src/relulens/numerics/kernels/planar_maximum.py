"""Winners of maxima on the cells of a planar graph, and edges taken out of it."""

import numpy as np
from numba import njit

_ONE = np.uint64(1)


@njit(cache=True)
def _pair(base, size, a, b):
    """Return the number of the pair a < b of a group of ``size`` entries."""
    return base + a * size - a * (a + 1) // 2 + b - a - 1


@njit(cache=True)
def _has(words, k):
    return (words[k >> 6] >> np.uint64(k & 63)) & _ONE != 0


@njit(cache=True)
def rivals(ups, downs, groups, pairs):
    """Return which entries can win somewhere on a cell, and the pairs to cut by.

    Args:
        ups: Pairs whose first entry is larger somewhere on the cell [C, words].
        downs: Pairs whose second entry is.
        groups: Where the entries of each group start [G + 1].
        pairs: Where the pairs of each group start [G + 1].
    """
    count, words = ups.shape
    alive = np.ones((count, groups[-1]), np.bool_)
    active = np.zeros((count, words), np.uint64)
    for c in range(count):
        for g in range(groups.shape[0] - 1):
            size = groups[g + 1] - groups[g]
            for a in range(size):
                for b in range(a + 1, size):
                    k = _pair(pairs[g], size, a, b)
                    if not _has(downs[c], k):
                        alive[c, groups[g] + b] = False
                    elif not _has(ups[c], k):
                        alive[c, groups[g] + a] = False
            for a in range(size):
                for b in range(a + 1, size):
                    if alive[c, groups[g] + a] and alive[c, groups[g] + b]:
                        k = _pair(pairs[g], size, a, b)
                        active[c, k >> 6] |= _ONE << np.uint64(k & 63)
    return alive, active


@njit(cache=True)
def winners(parents, codes, alive, groups, pairs, best):
    """Write which entry of every group is largest on each cell after the cut."""
    for c in range(parents.shape[0]):
        for g in range(groups.shape[0] - 1):
            size = groups[g + 1] - groups[g]
            top = -1
            for a in range(size):
                if not alive[parents[c], groups[g] + a]:
                    continue
                if top < 0 or not _has(codes[c], _pair(pairs[g], size, top, a)):
                    top = a
            best[c, g] = top


@njit(cache=True)
def equal_sides(sides, makers, stage, codes):
    """Return which edges made by a stage have the same codes on both sides."""
    same = np.zeros(sides.shape[0], np.bool_)
    for e in range(sides.shape[0]):
        if makers[e, 0] != stage or sides[e, 0] < 0 or sides[e, 1] < 0:
            continue
        equal = True
        for g in range(codes.shape[1]):
            if codes[sides[e, 0], g] != codes[sides[e, 1], g]:
                equal = False
                break
        same[e] = equal
    return same


@njit(cache=True)
def _root(up, c):
    while up[c] != c:
        up[c] = up[up[c]]
        c = up[c]
    return c


@njit(cache=True)
def dissolve(edges, sides, offsets, corners, borders, gone, kept_vertices):
    """Take edges out and join the cells on their sides.

    Args:
        edges: Vertices [E, 2].
        sides: Cells left and right [E, 2].
        offsets: Where cells start in the next two [C + 1].
        corners: Vertices of the cells.
        borders: Edge from each corner to the next.
        gone: Which edges are taken out [E].
        kept_vertices: Vertices below this number stay; others go where only two edges
            of one line are left.

    Returns:
        New edges; an old edge for each; offsets, corners, borders; an old cell for
        each new cell; whether every new cell has one boundary.
    """
    cells = offsets.shape[0] - 1
    up = np.arange(cells)
    degree = np.zeros(edges.max() + 1, np.int64)
    for e in range(edges.shape[0]):
        if gone[e]:
            a = _root(up, sides[e, 0])
            b = _root(up, sides[e, 1])
            up[max(a, b)] = min(a, b)
        else:
            degree[edges[e, 0]] += 1
            degree[edges[e, 1]] += 1
    following = np.full(2 * edges.shape[0], -1, np.int64)
    for c in range(cells):
        for i in range(offsets[c], offsets[c + 1]):
            j = i + 1 if i + 1 < offsets[c + 1] else offsets[c]
            here = 2 * borders[i] + (0 if edges[borders[i], 0] == corners[i] else 1)
            then = 2 * borders[j] + (0 if edges[borders[j], 0] == corners[j] else 1)
            following[here] = then
    name = np.full(edges.shape[0], -1, np.int64)
    seen = np.zeros(2 * edges.shape[0], np.bool_)
    first = np.full(cells, -1, np.int64)
    new_edges = np.empty(edges.shape, np.int64)
    old_edge = np.empty(edges.shape[0], np.int64)
    new_offsets = np.zeros(cells + 1, np.int64)
    new_corners = np.empty(corners.shape[0], np.int64)
    new_borders = np.empty(corners.shape[0], np.int64)
    old_cell = np.empty(cells, np.int64)
    lines = 0
    made = 0
    filled = 0
    right = True
    for c in range(cells):
        root = _root(up, c)
        if first[root] >= 0:
            continue
        begin = -1
        for i in range(offsets[c], offsets[c + 1]):
            e = borders[i]
            h = 2 * e + (0 if edges[e, 0] == corners[i] else 1)
            if not gone[e] and (corners[i] < kept_vertices or degree[corners[i]] != 2):
                begin = h
                break
        if begin < 0:
            continue
        first[root] = made
        h = begin
        while True:
            # One new edge: a chain of old ones up to a vertex that stays.
            start = edges[h >> 1, h & 1]
            low = h
            while True:
                seen[h] = True
                if h >> 1 < low >> 1:
                    low = h
                stop = edges[h >> 1, 1 - (h & 1)]
                h = following[h]
                while gone[h >> 1]:
                    h = following[h ^ 1]
                if stop < kept_vertices or degree[stop] != 2:
                    break
            e = low >> 1
            if name[e] < 0:
                name[e] = lines
                forward = low & 1 == 0
                new_edges[lines, 0] = start if forward else stop
                new_edges[lines, 1] = stop if forward else start
                old_edge[lines] = e
                lines += 1
            new_corners[filled] = start
            new_borders[filled] = name[e]
            filled += 1
            if h == begin:
                break
        old_cell[made] = root
        made += 1
        new_offsets[made] = filled
    for e in range(edges.shape[0]):
        if not gone[e]:
            for d in range(2):
                if sides[e, d] >= 0 and not seen[2 * e + d]:
                    right = False
    return (
        new_edges[:lines], old_edge[:lines], new_offsets[: made + 1],
        new_corners[:filled], new_borders[:filled], old_cell[:made], right,
    )  # fmt: skip
