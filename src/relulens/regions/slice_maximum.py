"""Cells cut where the winners of a maximum change."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from relulens.errors import SolverError
from relulens.graph.nodes import Maximum
from relulens.numerics.kernels import planar, planar_maximum
from relulens.regions.slice_basis import Combined
from relulens.regions.slice_contest import Contest, contest_of
from relulens.regions.slice_cut import Cut, Functions, cut, vertex_signs
from relulens.regions.slice_mesh import Floats, Integers, Mesh
from relulens.regions.slice_stage import Stage, State, any_change, extended

_NUMBERS = 4_000_000
"""Values of entries at vertices that are at hand at once."""

_EARLY = 4
"""Parts of the room for values at vertices past which groups are left for later."""

_SMALL = 64
"""Cells that are not divided."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Settled:
    """Groups whose winners are known, on the cells as they are.

    Attributes:
        won: Winners, as numbers within the groups [C, groups so far].
        parents: The cell before the node of every cell [C].
        cuts: Whether any cell was cut.
        made: The last cut.
        rows: Vertices kept after it, if some were left out.
    """

    won: NDArray[np.integer]
    parents: Integers
    cuts: bool = False
    made: Cut | None = None
    rows: Integers | None = None


def maximum_stage(
    state: State, index: int, node: Maximum, read: Combined, *, room: int
) -> Combined:
    """Cut the cells where the winners of a maximum change and return its value.

    In each cell all entries that are not below another one everywhere are compared in
    pairs; pieces that differ by a pair below a third entry only are joined again. Few
    large cells are cut by some groups after another: else all lines that are joined
    again in the end would cross each other first. Where cells become many meanwhile,
    the other groups are left for a further round, in parts of the cells.

    Args:
        state: The mesh and basis; both are replaced. If groups are left for a further
            round, the state says so.
        index: The node's index.
        node: The node.
        read: The value of its argument, which is returned if groups are left.
        room: Bytes of values at vertices past which some groups are left.
    """
    z, limits = state.basis.at_vertices(read, state.mesh)
    contest = contest_of(state, node, read, z, limits)
    first = state.rest is None
    left = contest if state.rest is None else contest.among(state.rest)
    before = _won_before(state, index)
    done = _Settled(won=before, parents=np.arange(state.mesh.cells))
    at_once = first and left.until(0, state.mesh.cells) == len(left.varied)
    if at_once:
        functions = _pairs(state, node, read, contest)
        settled = (z, functions.unit, functions.other) if read.settled else None
        single = np.setdiff1d(np.arange(len(contest.code)), contest.varied)
        state.shed(read, contest.code[single])
        _settle(state, index, (read, contest, functions), settled, done)
        state.rest = None
    else:
        most = room // (8 * _EARLY * (state.basis.size + len(contest.varied)))
        left = _settle_in_turn(state, index, node, (read, left), done, most)
    alone = first and state.rest is None
    state.stages.append(_stage(index, left, done, before.shape[1], alone=alone))
    if state.rest is not None:
        return read
    if state.basis.direct:
        return _direct_value(node, read)
    if at_once:
        return _value(state, node, read, contest, (z, limits, done))
    value = _value(state, node, read, contest, None)
    state.shed(value, np.arange(len(contest.code)))
    return value


def _settle_in_turn(
    state: State,
    index: int,
    node: Maximum,
    asked: tuple[Combined, Contest],
    done: _Settled,
    most: int,
) -> Contest:
    """Cut the cells by some groups after another, and return these.

    Args:
        state: The state; what is left for a further round is noted there.
        index: The node's index.
        node: The node.
        asked: The value of its argument, and the groups.
        done: What is settled.
        most: Vertices past which the other groups are left, where there is a basis.
    """
    read, left = asked
    start, count = 0, len(left.varied)
    while start < count:
        stop = left.until(start, state.mesh.cells)
        part = left.part(start, stop)
        functions = _pairs(state, node, read, part)
        settled = None
        if read.settled:
            table = state.basis.at_vertices(_entries(read, part.entries), state.mesh)
            settled = (table[0], part.first, part.second)
        _settle(state, index, (read, part, functions), settled, done)
        start = stop
        many = len(state.mesh.places) > most and state.mesh.cells > _SMALL
        if many and not state.basis.direct:
            break
    state.rest = None
    if start < count:
        state.rest = np.zeros(len(left.code), bool)
        state.rest[left.varied[start:]] = True
    return left.part(0, start)


def _won_before(state: State, index: int) -> NDArray[np.integer]:
    """Return the winners that earlier rounds found on the cells [C, groups]."""
    found: list[NDArray[np.integer]] = [np.zeros((state.mesh.cells, 0), np.uint8)]
    cells: NDArray[np.integer] = np.arange(state.mesh.cells)
    for stage in reversed(state.stages):
        if stage.node == index and stage.winners is not None:
            found.insert(1, stage.winners[cells])
        elif stage.node >= 0:
            break
        if stage.parents is not None:
            cells = stage.parents[cells]
    return np.concatenate(found, axis=1)


def _stage(
    index: int, contest: Contest, done: _Settled, before: int, *, alone: bool
) -> Stage:
    """Return the codes of a round.

    Args:
        index: The node.
        contest: The groups of the round.
        done: Their winners, behind those of earlier rounds.
        before: How many groups these have.
        alone: Whether there is no other round.
    """
    return Stage(
        node=index,
        code=contest.code.astype(np.int32),
        varied=contest.varied,
        winners=done.won[:, before:],
        entries=contest.entries.astype(np.int32),
        groups=contest.groups[:-1],
        parents=done.parents if done.cuts else None,
        decided=None if alone else contest.varied,
    )


def _settle(
    state: State,
    index: int,
    asked: tuple[Combined, Contest, Functions],
    settled: tuple[Floats, Integers, Integers] | None,
    done: _Settled,
) -> None:
    """Cut the cells by the pairs of some groups, and join what has the same winners."""
    read, contest, functions = asked
    signs = vertex_signs(state.mesh, functions, state.exact, settled)
    mesh = state.mesh
    bits, downs = planar.cell_signs(
        mesh.offsets, mesh.corners, signs.positive, signs.negative
    )
    alive, active = planar_maximum.rivals(bits, downs, contest.groups, contest.pairs)
    parents, cuts = np.arange(mesh.cells), any_change(signs)
    if cuts:
        done.cuts, done.rows = True, None
        done.made = cut(mesh, functions, signs, index, state.exact, active)
        parents, bits = done.made.parents, done.made.codes
        state.grow(done.made, read)
    most = int(np.diff(contest.groups).max(initial=0))
    kind = np.uint8 if most <= 256 else np.int32
    more = np.zeros((len(parents), len(contest.varied)), kind)
    planar_maximum.winners(parents, bits, alive, contest.groups, contest.pairs, more)
    done.won = np.concatenate([done.won[parents], more], axis=1)
    done.parents = done.parents[parents]
    if not cuts:
        return
    joined = _joined(state.mesh, index, done.won, len(mesh.places))
    if joined is not None:
        state.mesh, kept = joined
        done.parents, done.won = done.parents[kept], done.won[kept]
        done.rows = state.thin(read)


def _entries(read: Combined, entries: Integers) -> Combined:
    """Return some entries of a value."""
    return Combined(
        read.parts.flatten(1)[:, entries],
        read.error.flatten()[entries],
        read.size.flatten()[entries],
        read.settled,
    )


def _direct_value(node: Maximum, read: Combined) -> Combined:
    """Return the maximum where values at vertices are at hand."""
    both = torch.stack([read.error, read.size])
    error, size = node.groups.largest(both)[0]
    return Combined(node.groups.largest(read.parts)[0], error, size, read.settled)


def _pairs(state: State, node: Maximum, read: Combined, contest: Contest) -> Functions:
    """Return the differences of all pairs."""
    one, two = contest.entries[contest.first], contest.entries[contest.second]
    parts, error, size = (
        read.parts.flatten(1),
        read.error.flatten(),
        read.size.flatten(),
    )
    differences = parts[:, one]
    differences -= parts[:, two]
    apart = Combined(differences, error[one] + error[two], size[one] + size[two])
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


def _features(contest: Contest, z: Floats, done: _Settled, out: Floats) -> None:
    """Write the largest entry of every group that varies, at the vertices.

    Args:
        contest: The groups.
        z: All entries at the vertices before the cut.
        done: The cut.
        out: Where they are written [V, groups].
    """
    made, rows = done.made, done.rows
    count = len(z) if made is None else len(made.mesh.places)
    for start, stop in _chunks(contest, count):
        part = contest.part(start, stop)
        values = z[:, part.entries]
        values = values if made is None else extended(values, made)
        values = values if rows is None else values[rows]
        np.maximum.reduceat(values, part.groups[:-1], axis=1, out=out[:, start:stop])


def _features_again(
    state: State, read: Combined, contest: Contest, out: Floats
) -> tuple[Floats, Floats]:
    """Write the same where cells were cut several times, and return their limits."""
    limits = np.zeros((2, len(contest.varied)))
    for start, stop in _chunks(contest, len(state.mesh.places)):
        part = contest.part(start, stop)
        some = _entries(read, part.entries)
        z, own = state.basis.at_vertices(some, state.mesh)
        places = part.groups[:-1]
        np.maximum.reduceat(z, places, axis=1, out=out[:, start:stop])
        np.maximum.reduceat(own, places, axis=1, out=limits[:, start:stop])
    return limits[0], limits[1]


def _chunks(contest: Contest, vertices: int) -> Iterator[tuple[int, int]]:
    """Give ranges of groups whose entries at all vertices fit."""
    groups, per = contest.groups, max(_NUMBERS // max(vertices, 1), 1)
    start = 0
    while start < len(contest.varied):
        stop = int(np.searchsorted(groups, groups[start] + per, side="right")) - 1
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def _value(
    state: State,
    node: Maximum,
    read: Combined,
    contest: Contest,
    at_once: tuple[Floats, Floats, _Settled] | None,
) -> Combined:
    """Return the maximum; groups that vary become basis functions.

    Args:
        state: The state, cut by all groups.
        node: The node.
        read: The value of its argument.
        contest: The groups.
        at_once: Entries at the vertices before the cut, their limits, and the cut, if
            it was a single one.
    """
    basis, varied = state.basis, contest.varied
    before = basis.size
    if len(varied):
        basis.widen(len(varied))
        out = basis.values[:, before:]
        if at_once is None:
            rounding, steep = _features_again(state, read, contest, out)
        else:
            z, limits, done = at_once
            _features(contest, z, done, out)
            own = limits[:, contest.entries]
            rounding, steep = np.maximum.reduceat(own, contest.groups[:-1], axis=1)
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
