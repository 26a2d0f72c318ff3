"""A slice's cells divided into parts that are cut one after another."""

from collections.abc import Iterator

import numpy as np
import torch

from relulens.numerics.kernels import planar
from relulens.regions.slice_basis import Basis, Combined
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_mesh import ABOVE, Mesh, Origin
from relulens.regions.slice_stage import Stage, State


class Seams:
    """Numbers for the edges that parts of a slice have in common."""

    def __init__(self) -> None:
        self.count = 0

    def mark(self, mesh: Mesh, per: int) -> None:
        """Number the edges between cells that fall into different parts."""
        part = mesh.sides // per
        apart = (mesh.sides >= 0).all(1) & (part[:, 0] != part[:, 1])
        marked = int(apart.sum())
        mesh.makers[apart, 2] = self.count + np.arange(marked)
        self.count += marked


def parts_of(state: State, per: int, seams: Seams) -> Iterator[State]:
    """Give the state on ``per`` cells after another, with values at vertices.

    Args:
        state: The state; its seams are marked.
        per: Cells of a part.
        seams: Where seams are numbered.
    """
    mesh = state.mesh
    seams.mark(mesh, per)
    for start in range(0, mesh.cells, per):
        yield _part(state, start, min(start + per, mesh.cells))


def _part(state: State, start: int, stop: int) -> State:
    whole = state.mesh
    at = whole.offsets[start : stop + 1]
    vertices, corners = np.unique(whole.corners[at[0] : at[-1]], return_inverse=True)
    edges, borders = np.unique(whole.borders[at[0] : at[-1]], return_inverse=True)
    ends = np.searchsorted(vertices, whole.edges[edges])
    offsets = at - at[0]
    mesh = Mesh(
        places=whole.places[vertices],
        errors=whole.errors[vertices],
        edges=ends,
        makers=whole.makers[edges],
        blurs=whole.blurs[edges],
        offsets=offsets,
        corners=corners,
        borders=borders,
        sides=planar.edge_sides(ends, offsets, corners, borders),
        origin=_inherited(vertices),
    )
    exact = state.exact
    basis = state.basis
    stage = Stage(
        node=-1,
        code=np.zeros(0, np.int8),
        varied=np.zeros(0, np.int64),
        parents=np.arange(start, stop),
    )
    return State(
        mesh=mesh,
        basis=_direct(basis, len(vertices)),
        exact=ExactSigns(
            region=exact.region,
            plane=exact.plane,
            corners=exact.corners,
            spent=exact.spent,
            above=(exact, whole.origin),
        ),
        stages=[*state.stages, stage],
        values={i: _taken(v, basis, vertices) for i, v in state.values.items()},
    )


def _inherited(vertices: np.ndarray) -> Origin:
    none = np.full(len(vertices), -1)
    return Origin(
        first=none,
        second=none,
        node=np.full(len(vertices), ABOVE),
        unit=vertices,
        other=none,
    )


def _direct(basis: Basis, count: int) -> Basis:
    none = np.zeros(0)
    return Basis(
        values=np.zeros((count, 0)),
        errors=none,
        steep=none,
        largest=none,
        trust=basis.trust,
        proved=basis.proved,
        direct=True,
        absolutes=basis.absolutes,
    )


def _taken(value: Combined, basis: Basis, vertices: np.ndarray) -> Combined:
    """Return a node's values at some vertices."""
    if basis.direct:
        return Combined(value.parts[vertices], value.error, value.size, value.settled)
    parts = value.parts
    m = parts.shape[0]
    rows = torch.from_numpy(basis.values[vertices, :m])
    reach = torch.from_numpy(np.stack([basis.errors[:m], basis.largest[:m]]))
    error, size = (reach @ parts.abs().flatten(1)).reshape(2, *parts.shape[1:])
    return Combined(
        (rows @ parts.flatten(1)).reshape(-1, *parts.shape[1:]),
        value.error + error + 2.0**-52 * (m + 2) * size,
        torch.maximum(value.size, size),
        value.settled,
    )
