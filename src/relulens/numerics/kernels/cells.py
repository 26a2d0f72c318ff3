"""Measures of cells given by vertices and the facets these lie on."""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint64]

_ONE = np.uint64(1)


@njit(cache=True)
def _mixed(x):
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def facet_keys(head, ints, words, width):
    """Return two hashes of the vertices of every facet, its cell and its label."""
    total = 0
    for cell in range(head.shape[0]):
        first = head[cell, 0] + head[cell, 2]
        for f in range(head[cell, 3]):
            total += ints[first + f] >= 0
    keys = np.zeros((total, 2), np.uint64)
    owner = np.empty((total, 2), np.int64)
    place = np.full(64 * width, -1, np.int64)
    at = 0
    for cell in range(head.shape[0]):
        fi, fw, nv, nf = head[cell, 0], head[cell, 1], head[cell, 2], head[cell, 3]
        place[:] = -1
        for f in range(nf):
            label = ints[fi + nv + f]
            if label >= 0:
                place[f] = at
                owner[at, 0], owner[at, 1] = cell, label
                at += 1
        for i in range(nv):
            v = np.uint64(ints[fi + i])
            a = _mixed(v * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))
            b = _mixed(v * np.uint64(0xD1B54A32D192ED03) + np.uint64(7))
            for word in range(width):
                bits = words[fw + i * width + word]
                while bits:
                    f = 64 * word
                    low = bits & (~bits + _ONE)
                    while low > _ONE:
                        low >>= _ONE
                        f += 1
                    bits &= bits - _ONE
                    if place[f] >= 0:
                        keys[place[f], 0] += a
                        keys[place[f], 1] += b
    return keys, owner


@njit(cache=True)
def centres(head, ints, rows, columns):
    """Return the sum of the first columns over every cell's vertices."""
    result = np.zeros((head.shape[0], columns))
    for cell in range(head.shape[0]):
        fi = head[cell, 0]
        for i in range(head[cell, 2]):
            for j in range(columns):
                result[cell, j] += rows[ints[fi + i], j]
    return result


@njit(cache=True)
def edge_keys(head, ints):
    """Return the ends of every edge of every cell as one number."""
    total = 0
    for cell in range(head.shape[0]):
        total += head[cell, 4]
    keys = np.empty(total, np.int64)
    at = 0
    for cell in range(head.shape[0]):
        fi = head[cell, 0]
        first = fi + head[cell, 2] + head[cell, 3]
        for e in range(head[cell, 4]):
            both = ints[first + e]
            u, v = ints[fi + (both >> 16)], ints[fi + (both & 0xFFFF)]
            keys[at] = (np.int64(min(u, v)) << 32) | np.int64(max(u, v))
            at += 1
    return keys


@njit(cache=True)
def _determinant(a):
    n = a.shape[0]
    value = 1.0
    for k in range(n):
        p = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[p, k]):
                p = i
        if a[p, k] == 0.0:
            return 0.0
        for j in range(n):
            a[k, j], a[p, j] = a[p, j], a[k, j]
        value *= a[k, k]
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k, n):
                a[i, j] -= factor * a[k, j]
    return abs(value)


@njit(cache=True)
def _subset(a, b):
    for i in range(a.shape[0]):
        if a[i] & ~b[i]:
            return False
    return True


@njit(cache=True)
def _faces(members, sets):
    """Return the facets of a face as vertex sets, from those of the whole cell.

    A candidate that lies in another one is a face of lower dimension.
    """
    slots, words = sets.shape
    found = np.empty((slots, words), np.uint64)
    count = 0
    for f in range(slots):
        empty = True
        whole = True
        for word in range(words):
            found[count, word] = sets[f, word] & members[word]
            empty = empty and found[count, word] == 0
            whole = whole and found[count, word] == members[word]
        if not empty and not whole:
            count += 1
    kept = np.empty((slots, words), np.uint64)
    stays = 0
    for a in range(count):
        largest = True
        for b in range(count):
            if a != b and _subset(found[a], found[b]):
                same = _subset(found[b], found[a])
                if not same or b < a:
                    largest = False
                    break
        if largest:
            kept[stays] = found[a]
            stays += 1
    return kept[:stays]


@njit(cache=True)
def _fan(members, sets, points, simplex, dimension):
    """Return the sum of the determinants of a pulling triangulation of a face."""
    n = points.shape[1]
    apex = -1
    for i in range(points.shape[0]):
        if members[i // 64] >> np.uint64(i % 64) & _ONE:
            apex = i
            break
    simplex[dimension] = apex
    if dimension == 0:
        matrix = np.empty((n, n))
        for k in range(n):
            for j in range(n):
                matrix[k, j] = points[simplex[k], j] - points[simplex[n], j]
        return _determinant(matrix)
    total = 0.0
    faces = _faces(members, sets)
    for k in range(faces.shape[0]):
        if not faces[k, apex // 64] >> np.uint64(apex % 64) & _ONE:
            total += _fan(faces[k], sets, points, simplex, dimension - 1)
    return total


@njit(cache=True)
def volumes(head, ints, words, width, rows, dimension):
    """Return the volume of every cell, infinite where a vertex is at infinity."""
    result = np.zeros(head.shape[0])
    simplex = np.empty(dimension + 1, np.int64)
    factor = 1.0
    for k in range(2, dimension + 1):
        factor *= k
    for cell in range(head.shape[0]):
        fi, fw, nv, nf = head[cell, 0], head[cell, 1], head[cell, 2], head[cell, 3]
        points = np.empty((nv, dimension))
        sets = np.zeros((nf, (nv + 63) // 64), np.uint64)
        members = np.zeros((nv + 63) // 64, np.uint64)
        finite = True
        for i in range(nv):
            v = ints[fi + i]
            t = rows[v, dimension]
            finite = finite and t > 0.0
            for j in range(dimension):
                points[i, j] = rows[v, j] / t if t > 0.0 else 0.0
            bit = _ONE << np.uint64(i % 64)
            members[i // 64] |= bit
            for f in range(nf):
                if words[fw + i * width + f // 64] >> np.uint64(f % 64) & _ONE:
                    sets[f, i // 64] |= bit
        if not finite:
            result[cell] = np.inf
            continue
        result[cell] = _fan(members, sets, points, simplex, dimension) / factor
    return result
