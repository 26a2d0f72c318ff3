"""Parts of a slice that are cut to the end, in as few bytes as they take."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relulens.numerics.kernels import planar
from relulens.regions.packed_rows import PackedRows
from relulens.regions.slice_mesh import Floats, Mesh
from relulens.regions.slice_stage import Stage, State

Narrow = NDArray[np.signedinteger[Any]]
"""Whole numbers in 32 bits, or in 64 if there are too many things to number."""


@dataclass(slots=True, eq=False, kw_only=True)
class Graph:
    """The planar graph of some cells, about 100 bytes a cell.

    Attributes:
        places: Vertices in plane coordinates [V, 2].
        edges: Vertices of every edge [E, 2].
        stages: Stage that made every edge [E]; -1 is the domain.
        units: Unit that did [E].
        sides: Cells left and right of every edge [E, 2], -1 outside.
        offsets: Where every cell starts in the next two [C + 1].
        corners: Vertices of every cell, counter-clockwise.
        borders: Edge from every corner to the next.
        areas: Areas of the cells [C].
        error: Largest bound on the error of a coordinate of a vertex.
        open_edges: Edges on seams, with cells of this part on one side only [S].
        seams: The seam that each of these lies on [S].
    """

    places: Floats
    edges: Narrow
    stages: Narrow
    units: Narrow
    sides: Narrow
    offsets: Narrow
    corners: Narrow
    borders: Narrow
    areas: Floats
    error: float
    open_edges: Narrow
    seams: Narrow


@dataclass(slots=True, eq=False, kw_only=True)
class Finished:
    """A part of a slice that is cut to the end.

    Attributes:
        graph: Its cells.
        stages: What every nonlinear node does on them.
        proved: Whether the proved bound on rounding was followed everywhere.
    """

    graph: Graph
    stages: list[Stage]
    proved: bool

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.graph.areas)

    @property
    def area(self) -> float:
        """The area of all cells."""
        return float(self.graph.areas.sum())


def finished(state: State) -> Finished:
    """Return what is kept of a state when nothing cuts it any more.

    Args:
        state: The state; its stages are packed in place.
    """
    for stage in state.stages:
        _pack(stage)
    return Finished(
        graph=_graph(state.mesh), stages=state.stages, proved=state.basis.proved
    )


def _pack(stage: Stage) -> None:
    """Let a stage hold what it needs only; parts with one tree share theirs."""
    if stage.packed:
        return
    if stage.bits is not None:
        # What kernels return are pieces of arrays that were given room to grow.
        stage.bits = stage.bits.copy()
    if stage.parents is not None:
        stage.parents = stage.parents.astype(narrow(len(stage.parents)))
    winners = stage.winners
    if isinstance(winners, np.ndarray):
        # Another thread may have packed it since.
        stage.winners = PackedRows.of(winners)
    stage.packed = True


def narrow(count: int) -> type[np.signedinteger[Any]]:
    """Return the kind of whole numbers for so many things."""
    return np.int32 if count < 2**31 else np.int64


def _graph(mesh: Mesh) -> Graph:
    """Return a mesh without what only cuts need, and without vertices of no edge."""
    kind = narrow(max(len(mesh.corners), len(mesh.edges), len(mesh.places)))
    used = np.zeros(len(mesh.places), bool)
    used[mesh.edges] = True
    every = bool(used.all())
    number = np.cumsum(used, dtype=kind) - kind(1)
    seam = mesh.makers[:, 2]
    on = np.flatnonzero((seam >= 0) & (mesh.sides < 0).any(1))
    return Graph(
        places=mesh.places.copy() if every else mesh.places[used],
        edges=mesh.edges.astype(kind) if every else number[mesh.edges],
        stages=mesh.makers[:, 0].copy(),
        units=mesh.makers[:, 1].copy(),
        sides=mesh.sides.astype(kind),
        offsets=mesh.offsets.astype(kind),
        corners=mesh.corners.astype(kind) if every else number[mesh.corners],
        borders=mesh.borders.astype(kind),
        areas=planar.cell_areas(mesh.places, mesh.offsets, mesh.corners),
        error=float(mesh.errors[used].max(initial=0.0)),
        open_edges=on.astype(kind),
        seams=seam[on],
    )
