"""The planar graph of a slice while it is being cut."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

OUTSIDE = -1
ABOVE = -2
"""Stands for the node of a vertex that a part of a mesh has from the whole."""


@dataclass(slots=True, eq=False, kw_only=True)
class Origin:
    """How vertices were made: where a function is zero between two earlier ones.

    Attributes:
        first: Earlier vertex; the corner itself for corners of the domain.
        second: The other one.
        node: Node whose argument is zero there; -1 for corners of the domain.
        unit: Which entry of it; or of ``node``'s pairs, if it is a maximum.
        other: The second entry of a pair, whose difference is zero; else -1.
    """

    first: Integers
    second: Integers
    node: Integers
    unit: Integers
    other: Integers

    def extended(self, more: "Origin") -> "Origin":
        """Return these and further vertices."""
        names = ("first", "second", "node", "unit", "other")
        both = {
            name: np.concatenate([getattr(self, name), getattr(more, name)])
            for name in names
        }
        return Origin(**both)


@dataclass(slots=True, eq=False, kw_only=True)
class Mesh:
    """Vertices, edges and convex cells of a cut polygon.

    Attributes:
        places: Vertices in plane coordinates [V, 2].
        errors: Bounds on the error of each coordinate of a vertex [V].
        edges: Vertices of every edge [E, 2].
        makers: Stage and unit that made every edge, and the seam it lies on [E, 3];
            stage -1 is the domain, seam -1 none.
        blurs: Bounds on the error of every edge's line, across it [E].
        offsets: Where every cell starts in the next two [C + 1].
        corners: Vertices of every cell, counter-clockwise.
        borders: Edge from every corner to the next.
        sides: Cells left and right of every edge [E, 2], -1 outside.
        origin: How the vertices were made.
    """

    places: Floats
    errors: Floats
    edges: Integers
    makers: NDArray[np.int32]
    blurs: Floats
    offsets: Integers
    corners: Integers
    borders: Integers
    sides: Integers
    origin: Origin

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.offsets.shape[0] - 1


def polygon_mesh(polygon: Floats) -> Mesh:
    """Return the mesh of one cell, a counter-clockwise polygon [k, 2]."""
    count = polygon.shape[0]
    around = np.arange(count)
    none = np.full(count, OUTSIDE)
    edges = np.empty((count, 2), np.int64)
    edges[:, 0] = around
    edges[:-1, 1] = around[1:]
    edges[-1, 1] = 0
    makers = np.full((count, 3), OUTSIDE, np.int32)
    makers[:, 1] = around
    sides = np.zeros((count, 2), np.int64)
    sides[:, 1] = OUTSIDE
    return Mesh(
        places=polygon,
        errors=np.zeros(count),
        edges=edges,
        makers=makers,
        blurs=np.zeros(count),
        offsets=np.array([0, count]),
        corners=around,
        borders=around,
        sides=sides,
        origin=Origin(first=around, second=around, node=none, unit=around, other=none),
    )


def needed_vertices(mesh: Mesh) -> Integers:
    """Return the vertices that edges have, and those that they were made from."""
    made = mesh.origin.node >= 0
    used = np.zeros(len(mesh.places), bool)
    used[mesh.edges] = True
    before = 0
    while (count := int(used.sum())) > before:
        before = count
        used[mesh.origin.first[used & made]] = True
        used[mesh.origin.second[used & made]] = True
    return np.flatnonzero(used)


def renumbered(mesh: Mesh, rows: Integers) -> Mesh:
    """Return the mesh with some of its vertices only, which are all it needs."""
    number = np.full(len(mesh.places), -1)
    number[rows] = np.arange(len(rows))
    origin = mesh.origin
    first, second = origin.first[rows], origin.second[rows]
    return replace(
        mesh,
        places=mesh.places[rows],
        errors=mesh.errors[rows],
        edges=number[mesh.edges],
        corners=number[mesh.corners],
        origin=Origin(
            first=np.where(first < 0, first, number[first]),
            second=np.where(second < 0, second, number[second]),
            node=origin.node[rows],
            unit=origin.unit[rows],
            other=origin.other[rows],
        ),
    )


def polygon_area(polygon: Floats) -> float:
    """Return the area of a counter-clockwise polygon [k, 2]."""
    rows: list[list[float]] = (polygon - polygon[0]).tolist()
    total = 0.0
    x, y = rows[-1]
    for s, t in rows:
        total += x * t - s * y
        x, y = s, t
    return 0.5 * total
