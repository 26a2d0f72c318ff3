"""Parts of a slice put together along their seams."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from relulens.regions.slice_finished import Graph, Narrow, narrow
from relulens.regions.slice_mesh import Floats, Integers

_ROUNDING = 1e-12
"""Distance of places that may be one, in parts of the largest coordinate."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Same:
    """Which of several numbered things are the same.

    Attributes:
        gone: Those that are another one [n], sorted.
        into: Which one each of them is [n], none of these.
    """

    gone: Integers
    into: Integers

    def numbers(self, start: int, count: int) -> tuple[Narrow, NDArray[np.bool_]]:
        """Return new numbers of some things in a row, and which ones stay.

        Args:
            start: The first.
            count: How many.
        """
        first, last = np.searchsorted(self.gone, (start, start + count))
        kept = np.ones(count, bool)
        kept[self.gone[first:last] - start] = False
        number = np.cumsum(kept, dtype=np.int64) + (start - int(first) - 1)
        number[self.gone[first:last] - start] = self.number(self.into[first:last])
        return number, kept

    def number(self, staying: Integers) -> Integers:
        """Return new numbers of things that stay."""
        return staying - np.searchsorted(self.gone, staying)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Open:
    """Edges on seams, numbered through all parts.

    Attributes:
        edge: The edges [S].
        seam: The seam of each [S].
        ends: Their vertices [S, 2].
        places: Where these are [S, 2, 2].
        cell: The cell of each [S].
        side: The side it is on, 0 left or 1 right [S].
    """

    edge: Integers
    seam: Integers
    ends: Integers
    places: Floats
    cell: Integers
    side: Integers


def joined(parts: list[Graph]) -> tuple[Graph, int]:
    """Return the parts as one planar graph, vertices on seams shared.

    Args:
        parts: The parts, at least one; the list is emptied while they are copied, so
            that memory holds most numbers only once.

    Returns:
        The graph, and how many edges of seams have a cell on their other side that was
        cut otherwise; none if right.
    """
    if len(parts) == 1:
        return parts.pop(), 0
    counts = [
        (len(p.places), len(p.edges), len(p.areas), len(p.corners)) for p in parts
    ]
    starts = np.concatenate([[[0] * 4], np.cumsum(counts, axis=0)])
    rows = _open_edges(parts, starts)
    left, right, unmatched = _matched(rows)
    vertices = _same(rows.ends[left].ravel(), rows.ends[right].ravel())
    order = np.argsort(rows.edge[right])
    lines = _Same(gone=rows.edge[right][order], into=rows.edge[left][order])
    graph = _filled(parts, starts, vertices, lines)
    graph.sides[lines.number(rows.edge[left]), 1] = rows.cell[right]
    return graph, unmatched


def _open_edges(parts: list[Graph], starts: Integers) -> _Open:
    found: list[tuple[np.ndarray, ...]] = []
    for part, (vertex, line, cell, _) in zip(parts, starts, strict=False):
        on = part.open_edges
        ends, sides = part.edges[on], part.sides[on]
        side = (sides[:, 0] < 0).astype(np.int64)
        owner = sides[np.arange(len(on)), side].astype(np.int64) + cell
        found.append((
            on + line, part.seams, ends + vertex, part.places[ends], owner, side,
        ))  # fmt: skip
    edge, seam, ends, places, owner, side = (
        np.concatenate(column) for column in zip(*found, strict=True)
    )
    return _Open(edge=edge, seam=seam, ends=ends, places=places, cell=owner, side=side)


def _same(one: Integers, two: Integers) -> _Same:
    """Return which vertices are one, by pairs of equal ones; the first stays."""
    named, at = np.unique(np.concatenate([one, two]), return_inverse=True)
    pairs = at[: len(one)], at[len(one) :]
    shape = (len(named), len(named))
    graph = coo_array((np.ones(len(one), bool), pairs), shape=shape)
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    root = named[first[label]]
    gone = root != named
    return _Same(gone=named[gone], into=root[gone])


def _filled(
    parts: list[Graph], starts: Integers, vertices: _Same, lines: _Same
) -> Graph:
    """Copy parts into one graph and forget each when it is in."""
    ends = starts[-1].tolist()
    whole = _room(ends[0] - len(vertices.gone), ends[1] - len(lines.gone), *ends[2:])
    at = line = 0
    parts.reverse()
    for start, (_, _, cell, corner) in pairwise(starts.tolist()):
        vertex, edge, first, begin = start
        part = parts.pop()
        number, staying = vertices.numbers(vertex, len(part.places))
        name, kept = lines.numbers(edge, len(part.edges))
        more, further = int(staying.sum()), int(kept.sum())
        whole.places[at : at + more] = part.places[staying]
        rows = slice(line, line + further)
        whole.edges[rows] = number[part.edges[kept]]
        sides = part.sides[kept]
        whole.sides[rows] = np.where(sides < 0, sides, sides + first)
        whole.stages[rows] = part.stages[kept]
        whole.units[rows] = part.units[kept]
        whole.offsets[first + 1 : cell + 1] = part.offsets[1:] + begin
        whole.corners[begin:corner] = number[part.corners]
        whole.borders[begin:corner] = name[part.borders]
        whole.areas[first:cell] = part.areas
        whole.error = max(whole.error, part.error)
        at, line = at + more, line + further
    return whole


def _room(vertices: int, edges: int, cells: int, corners: int) -> Graph:
    """Return a graph to be filled."""
    kind = narrow(max(vertices, edges, corners))
    offsets = np.zeros(cells + 1, kind)
    none = np.zeros(0, kind)
    return Graph(
        places=np.empty((vertices, 2)),
        edges=np.empty((edges, 2), kind),
        stages=np.empty(edges, np.int32),
        units=np.empty(edges, np.int32),
        sides=np.empty((edges, 2), kind),
        offsets=offsets,
        corners=np.empty(corners, kind),
        borders=np.empty(corners, kind),
        areas=np.empty(cells),
        error=0.0,
        open_edges=none,
        seams=none,
    )


def _matched(rows: _Open) -> tuple[Integers, Integers, int]:
    """Return pairs of edges on the two sides of seams, as rows.

    Returns:
        Those on the left and those on the right; edges that face another cut.
    """
    # All edges of a seam run the same way, so any one's direction sorts them.
    _, first, group = np.unique(rows.seam, return_index=True, return_inverse=True)
    along = (rows.places[:, 1] - rows.places[:, 0])[first]
    widest = np.abs(along).argmax(1)
    sign = np.sign(along[np.arange(len(along)), widest])[group]
    every = np.arange(len(group))
    middle = rows.places.mean(1)[every, widest[group]] * sign
    order = np.lexsort((middle, rows.side, group))
    side, group = rows.side[order], group[order]
    size = len(first)
    lefts = np.bincount(group[side == 0], minlength=size)
    rights = np.bincount(group[side == 1], minlength=size)
    even = (lefts == rights)[group]
    one, two = order[even & (side == 0)], order[even & (side == 1)]
    elsewhere = np.zeros(size, bool)
    elsewhere[group[even & (side == 0)][_disjoint(rows.places, one, two)]] = True
    good = even & ~elsewhere[group]
    lonely = ((lefts == 0) | (rights == 0))[group]
    pairs, others = [order[good & (side == 0)]], [order[good & (side == 1)]]
    unmatched = 0
    for wrong in np.unique(group[~good & ~lonely]):
        here = group == wrong
        # Sides may be finished in part only: what faces each other must agree.
        one, two = order[here & (side == 0)], order[here & (side == 1)]
        one, two, apart = _facing(rows.places, one, two)
        pairs.append(one)
        others.append(two)
        unmatched += apart
    return np.concatenate(pairs), np.concatenate(others), unmatched


def _disjoint(places: Floats, one: Integers, two: Integers) -> NDArray[np.bool_]:
    """Tell which pairs of edges of one seam have no point in common.

    Two sides of which other halves are finished may have as many edges each.
    """
    middle = places.mean(1)
    apart = np.hypot(*(middle[one] - middle[two]).T)
    length = np.hypot(*(places[:, 1] - places[:, 0]).T)
    # Shorter edges than vertices are rounded are taken in their order.
    rounding = _ROUNDING * float(np.abs(places).max(initial=0.0))
    near = (1 - 1e-6) * (length[one] + length[two]) / 2
    return apart > np.maximum(near, rounding)


def _facing(
    places: Floats, left: Integers, right: Integers
) -> tuple[Integers, Integers, int]:
    """Return pairs of edges of one seam that face each other.

    Args:
        places: Where the edges' ends are [S, 2, 2].
        left: Edges of the seam on its left, sorted along it.
        right: Those on its right.

    Returns:
        Those on the left and those on the right; edges that face another cut.
    """
    along = places[left[0], 1] - places[left[0], 0]
    one, two = places[left] @ along, places[right] @ along
    facing = np.searchsorted(two[:, 0], one.mean(1)) - 1
    back = np.searchsorted(one[:, 0], two.mean(1)) - 1
    met = (facing >= 0) & (one.mean(1) < two[facing, 1])
    met_back = (back >= 0) & (two.mean(1) < one[back, 1])
    mutual = met & met_back[facing] & (back[facing] == np.arange(len(left)))
    apart = int(met.sum() + met_back.sum() - 2 * mutual.sum())
    return left[mutual], right[facing[mutual]], apart
