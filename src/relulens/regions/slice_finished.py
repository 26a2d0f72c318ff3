"""Parts of a slice that are cut to the end, in as few bytes as they take."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relulens.numerics.kernels import planar
from relulens.regions.array_blocks import ArrayBlocks
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


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """Where finished parts are kept.

    Attributes:
        graphs: Of their graphs, which are forgotten when they are put together.
        codes: Of their codes.
    """

    graphs: ArrayBlocks = field(default_factory=ArrayBlocks)
    codes: ArrayBlocks = field(default_factory=ArrayBlocks)

    @classmethod
    def apart(cls) -> "Storage":
        """Return one where every part is forgotten on its own."""
        return cls(ArrayBlocks(0), ArrayBlocks(0))


def finished(state: State, storage: Storage) -> Finished:
    """Return what is kept of a state when nothing cuts it any more.

    Args:
        state: The state; its stages are packed in place.
        storage: Where its arrays are kept, if it is one of several parts.
    """
    if all(stage.node >= 0 for stage in state.stages):
        storage = Storage.apart()
    for stage in state.stages:
        if not stage.packed:
            _pack(stage, storage.codes)
    return Finished(
        graph=_graph(state.mesh, storage.graphs),
        stages=state.stages,
        proved=state.basis.proved,
    )


def _pack(stage: Stage, blocks: ArrayBlocks) -> None:
    """Let a stage hold what it needs only; parts with one tree share theirs.

    Threads that pack the same stage at once put the same in each other's place.
    """
    code, winners = stage.code, stage.winners
    if stage.bits is not None:
        stage.bits = blocks.kept(stage.bits)
        if isinstance(code, np.ndarray):
            stage.code = PackedRows.of(code[None]).kept(blocks)
    if isinstance(winners, np.ndarray):
        stage.winners = PackedRows.of(winners).kept(blocks)
    units = narrow(code.size)
    stage.varied = blocks.kept(stage.varied, units)
    stage.entries = blocks.kept(stage.entries)
    stage.groups = blocks.kept(stage.groups)
    if stage.decided is not None:
        stage.decided = blocks.kept(stage.decided, units)
    if stage.parents is not None:
        stage.parents = blocks.kept(stage.parents, narrow(len(stage.parents)))
    stage.packed = True


def narrow(count: int) -> type[np.signedinteger[Any]]:
    """Return the kind of whole numbers for so many things."""
    return np.int32 if count < 2**31 else np.int64


def _graph(mesh: Mesh, blocks: ArrayBlocks) -> Graph:
    """Return a mesh without what only cuts need, and without vertices of no edge."""
    kind = narrow(max(len(mesh.corners), len(mesh.edges), len(mesh.places)))
    used = np.zeros(len(mesh.places), bool)
    used[mesh.edges] = True
    places, edges, corners = mesh.places, mesh.edges, mesh.corners
    if not used.all():
        number = np.cumsum(used) - 1
        places, edges, corners = places[used], number[edges], number[corners]
    seam = mesh.makers[:, 2]
    on = np.flatnonzero((seam >= 0) & (mesh.sides < 0).any(1))
    areas = planar.cell_areas(mesh.places, mesh.offsets, mesh.corners)
    return Graph(
        places=blocks.kept(places),
        edges=blocks.kept(edges, kind),
        stages=blocks.kept(mesh.makers[:, 0]),
        units=blocks.kept(mesh.makers[:, 1]),
        sides=blocks.kept(mesh.sides, kind),
        offsets=blocks.kept(mesh.offsets, kind),
        corners=blocks.kept(corners, kind),
        borders=blocks.kept(mesh.borders, kind),
        areas=blocks.kept(areas),
        error=float(mesh.errors[used].max(initial=0.0)),
        open_edges=blocks.kept(on, kind),
        seams=blocks.kept(seam[on]),
    )
