"""What one nonlinear node does on the cells of a slice."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from relulens.graph.freeze import two_slope_value
from relulens.graph.nodes import TwoSlope
from relulens.numerics.kernels import planar
from relulens.regions.packed_rows import PackedRows
from relulens.regions.slice_basis import Basis, Combined
from relulens.regions.slice_cut import Cut, Functions, Signs, cut, vertex_signs
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_mesh import (
    Integers,
    Mesh,
    Words,
    needed_vertices,
    renumbered,
)
from relulens.regions.slice_rounds import round_of

_ONE = np.uint64(1)


@dataclass(slots=True, eq=False, kw_only=True)
class Stage:
    """The codes of one node on the cells that it leaves.

    Attributes:
        node: Index of the node.
        code: Codes where they are the same on all cells [size].
        varied: Flat positions of the entries whose code varies.
        bits: Their codes on the cells, as bitsets (two slopes).
        winners: Their codes on the cells, as numbers within their groups (a maximum).
        entries: Flat positions of the entries that can win, group after group.
        groups: Where each group starts in ``entries``.
        parents: The cell before this node of every cell after it; nothing if it cut
            nothing.
        packed: Whether what grows with the cells is held in as few bytes as it takes.
        decided: Flat positions whose codes these are; nothing for all. Of several
            stages of one node the last one has the codes of all others.
    """

    node: int
    code: NDArray[np.integer] | PackedRows
    varied: NDArray[np.integer]
    bits: Words | None = None
    winners: NDArray[np.integer] | PackedRows | None = None
    entries: NDArray[np.integer] = field(default_factory=lambda: np.zeros(0, np.int32))
    groups: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    parents: NDArray[np.integer] | None = None
    packed: bool = False
    decided: NDArray[np.integer] | None = None

    def codes(self, cells: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return the codes of all entries on some cells [cells, size]."""
        same = self.code[None] if isinstance(self.code, np.ndarray) else self.code
        code = same[np.zeros(len(cells), np.int64)]
        if self.bits is not None and len(self.varied):
            words = np.ascontiguousarray(self.bits[cells]).view(np.uint8)
            flags = np.unpackbits(words, axis=1, bitorder="little")
            code[:, self.varied] = flags[:, : len(self.varied)]
        if self.winners is not None and len(self.varied):
            code[:, self.varied] = self.entries[self.groups + self.winners[cells]]
        return code


@dataclass(slots=True, eq=False, kw_only=True)
class State:
    """The mesh and the basis on it, as they grow.

    Attributes:
        mesh: The cells so far.
        basis: The basis functions at its vertices.
        exact: Decides what rounding leaves open.
        stages: What the nonlinear nodes so far do on the cells.
        values: The values of nodes that are still read.
        rest: Units of the node in work that are still to be cut by, if it takes several
            rounds; its value so far has their arguments.
    """

    mesh: Mesh
    basis: Basis
    exact: ExactSigns
    stages: list[Stage]
    values: dict[int, Combined]
    rest: NDArray[np.bool_] | None = None

    def grow(self, made: Cut, read: Combined) -> None:
        """Take the mesh of a cut, and extend what is known at its vertices.

        Args:
            made: The cut.
            read: A value that the state need not hold any more.
        """
        self.mesh = made.mesh
        if self.basis.direct:
            for value in (*self.values.values(), read):
                rows = extended(value.parts.flatten(1).numpy(), made)
                shape = value.parts.shape[1:]
                value.parts = torch.from_numpy(rows).reshape(-1, *shape)
            self.basis.values = np.zeros((len(made.mesh.places), 0))
        else:
            self.basis.extend_rows(extended(self.basis.values, made))

    def thin(self, read: Combined) -> Integers | None:
        """Forget vertices that no edge has and no other vertex was made from.

        Args:
            read: A value that the state need not hold any more.

        Returns:
            The vertices that are kept, or nothing if that are most.
        """
        rows = needed_vertices(self.mesh)
        if 5 * len(rows) > 4 * len(self.mesh.places):
            return None
        self.mesh = renumbered(self.mesh, rows)
        self.exact.renumbered()
        if self.basis.direct:
            for value in (*self.values.values(), read):
                value.parts = value.parts[torch.from_numpy(rows)]
        self.basis.values = self.basis.values[rows]
        return rows

    def forget(self) -> None:
        """Forget what is large; nothing can be asked of it any more."""
        none = np.zeros(0, np.int64)
        self.values.clear()
        self.basis.values = np.zeros((0, self.basis.size))
        self.mesh = Mesh(
            places=np.zeros((0, 2)),
            errors=np.zeros(0),
            edges=none.reshape(0, 2),
            makers=np.zeros((0, 3), np.int32),
            blurs=np.zeros(0),
            offsets=none,
            corners=none,
            borders=none,
            sides=none.reshape(0, 2),
            origin=self.mesh.origin,
        )

    def shed(self, read: Combined, kept: Integers) -> None:
        """Forget functions that only other entries of a value need.

        Args:
            read: A value that nothing reads any more as a whole.
            kept: Flat positions of its entries that are still needed.
        """
        basis = self.basis
        if basis.direct or basis.size <= 3:
            return
        used = np.zeros(basis.size, bool)
        used[: read.parts.shape[0]] = used_functions(read, kept)
        for value in self.values.values():
            rows = (value.parts.flatten(1) != 0).any(1).numpy()
            used[: len(rows)] |= rows
        basis.shed(used, [read, *self.values.values()])


def two_slope_stage(
    state: State,
    index: int,
    node: TwoSlope,
    read: Combined,
    *,
    last: bool,
    room: int,
) -> Combined | None:
    """Cut the cells by the units of a two-slope node and return its value.

    Args:
        state: The mesh and basis; both are replaced. If units are left for a further
            round, the state says so.
        index: The node's index.
        node: The node.
        read: The value of its argument, or what an earlier round returned.
        last: Whether nothing reads the value any more.
        room: Bytes of values at vertices past which some units are left.
    """
    z, limits = state.basis.at_vertices(read, state.mesh)
    slack = float(state.mesh.errors.max())
    margin = limits[0] + slack * limits[1]
    low, high = planar.column_ranges(z)
    on = low > margin
    varied = np.flatnonzero(~on & (high >= -margin) & ((margin > 0) | (high > 0)))
    now = round_of(
        state.mesh, node, (z, margin), varied,
        rest=state.rest, room=room, functions=state.basis.size, last=last,
    )  # fmt: skip
    node, varied, state.rest = now.node, now.varied, now.rest
    # A unit that is nowhere positive is off, also where it is zero.
    code = on.astype(np.int8)
    functions = Functions(
        node=node.source,
        unit=varied,
        other=np.full(len(varied), -1),
        values=np.ascontiguousarray(z[:, varied]) if len(varied) < z.shape[1] else z,
        limits=np.ascontiguousarray(limits[:, varied]),
    )
    signs = vertex_signs(state.mesh, functions, state.exact)
    bits: Words
    made: Cut | None = None
    if len(varied) and any_change(signs):
        made = cut(state.mesh, functions, signs, index, state.exact)
        bits = made.codes
    else:
        mesh = state.mesh
        bits, _ = planar.cell_signs(
            mesh.offsets, mesh.corners, signs.positive, signs.negative
        )
    state.stages.append(
        Stage(
            node=index,
            code=code,
            varied=varied,
            bits=bits,
            parents=None if made is None else made.parents,
            decided=now.decided,
        )
    )
    if last and state.rest is None:
        if made is not None:
            state.mesh = made.mesh
        return None
    if state.basis.direct:
        return _direct_value(state, node, read, made, functions, bits)
    return _two_slope_value(state, node, read, code, (z, limits), (varied, bits, made))


def _slopes(node: TwoSlope) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes of all units, flat."""
    low, high = (
        s.to(torch.float64).expand(node.shape).flatten().numpy()
        for s in (node.negative, node.positive)
    )
    return low, high


def any_change(signs: Signs) -> bool:
    """Tell whether a function has both signs at vertices."""
    up = np.bitwise_or.reduce(signs.positive, axis=0)
    down = np.bitwise_or.reduce(signs.negative, axis=0)
    return bool((up & down).any())


def used_functions(read: Combined, kept: Integers) -> NDArray[np.bool_]:
    """Return which basis functions have a part in some entries of a value."""
    return (read.parts.flatten(1)[:, torch.from_numpy(kept)] != 0).any(1).numpy()


def extended(rows: np.ndarray, made: Cut) -> np.ndarray:
    """Return values at old vertices with those at new ones, affine in between.

    Args:
        rows: Values [V, n].
        made: How the new vertices were made.
    """
    count, width = rows.shape
    more = np.empty((count + len(made.first), width))
    more[:count] = rows
    planar.mix_rows(more, width, count, made.first, made.second, made.place)
    return more


def _direct_value(
    state: State,
    node: TwoSlope,
    read: Combined,
    made: Cut | None,
    functions: Functions,
    bits: Words,
) -> Combined:
    """Return a two-slope node's value where values at vertices are at hand."""
    values, varied = functions.values, functions.unit
    if made is not None:
        values = extended(values, made)
        state.grow(made, read)
    low, high = _slopes(node)
    mesh = state.mesh
    features = values if made is not None else np.empty_like(values)
    planar.features(
        values, mesh.offsets, mesh.corners, bits, low[varied], high[varied], features, 0
    )
    gain = torch.maximum(node.negative.abs(), node.positive.abs()).to(torch.float64)
    value = two_slope_value(node, read.parts)
    value.flatten(1)[:, torch.from_numpy(varied)] = torch.from_numpy(features)
    return Combined(value, gain * read.error, gain * read.size, True)


def _two_slope_value(
    state: State,
    node: TwoSlope,
    read: Combined,
    code: Integers,
    at_vertices: tuple[np.ndarray, np.ndarray],
    cutting: tuple[Integers, Words, Cut | None],
) -> Combined:
    """Return a two-slope node's value; units that vary become basis functions.

    Those that do not vary become functions as well where that spares more others.
    """
    (z, limits), (varied, bits, made) = at_vertices, cutting
    low, high = _slopes(node)
    slope = np.where(code > 0, high, low)
    slope[varied] = 0.0
    lifted = _lifted(read, slope)
    own = np.concatenate([varied, lifted])
    state.shed(read, np.flatnonzero(slope) if not len(lifted) else lifted[:0])
    basis, before = state.basis, state.basis.size
    # Arguments of the units first, replaced where they stand: the table is large.
    basis.values = np.concatenate([basis.values, z[:, own]], axis=1)
    if made is not None:
        state.grow(made, read)
    mesh, n = state.mesh, len(varied)
    planar.features(
        basis.values[:, before : before + n],
        mesh.offsets,
        mesh.corners,
        bits,
        low[varied],
        high[varied],
        basis.values,
        before,
    )
    if len(lifted):
        basis.values[:, before + n :] *= slope[lifted]
    gain = np.maximum(np.abs(low), np.abs(high))
    gain[lifted] = np.abs(slope[lifted])
    reach = gain[own] * limits[:, own]
    if len(own):
        basis.extend(reach[0], reach[1], float(mesh.errors.max()))
    slope[lifted] = 0.0
    return _scaled(state, node, read, slope, own)


def _lifted(read: Combined, slope: np.ndarray) -> Integers:
    """Return the units of one slope that are fewer than the functions they need."""
    lifted = np.flatnonzero(slope)
    if 3 + len(lifted) < read.parts.shape[0]:
        needed = int(used_functions(read, lifted)[3:].sum())
        if 4 * len(lifted) < 3 * needed:
            return lifted
    return lifted[:0]


def _scaled(
    state: State, node: TwoSlope, read: Combined, slope: np.ndarray, own: Integers
) -> Combined:
    """Return a value: ``own`` units are the last functions, others scaled."""
    basis, shape = state.basis, node.shape
    before = basis.size - len(own)
    factor = torch.from_numpy(slope)
    parts = torch.zeros((basis.size, len(slope)), dtype=torch.float64)
    kept = read.parts.shape[0]
    torch.mul(read.parts.flatten(1), factor, out=parts[:kept])
    parts[before + np.arange(len(own)), own] = 1.0
    error = read.error.flatten() * factor.abs()
    largest = read.size.flatten() * factor.abs()
    largest[own] = torch.from_numpy(basis.largest[before:])
    return Combined(
        parts.reshape(-1, *shape),
        error.reshape(shape),
        largest.reshape(shape),
        settled=True,
    )
