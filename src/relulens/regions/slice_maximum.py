"""Cells cut where the winners of a maximum change."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from relulens.errors import SolverError
from relulens.graph.nodes import Maximum
from relulens.numerics.kernels import planar, planar_maximum
from relulens.regions.slice_basis import Combined
from relulens.regions.slice_cut import Cut, Functions, cut, vertex_signs
from relulens.regions.slice_mesh import Integers, Mesh
from relulens.regions.slice_stage import Stage, State, any_change, extended

_NUMBERS = 4_000_000
"""Values of entries at vertices that are at hand at once."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Contest:
    """Groups with several entries that can win, and all pairs of these.

    Attributes:
        code: Winner of every group, as if the first one in doubt won everywhere.
        varied: The groups.
        entries: Flat positions of their entries, group after group.
        groups: Where each group starts in ``entries``.
        first: First entry of every pair, as a place in ``entries``.
        second: Second one.
        pairs: Where each group starts among the pairs.
    """

    code: Integers
    varied: Integers
    entries: Integers
    groups: Integers
    first: Integers
    second: Integers
    pairs: Integers


def maximum_stage(state: State, index: int, node: Maximum, read: Combined) -> Combined:
    """Cut the cells where the winners of a maximum change and return its value.

    In each cell all entries that are not below another one everywhere are compared in
    pairs; pieces that differ by a pair below a third entry only are joined again.
    """
    z, limits = state.basis.at_vertices(read, state.mesh)
    contest = _contest(state, node, read, z, limits)
    functions = _pairs(state, node, read, contest)
    signs = vertex_signs(
        state.mesh, functions, state.exact, z if read.settled else None
    )
    mesh = state.mesh
    ups, downs = planar.cell_signs(
        mesh.offsets, mesh.corners, signs.positive, signs.negative
    )
    alive, active = planar_maximum.rivals(ups, downs, contest.groups, contest.pairs)
    parents = np.arange(mesh.cells)
    bits, cuts = ups, any_change(signs)
    made: Cut | None = None
    single = np.setdiff1d(np.arange(len(contest.code)), contest.varied)
    state.shed(read, contest.code[single])
    if cuts:
        made = cut(mesh, functions, signs, index, state.exact, active)
        parents, bits = made.parents, made.codes
        state.grow(made, read, 0)
    sizes = np.diff(contest.groups)
    kind = np.uint8 if sizes.max(initial=0) <= 256 else np.int32
    won = np.zeros((len(parents), len(sizes)), kind)
    planar_maximum.winners(parents, bits, alive, contest.groups, contest.pairs, won)
    rows: Integers | None = None
    if cuts:
        joined = _joined(state.mesh, index, won, len(mesh.places))
        if joined is not None:
            state.mesh, kept = joined
            parents, won = parents[kept], won[kept]
            rows = state.thin(read)
    state.stages.append(
        Stage(
            node=index,
            code=contest.code.astype(np.int32),
            varied=contest.varied,
            winners=won,
            entries=contest.entries.astype(np.int32),
            groups=contest.groups[:-1],
            parents=parents if cuts else None,
        )
    )
    if state.basis.direct:
        return _direct_value(node, read)
    return _value(state, node, read, contest, (z, limits), (made, rows))


def _direct_value(node: Maximum, read: Combined) -> Combined:
    """Return the maximum where values at vertices are at hand."""
    both = torch.stack([read.error, read.size])
    error, size = node.groups.largest(both)[0]
    return Combined(node.groups.largest(read.parts)[0], error, size, read.settled)


def _contest(
    state: State, node: Maximum, read: Combined, z: np.ndarray, limits: np.ndarray
) -> _Contest:
    """Return the groups that several entries can win."""
    slack = float(state.mesh.errors.max())
    margin = limits[0] + slack * limits[1]
    low, high = z.min(0) - margin, z.max(0) + margin
    table, real = (part.numpy() for part in node.groups.ragged.padded())
    floor = np.where(real, low[table], -np.inf).max(1)
    able = real & (high[table] >= floor[:, None])
    _drop_copies(read, table, able)
    counts = able.sum(1)
    code = table[np.arange(len(table)), able.argmax(1)]
    varied = np.flatnonzero(counts > 1)
    sizes = counts[varied]
    groups = np.concatenate([[0], np.cumsum(sizes)])
    pairs = np.concatenate([[0], np.cumsum(sizes * (sizes - 1) // 2)])
    first: list[Integers] = []
    second: list[Integers] = []
    for start, size in zip(groups[:-1], sizes, strict=True):
        a, b = np.triu_indices(int(size), 1)
        first.append(start + a)
        second.append(start + b)
    none = np.zeros(0, np.int64)
    return _Contest(
        code=code,
        varied=varied,
        entries=table[varied][able[varied]],
        groups=groups,
        first=np.concatenate([none, *first]),
        second=np.concatenate([none, *second]),
        pairs=pairs,
    )


def _drop_copies(read: Combined, table: np.ndarray, able: np.ndarray) -> None:
    """Take out entries with the same coefficients as an earlier one of their group."""
    parts = read.parts.flatten(1).numpy()
    several = np.flatnonzero(able.sum(1) > 1)
    for b in range(1, table.shape[1]):
        for a in range(b):
            rows = several[able[several, a] & able[several, b]]
            if not len(rows):
                continue
            same = (parts[:, table[rows, a]] == parts[:, table[rows, b]]).all(0)
            able[rows[same], b] = False


def _pairs(state: State, node: Maximum, read: Combined, contest: _Contest) -> Functions:
    """Return the differences of all pairs."""
    one, two = contest.entries[contest.first], contest.entries[contest.second]
    parts, error, size = (
        read.parts.flatten(1),
        read.error.flatten(),
        read.size.flatten(),
    )
    apart = Combined(
        parts[:, one] - parts[:, two], error[one] + error[two], size[one] + size[two]
    )
    if state.basis.direct:
        flat = read.parts.flatten(1)
        apart.parts = flat[:, one] - flat[:, two]
    values, limits = state.basis.at_vertices(apart, state.mesh)
    return Functions(
        node=node.source, unit=one, other=two, values=values, limits=limits
    )


def _joined(
    mesh: Mesh, index: int, won: np.ndarray, before: int
) -> tuple[Mesh, Integers] | None:
    """Return the mesh without edges that divide no winners, and the cells kept.

    Raises:
        SolverError: Cells that should be joined to one do not touch.
    """
    gone = planar_maximum.equal_sides(mesh.sides, mesh.makers, index, won)
    if not gone.any():
        return None
    edges, old_edge, offsets, corners, borders, kept, right = planar_maximum.dissolve(
        mesh.edges, mesh.sides, mesh.offsets, mesh.corners, mesh.borders, gone, before
    )
    if not right:
        raise SolverError(
            f"cannot join the cells of the slice: without {int(gone.sum())} of its"
            f" {len(gone)} edges some cells have holes. Give exact decisions more time."
        )
    joined = replace(
        mesh,
        edges=edges,
        makers=mesh.makers[old_edge],
        blurs=mesh.blurs[old_edge],
        offsets=offsets,
        corners=corners,
        borders=borders,
        sides=planar.edge_sides(edges, offsets, corners, borders),
    )
    return joined, kept


def _features(
    contest: _Contest,
    z: np.ndarray,
    grown: tuple[Cut | None, Integers | None],
    out: np.ndarray,
) -> None:
    """Write the largest entry of every group that varies, at the vertices."""
    made, rows = grown
    count = len(z) if made is None else len(made.mesh.places)
    groups, per = contest.groups, max(_NUMBERS // max(count, 1), 1)
    start = 0
    while start < len(contest.varied):
        stop = int(np.searchsorted(groups, groups[start] + per, side="right")) - 1
        stop = max(stop, start + 1)
        values = z[:, contest.entries[groups[start] : groups[stop]]]
        values = values if made is None else extended(values, made)
        values = values if rows is None else values[rows]
        places = groups[start:stop] - groups[start]
        np.maximum.reduceat(values, places, axis=1, out=out[:, start:stop])
        start = stop


def _value(
    state: State,
    node: Maximum,
    read: Combined,
    contest: _Contest,
    at_vertices: tuple[np.ndarray, np.ndarray],
    grown: tuple[Cut | None, Integers | None],
) -> Combined:
    """Return the maximum; groups that vary become basis functions."""
    z, limits = at_vertices
    basis, varied = state.basis, contest.varied
    before = basis.size
    starts = contest.groups[:-1]
    if len(varied):
        rounding, steep = (
            np.maximum.reduceat(row[contest.entries], starts) for row in limits
        )
        basis.widen(len(varied))
        _features(contest, z, grown, basis.values[:, before:])
        basis.extend(rounding, steep, float(state.mesh.errors.max()))
    kept = read.parts.shape[0]
    code = torch.from_numpy(contest.code)
    parts = torch.zeros((before + len(varied), len(code)), dtype=torch.float64)
    parts[:kept] = read.parts.flatten(1)[:, code]
    parts[:kept, varied] = 0.0
    parts[before + np.arange(len(varied)), varied] = 1.0
    error, size = read.error.flatten()[code], read.size.flatten()[code]
    error[varied] = 0.0
    size[varied] = torch.from_numpy(basis.largest[before:])
    shape = node.shape
    return Combined(
        parts.reshape(-1, *shape),
        error.reshape(shape),
        size.reshape(shape),
        settled=read.settled,
    )
