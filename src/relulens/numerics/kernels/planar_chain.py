"""All cuts of a small chain of dense layers in one compiled run.

Nothing is decided here that rounding could change: where it could, the run gives up,
and whoever called it cuts the slice by other means.
"""

import numpy as np
from numba import njit

from relulens.numerics.kernels.planar import (
    cell_areas,
    edge_cuts,
    edge_sides,
    features,
    mix_rows,
    sign_bits,
)
from relulens.numerics.kernels.planar_split import split_begun, split_cells, split_ended

_ROUND = 2.0**-52


@njit(cache=True, nogil=True)
def _limits(weight, bias, errors, steep, largest, own):
    """Return the rounding and steepness of a layer's arguments [2, n].

    Args:
        weight: [n, m].
        bias: [n].
        errors: Errors of the functions that are added up [m].
        steep: How much an error of the place counts in them [m].
        largest: Their largest absolute values [m].
        own: Rounding of the weights and biases themselves [n].
    """
    n, m = weight.shape
    limits = np.empty((2, n))
    for k in range(n):
        error = 0.0
        slope = 0.0
        size = abs(bias[k])
        for j in range(m):
            a = abs(weight[k, j])
            error += a * errors[j]
            slope += a * steep[j]
            size += a * largest[j]
        limits[0, k] = error + own[k] + _ROUND * (m + 5) * size
        limits[1, k] = slope
    return limits


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _arguments(x, weight, bias):
    """Return a layer's arguments at the vertices.

    As fast as a library's product for these sizes, without its threads; functions that
    are 0 at a vertex are passed over. The order of the sums is left to the compiler,
    which the bounds on rounding allow for.
    """
    count, m = x.shape
    n = weight.shape[0]
    across = np.ascontiguousarray(weight.T)
    z = np.empty((count, n))
    which = np.empty(m + 1, np.int64)
    for v in range(count):
        if n < 8:
            for k in range(n):
                total = bias[k]
                for j in range(m):
                    total += x[v, j] * weight[k, j]
                z[v, k] = total
            continue
        found = 0
        for j in range(m):
            which[found] = j
            found += x[v, j] != 0.0
        for k in range(n):
            z[v, k] = bias[k]
        i = 0
        while i + 8 <= found:
            a, b, c, d = which[i], which[i + 1], which[i + 2], which[i + 3]
            e, f, g, h = which[i + 4], which[i + 5], which[i + 6], which[i + 7]
            xa, xb, xc, xd = x[v, a], x[v, b], x[v, c], x[v, d]
            xe, xf, xg, xh = x[v, e], x[v, f], x[v, g], x[v, h]
            for k in range(n):
                z[v, k] += (
                    (xa * across[a, k] + xb * across[b, k])
                    + (xc * across[c, k] + xd * across[d, k])
                ) + (
                    (xe * across[e, k] + xf * across[f, k])
                    + (xg * across[g, k] + xh * across[h, k])
                )
            i += 8
        while i < found:
            a = which[i]
            for k in range(n):
                z[v, k] += x[v, a] * across[a, k]
            i += 1
    return z


@njit(cache=True, nogil=True)
def _columns(x, which):
    """Return some columns."""
    some = np.empty((x.shape[0], which.shape[0]))
    for v in range(x.shape[0]):
        for j in range(which.shape[0]):
            some[v, j] = x[v, which[j]]
    return some


@njit(cache=True, nogil=True)
def _codes(z, limits, slack):
    """Return units that are off, on, or vary, as 0, 1, 2."""
    n = z.shape[1]
    low = np.full(n, np.inf)
    high = np.full(n, -np.inf)
    for v in range(z.shape[0]):
        for k in range(n):
            low[k] = min(low[k], z[v, k])
            high[k] = max(high[k], z[v, k])
    codes = np.zeros(n, np.int8)
    for k in range(n):
        margin = limits[0, k] + slack * limits[1, k]
        if low[k] > margin:
            codes[k] = 1
        elif high[k] >= -margin and (margin > 0.0 or high[k] > 0.0):
            codes[k] = 2
    return codes


@njit(cache=True, nogil=True)
def _cut_vertices(places, errors, edges, blurs, starts, place, slack):
    """Return the places and errors with the vertices on cut edges, and their ends."""
    old = places.shape[0]
    new = place.shape[0]
    more = np.empty((old + new, 2))
    more[:old] = places
    spread = np.empty(old + new)
    spread[:old] = errors
    first = np.empty(new, np.int64)
    second = np.empty(new, np.int64)
    for e in range(edges.shape[0]):
        a = edges[e, 0]
        b = edges[e, 1]
        for i in range(starts[e], starts[e + 1]):
            dx = places[b, 0] - places[a, 0]
            dy = places[b, 1] - places[a, 1]
            s = places[a, 0] + place[i] * dx
            t = places[a, 1] + place[i] * dy
            more[old + i, 0] = s
            more[old + i, 1] = t
            rounding = 2.0 * _ROUND * max(abs(s), abs(t))
            far = np.hypot(dx, dy)
            ends = max(errors[a], errors[b])
            spread[old + i] = blurs[e] + min(slack[i] * far, far + ends) + rounding
            first[i] = a
            second[i] = b
    return more, spread, first, second


@njit(cache=True, nogil=True)
def _extended(rows, first, second, place):
    """Return values at old vertices with those at new ones, affine in between."""
    count, width = rows.shape
    more = np.empty((count + first.shape[0], width))
    more[:count] = rows
    mix_rows(more, width, count, first, second, place)
    return more


@njit(cache=True, nogil=True)
def cut_chain(
    places, makers, weights, biases, own, low, high, widths, stages, most
):  # fmt: skip
    """Cut a convex polygon by the units of dense layers, one after another.

    Args:
        places: The polygon's corners [k, 2].
        makers: Stage, unit and seam of its sides [k, 3].
        weights: Matrices one after another, flat; the first is [n, 3], by which 1 and
            plane coordinates are multiplied.
        biases: Of all layers [N].
        own: Rounding of weights and biases, in every argument [N].
        low: Slopes of negative arguments [N].
        high: Slopes of positive ones [N].
        widths: Units of every layer [L].
        stages: Number of every layer, for the makers [L].
        most: Numbers in a table of values at vertices past which it gives up.

    Returns:
        Whether all was decided; places and the largest of their errors; edges, and
        stage and unit of each; sides, offsets, corners, borders and areas; what the
        units do: 0 off, 1 on, 2 vary; cells after every layer; codes of the units that
        vary on these cells, as bitsets, and their parents, layer after layer, flat.
    """
    corners = np.arange(places.shape[0])
    borders = corners.copy()
    offsets = np.array([0, places.shape[0]])
    edges = np.empty((places.shape[0], 2), np.int64)
    sides = np.full((places.shape[0], 2), -1, np.int64)
    x = np.ones((places.shape[0], 3))
    for i in range(places.shape[0]):
        edges[i, 0] = i
        edges[i, 1] = (i + 1) % places.shape[0]
        sides[i, 0] = 0
        x[i, 1:] = places[i]
    errors = np.zeros(places.shape[0])
    blurs = np.zeros(places.shape[0])
    spread = np.zeros(3)
    steep = np.array([0.0, 1.0, 1.0])
    largest = np.array([1.0, np.abs(x[:, 1]).max(), np.abs(x[:, 2]).max()])
    constant = np.empty(biases.shape[0], np.int8)
    counts = np.zeros(widths.shape[0], np.int64)
    bits = np.zeros(0, np.uint64)
    above = np.zeros(0, np.int64)
    at = 0
    first_unit = 0
    sure = True
    alive = np.arange(3)
    before = 3
    for layer in range(widths.shape[0]):
        n = widths[layer]
        here = slice(first_unit, first_unit + n)
        weight = _columns(weights[at : at + n * before].reshape(n, before), alive)
        at += n * before
        first_unit += n
        before = n
        if x.shape[0] * (n + x.shape[1]) > most:
            sure = False
            break
        limits = _limits(weight, biases[here], spread, steep, largest, own[here])
        z = _arguments(x, weight, biases[here])
        codes = _codes(z, limits, errors.max())
        constant[here] = codes
        varied = np.flatnonzero(codes == 2)
        z_varied = _columns(z, varied)
        bounds = _columns(limits, varied)
        positive, negative, doubts = sign_bits(z_varied, bounds[0], bounds[1], errors)
        if doubts.shape[0]:
            sure = False
            break
        mask = np.zeros((0, positive.shape[1]), np.uint64)
        starts, unit, place, slack, rise, rest, open_ = edge_cuts(
            places, edges, sides, z_varied, positive, negative, bounds, blurs, mask,
        )  # fmt: skip
        if open_.shape[0]:
            sure = False
            break
        old = places.shape[0]
        places, errors, one, two = _cut_vertices(
            places, errors, edges, blurs, starts, place, slack
        )
        vertex = old + np.arange(unit.shape[0])
        pieces = starts + np.arange(starts.shape[0])
        begun = split_begun(
            places, errors, offsets, corners, borders, edges, makers, blurs, starts,
            vertex, pieces, mask.shape[1], stages[layer],
        )  # fmt: skip
        split = split_cells(
            begun, offsets, corners, borders, edges, bounds[0], starts, unit, vertex,
            rise, rest, pieces, positive, negative, mask, varied,
            np.zeros((2, 0), np.int64),
        )  # fmt: skip
        made = split_ended(split)
        if made[12].shape[0] or made[13]:
            sure = False
            break
        places, errors, inner, between = made[:4]
        edges, makers, blurs, offsets, corners, borders, parents, words = made[4:12]
        sides = edge_sides(edges, offsets, corners, borders)
        counts[layer] = offsets.shape[0] - 1
        bits = np.concatenate((bits, words.ravel()))
        above = np.concatenate((above, parents))
        if layer == widths.shape[0] - 1:
            break
        lows = low[here]
        highs = high[here]
        slope = np.where(codes == 1, highs, lows)
        lifted = np.flatnonzero((codes != 2) & (slope != 0.0))
        own_units = np.concatenate((varied, lifted))
        first = np.concatenate((one, inner[:, 0]))
        second = np.concatenate((two, inner[:, 1]))
        between = np.concatenate((place, between))
        nv = varied.shape[0]
        x = np.empty((places.shape[0], own_units.shape[0]))
        features(
            _extended(z_varied, first, second, between), offsets, corners, words,
            lows[varied], highs[varied], x, 0,
        )  # fmt: skip
        rest = _extended(_columns(z, lifted), first, second, between)
        for v in range(x.shape[0]):
            for j in range(lifted.shape[0]):
                x[v, nv + j] = slope[lifted[j]] * rest[v, j]
        slack_now = errors.max()
        spread = np.empty(own_units.shape[0])
        steep = np.empty(own_units.shape[0])
        largest = np.empty(own_units.shape[0])
        for j in range(own_units.shape[0]):
            k = own_units[j]
            gain = abs(slope[k]) if j >= nv else max(abs(lows[k]), abs(highs[k]))
            top = 0.0
            for v in range(x.shape[0]):
                top = max(top, abs(x[v, j]))
            spread[j] = gain * limits[0, k] + 8 * _ROUND * top
            steep[j] = gain * limits[1, k]
            largest[j] = top + spread[j] + steep[j] * slack_now
        alive = own_units
    areas = cell_areas(places, offsets, corners)
    return (
        sure, places, errors.max(), edges.astype(np.int32), makers[:, 0].copy(),
        makers[:, 1].copy(), sides.astype(np.int32), offsets.astype(np.int32),
        corners.astype(np.int32), borders.astype(np.int32), areas, constant, counts,
        bits, above.astype(np.int32),
    )  # fmt: skip
