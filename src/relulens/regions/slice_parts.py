"""A slice's cells divided into parts that are cut on their own."""

from threading import Lock

import numpy as np
import torch

from relulens.numerics.kernels import planar
from relulens.regions.slice_basis import Basis, Combined
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_mesh import ABOVE, Mesh, Origin
from relulens.regions.slice_stage import Stage, State


class Seams:
    """Numbers for the edges that parts of a slice have in common.

    They only have to differ: which part is divided first depends on the threads.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lock = Lock()

    def mark(self, mesh: Mesh, per: int) -> None:
        """Number the edges between cells that fall into different parts."""
        part = mesh.sides // per
        apart = (mesh.sides >= 0).all(1) & (part[:, 0] != part[:, 1])
        marked = int(apart.sum())
        with self._lock:
            first = self.count
            self.count += marked
        mesh.makers[apart, 2] = first + np.arange(marked)


class Divided:
    """A state whose cells are cut part by part, forgotten when all parts are taken.

    Several threads may take parts at once.

    Args:
        state: The state, its seams marked.
        per: Cells of a part.
        direct: Whether parts have values at vertices instead of a basis.
    """

    def __init__(self, state: State, per: int, *, direct: bool) -> None:
        self.starts = range(0, state.mesh.cells, per)
        self._state, self._direct = state, direct
        self._left = len(self.starts)
        self._lock = Lock()

    def part(self, start: int) -> State:
        """Return the state on the cells from ``start`` on, which is done once each."""
        stop = start + self.starts.step
        part = _part_of(self._state, start, stop, direct=self._direct)
        with self._lock:
            self._left -= 1
            if not self._left:
                # Who still holds the state holds nothing large.
                self._state.forget()
        return part


def _part_of(state: State, start: int, stop: int, *, direct: bool) -> State:
    """Return the state on some cells in a row; ``stop`` may be past the last."""
    whole = state.mesh
    at = whole.offsets[start : stop + 1]
    stop = start + len(at) - 1
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
    if direct or state.basis.direct:
        basis = _direct(state.basis, len(vertices))
        values = {i: _taken(v, state.basis, vertices) for i, v in state.values.items()}
    else:
        basis, values = _less(state, vertices)
    stage = Stage(
        node=-1,
        code=np.zeros(0, np.int8),
        varied=np.zeros(0, np.int64),
        parents=np.arange(start, stop),
    )
    return State(
        mesh=mesh,
        basis=basis,
        exact=ExactSigns(
            region=exact.region,
            plane=exact.plane,
            corners=exact.corners,
            spent=exact.spent,
            above=(exact, whole.origin),
        ),
        stages=[*state.stages, stage],
        values=values,
        rest=state.rest,
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


def _less(state: State, vertices: np.ndarray) -> tuple[Basis, dict[int, Combined]]:
    """Return a basis at some vertices, and values by its functions.

    A function that is 0 at all of them is 0 on the whole part.
    """
    whole = state.basis
    rows = whole.values[vertices, : whole.size]
    used = (rows != 0).any(0)
    used[:3] = True
    kept = torch.from_numpy(used)
    basis = Basis(
        values=rows[:, used],
        errors=whole.errors[used],
        steep=whole.steep[used],
        largest=whole.largest[used],
        trust=whole.trust,
        proved=whole.proved,
        absolutes=whole.absolutes,
    )
    values = {
        i: Combined(v.parts[kept[: len(v.parts)]], v.error, v.size, v.settled)
        for i, v in state.values.items()
    }
    return basis, values


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
