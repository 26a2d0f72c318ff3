"""Parts of a slice put together along their seams."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from relulens.regions.slice_mesh import Floats, Integers, Mesh


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Joined:
    """The planar graph of all finished parts.

    Attributes:
        places: Vertices [V, 2].
        errors: Bounds on the errors of their coordinates [V].
        edges: Vertices of every edge [E, 2].
        makers: Stage, unit and seam of every edge [E, 3].
        sides: Cells left and right [E, 2], -1 outside.
        offsets: Where cells start in the next two [C + 1].
        corners: Vertices of the cells.
        borders: Edge from every corner to the next.
        open_edges: Edges of the unfinished area's border.
        unmatched: Edges of seams whose other side was cut otherwise; none if right.
    """

    places: Floats
    errors: Floats
    edges: Integers
    makers: NDArray[np.integer]
    sides: Integers
    offsets: Integers
    corners: Integers
    borders: Integers
    open_edges: int
    unmatched: int


def joined(meshes: Sequence[Mesh]) -> Joined:
    """Return the parts as one planar graph, vertices on seams shared.

    The meshes are emptied one field after another, so that memory holds the numbers
    only once.
    """
    counts = [(len(m.places), len(m.edges), m.cells, len(m.corners)) for m in meshes]
    starts = np.concatenate([[[0] * 4], np.cumsum(counts, axis=0)])
    for mesh, start in zip(meshes, starts[:-1, 3], strict=True):
        mesh.offsets = mesh.offsets[1:] + start
    whole = Joined(
        places=_together(meshes, "places"),
        errors=_together(meshes, "errors"),
        edges=_together(meshes, "edges", starts[:, 0]),
        makers=_together(meshes, "makers"),
        sides=_together(meshes, "sides", starts[:, 2]),
        offsets=np.concatenate([np.zeros(1, np.int64), _together(meshes, "offsets")]),
        corners=_together(meshes, "corners", starts[:, 0]),
        borders=_together(meshes, "borders", starts[:, 1]),
        open_edges=0,
        unmatched=0,
    )
    return whole if len(meshes) == 1 else _sewn(whole)


def _together(
    meshes: Sequence[Mesh], name: str, starts: Integers | None = None
) -> NDArray[Any]:
    """Take a field of all meshes, one after another.

    Args:
        meshes: The meshes; the field is empty afterwards.
        name: The field.
        starts: What is added to each mesh's numbers; -1 stays.
    """
    parts: list[NDArray[Any]] = [getattr(mesh, name) for mesh in meshes]
    for mesh, part in zip(meshes, parts, strict=True):
        setattr(mesh, name, part[:0])
    whole = np.concatenate(parts)
    if starts is None or len(parts) == 1:
        return whole
    at = 0
    for part, start in zip(parts, starts, strict=False):
        piece = whole[at : at + len(part)]
        piece[piece >= 0] += start
        at += len(part)
    return whole


def _sewn(whole: Joined) -> Joined:
    """Return the graph with the edges on both sides of every seam made one."""
    left, right, lonely, unmatched = _matched(whole)
    count, lines = len(whole.places), len(whole.edges)
    one, two = whole.edges[left].ravel(), whole.edges[right].ravel()
    graph = coo_array((np.ones(len(one), bool), (one, two)), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    # Numbers in the order of first appearance, places of the first.
    _, first, number = np.unique(label, return_index=True, return_inverse=True)
    kept = np.ones(lines, bool)
    kept[right] = False
    renamed = np.arange(lines)
    renamed[right] = left
    new_edge = np.cumsum(kept) - 1
    sides = whole.sides.copy()
    sides[left, 1] = sides[right, 1]
    return Joined(
        places=whole.places[first],
        errors=np.maximum.reduceat(
            whole.errors[np.argsort(number, kind="stable")],
            np.concatenate([[0], np.cumsum(np.bincount(number))[:-1]]),
        ),
        edges=number[whole.edges[kept]],
        makers=whole.makers[kept],
        sides=sides[kept],
        offsets=whole.offsets,
        corners=number[whole.corners],
        borders=new_edge[renamed[whole.borders]],
        open_edges=lonely,
        unmatched=unmatched,
    )


def _matched(whole: Joined) -> tuple[Integers, Integers, int, int]:
    """Return pairs of edges on the two sides of seams, and what has no partner."""
    seam = whole.makers[:, 2]
    on = np.flatnonzero((seam >= 0) & (whole.sides < 0).any(1))
    side = (whole.sides[on, 0] < 0).astype(np.int64)
    ends = whole.places[whole.edges[on]]
    # All edges of a seam run the same way, so any one's direction sorts them.
    _, first, group = np.unique(seam[on], return_index=True, return_inverse=True)
    along = (ends[:, 1] - ends[:, 0])[first]
    span = np.abs(along).argmax(1)[group]
    sign = np.sign(along[np.arange(len(along)), np.abs(along).argmax(1)])[group]
    middle = ends.mean(1)[np.arange(len(on)), span] * sign
    order = np.lexsort((middle, side, group))
    on, side, group = on[order], side[order], group[order]
    size = len(first)
    lefts = np.bincount(group[side == 0], minlength=size)
    rights = np.bincount(group[side == 1], minlength=size)
    good = (lefts == rights)[group]
    lonely = ((lefts == 0) | (rights == 0))[group]
    pairs, alone, unmatched = [on[good & (side == 0)]], int(lonely.sum()), 0
    others = [on[good & (side == 1)]]
    for wrong in np.unique(group[~good & ~lonely]):
        here = group == wrong
        # A side may be finished in part only: what faces each other must agree.
        found = _facing(whole, on[here & (side == 0)], on[here & (side == 1)])
        pairs.append(found[0])
        others.append(found[1])
        alone += found[2]
        unmatched += found[3]
    return np.concatenate(pairs), np.concatenate(others), alone, unmatched


def _facing(
    whole: Joined, left: Integers, right: Integers
) -> tuple[Integers, Integers, int, int]:
    """Return pairs of edges of one seam that face each other, and what does not.

    Args:
        whole: The parts.
        left: Edges of the seam on its left, sorted along it.
        right: Those on its right.

    Returns:
        Paired edges left and right; edges that face nothing; edges that face another
        cut.
    """
    ends = whole.places[whole.edges]
    along = ends[left[0], 1] - ends[left[0], 0]
    one, two = ends[left] @ along, ends[right] @ along
    facing = np.searchsorted(two[:, 0], one.mean(1)) - 1
    back = np.searchsorted(one[:, 0], two.mean(1)) - 1
    met = (facing >= 0) & (one.mean(1) < two[facing, 1])
    met_back = (back >= 0) & (two.mean(1) < one[back, 1])
    mutual = met & met_back[facing] & (back[facing] == np.arange(len(left)))
    alone = int((~met).sum() + (~met_back).sum())
    apart = int(met.sum() + met_back.sum() - 2 * mutual.sum())
    return left[mutual], right[facing[mutual]], alone, apart
