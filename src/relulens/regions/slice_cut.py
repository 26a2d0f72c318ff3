"""One cut of a slice's cells by functions that are affine on each of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relulens.errors import SolverError
from relulens.numerics.kernels import planar, planar_split
from relulens.regions.exact_entries import TooLongError
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_mesh import Floats, Integers, Mesh, Origin, Words
from relulens.regions.slice_places import mend_places
from relulens.regions.slice_ties import (
    EdgeValues,
    crossing_signs,
    order_along,
    shares_along,
)

_ROUND = 2.0**-52
_ONE = np.uint64(1)
_TINY = 1e-300


@dataclass(slots=True, eq=False, kw_only=True)
class Functions:
    """Functions on the plane, affine on every cell, by their values at vertices.

    Attributes:
        node: Node whose entries they are, or differences of entries.
        unit: Flat positions of the entries [n].
        other: Flat positions of what is subtracted, -1 for nothing [n].
        values: Values at the vertices [V, n].
        limits: Rounding of each, and how an error of the place counts [2, n].
    """

    node: int
    unit: Integers
    other: Integers
    values: Floats
    limits: Floats


@dataclass(slots=True, eq=False, kw_only=True)
class Signs:
    """Signs at vertices as bitsets [V, words], every doubt decided."""

    positive: Words
    negative: Words


@dataclass(slots=True, eq=False, kw_only=True)
class Cut:
    """What a cut gives.

    Attributes:
        mesh: The new mesh; old vertices keep their numbers.
        parents: The old cell of every new one.
        codes: Functions that are positive on every new cell, as bitsets.
        first: First vertex that each new vertex lies between.
        second: Second vertex.
        place: Where between them, 0 to 1.
    """

    mesh: Mesh
    parents: Integers
    codes: Words
    first: Integers
    second: Integers
    place: Floats


def vertex_signs(
    mesh: Mesh,
    functions: Functions,
    exact: ExactSigns,
    settled: tuple[Floats, Integers, Integers] | None = None,
) -> Signs:
    """Return the signs of functions at all vertices, doubts decided exactly.

    Args:
        mesh: The mesh.
        functions: The functions.
        exact: Decides the doubts.
        settled: Entries at the vertices [V, size], and which two of them every function
            is the difference of, if they are 0 exactly where the true ones are: the
            difference of two zeros is 0 without any doubt.
    """
    exact.spent.check()
    rounding, steep = functions.limits
    positive, negative, doubts = planar.sign_bits(
        functions.values, rounding, steep, mesh.errors
    )
    if settled is not None and len(doubts):
        (v, k), (table, first, second) = doubts.T, settled
        doubts = doubts[(table[v, first[k]] != 0) | (table[v, second[k]] != 0)]
    for v, k in doubts.tolist():
        sign = exact.sign(
            v, functions.node, functions.unit[k], functions.other[k], mesh.origin
        )
        if sign is None:
            value = functions.values[v, k]
            sign = int(value > 0) - int(value < 0)
        bit = _ONE << np.uint64(k & 63)
        if sign > 0:
            positive[v, k >> 6] |= bit
        elif sign < 0:
            negative[v, k >> 6] |= bit
    return Signs(positive=positive, negative=negative)


def cut(
    mesh: Mesh,
    functions: Functions,
    signs: Signs,
    stage: int,
    exact: ExactSigns,
    active: Words | None = None,
) -> Cut:
    """Return the mesh cut along the zeros of functions.

    Args:
        mesh: The mesh.
        functions: What is cut along.
        signs: Their signs at the vertices.
        stage: Noted as the maker of new edges.
        exact: Decides what rounding leaves open.
        active: Functions that count in every cell, as bitsets; all by default.

    Raises:
        SolverError: Signs contradict each other, which undecided ones may do.
    """
    mask = np.zeros((0, signs.positive.shape[1]), np.uint64)
    mask = mask if active is None else active
    cuts = _Cuts.along(mesh, functions, signs, exact, mask)
    places, errors, origin = cuts.vertices(mesh, functions)
    shares = cuts.place[cuts.heads]
    mend_places(places, errors, shares, origin, exact)
    cuts.place[cuts.heads] = shares
    made = planar_split.split_begun(
        places, errors, mesh.offsets, mesh.corners, mesh.borders, mesh.edges,
        mesh.makers, mesh.blurs, cuts.starts, cuts.vertex, cuts.first_edge,
        mask.shape[1], stage,
    )  # fmt: skip
    known = np.empty((2, 0), np.int64)
    while True:
        made = planar_split.split_cells(
            made, mesh.offsets, mesh.corners, mesh.borders, mesh.edges,
            functions.limits[0], cuts.starts, cuts.unit, cuts.vertex, cuts.steep,
            cuts.rest, cuts.first_edge, signs.positive, signs.negative, mask,
            functions.unit, known,
        )  # fmt: skip
        ended = planar_split.split_ended(made)
        queries, bad = ended[12:]
        if not len(queries):
            break
        more = crossing_signs(queries, _edge_values(functions, origin, exact))
        known = np.concatenate([known, np.array(list(more.items())).T], axis=1)
        known = np.ascontiguousarray(known[:, np.argsort(known[0])])
    if bad:
        left = exact.spent.undecided
        raise SolverError(
            f"cannot cut the slice: the signs at the corners of {bad} of its"
            f" {mesh.cells} cells contradict each other, after {left} signs were left"
            " to rounding. Give exact decisions more time."
        )
    return _finished(ended, cuts, functions, origin, exact)


@dataclass(slots=True, eq=False, kw_only=True)
class _Cuts:
    """Cuts of edges: functions, places and new vertices, sorted along each edge."""

    starts: Integers
    unit: Integers
    place: Floats
    slack: Floats
    steep: Floats
    rest: Floats
    edge: Integers
    vertex: Integers
    first_edge: Integers
    heads: Integers

    @classmethod
    def along(
        cls,
        mesh: Mesh,
        functions: Functions,
        signs: Signs,
        exact: ExactSigns,
        mask: Words,
    ) -> "_Cuts":
        """Find all cuts of edges, and decide what falls together."""
        starts, unit, place, slack, steep, rest, doubts = planar.edge_cuts(
            mesh.places,
            mesh.edges,
            mesh.sides,
            functions.values,
            signs.positive,
            signs.negative,
            functions.limits,
            mesh.blurs,
            mask,
        )
        edge = np.repeat(np.arange(len(mesh.edges)), np.diff(starts))
        head = np.ones(len(unit), bool)
        if len(doubts):
            _order_exactly(
                mesh,
                functions,
                exact,
                (unit, place, slack, steep, rest, edge),
                doubts,
                head,
            )
        vertex = len(mesh.places) + np.cumsum(head) - 1
        distinct = np.bincount(edge[head], minlength=len(mesh.edges))
        first_edge = np.concatenate([[0], np.cumsum(distinct + 1)])
        return cls(
            starts=starts,
            unit=unit,
            place=place,
            slack=slack,
            steep=steep,
            rest=rest,
            edge=edge,
            vertex=vertex,
            first_edge=first_edge,
            heads=np.flatnonzero(head),
        )

    def vertices(
        self, mesh: Mesh, functions: Functions
    ) -> tuple[Floats, Floats, Origin]:
        """Return places, errors and origins with the vertices on cut edges."""
        heads = self.heads
        a, b = mesh.edges[self.edge[heads]].T
        t = self.place[heads]
        start, along = mesh.places[a], mesh.places[b] - mesh.places[a]
        added = start + t[:, None] * along
        far = np.hypot(along[:, 0], along[:, 1])
        near = mesh.blurs[self.edge[heads]]
        rounding = 2 * _ROUND * np.abs(added).max(1, initial=0.0)
        ends = np.maximum(mesh.errors[a], mesh.errors[b])
        errors = near + np.minimum(self.slack[heads] * far, far + ends) + rounding
        unit = self.unit[heads]
        origin = Origin(
            first=a,
            second=b,
            node=np.full(len(heads), functions.node),
            unit=functions.unit[unit],
            other=functions.other[unit],
        )
        return (
            np.concatenate([mesh.places, added]),
            np.concatenate([mesh.errors, errors]),
            mesh.origin.extended(origin),
        )


def _order_exactly(
    mesh: Mesh,
    functions: Functions,
    exact: ExactSigns,
    cuts: tuple[Integers, Floats, Floats, Floats, Floats, Integers],
    doubts: Integers,
    head: NDArray[np.bool_],
) -> None:
    """Sort runs of cuts whose order is in doubt, and join those at one place."""
    unit, place, slack, steep, rest, edge = cuts
    values = _edge_values(functions, mesh.origin, exact)
    for run in np.split(doubts, np.flatnonzero(np.diff(doubts) > 1) + 1):
        # Doubts are about a cut and the next one of the same edge.
        entries = np.append(run, run[-1] + 1)
        one, two = mesh.edges[edge[run[0]]].tolist()
        sorted_ = order_along((one, two), unit[entries], values)
        if sorted_ is None:
            continue
        order, behind = sorted_
        for array in (unit, place, slack, steep, rest):
            array[entries] = array[entries[order]]
        try:
            share = np.array(shares_along((one, two), unit[entries], values))
        except TooLongError:
            share = np.maximum.accumulate(place[entries])
            slack[entries] += share - place[entries]
        else:
            # What is left is the error of the edge's ends.
            along = mesh.places[two] - mesh.places[one]
            far = max(np.hypot(along[0], along[1]), _TINY)
            off = max(mesh.errors[one], mesh.errors[two])
            slack[entries] = 2 * _ROUND + off / far
            rest[entries] = off * functions.limits[1, unit[entries]]
        place[entries] = share
        head[entries[1:]] = behind[1:]


def _edge_values(functions: Functions, origin: Origin, exact: ExactSigns) -> EdgeValues:
    """Return exact values of functions at vertices and at their zeros on edges."""
    both = functions.unit, functions.other
    return EdgeValues(functions.node, both, len(functions.values), origin, exact)


def _finished(
    made: tuple[Any, ...],
    cuts: _Cuts,
    functions: Functions,
    origin: Origin,
    exact: ExactSigns,
) -> Cut:
    """Return the result of the last run of the kernel.

    Args:
        made: Its tables.
        cuts: The vertices on edges.
        functions: What was cut along.
        origin: How the vertices outside of cells were made.
        exact: Places vertices that floats place badly.
    """
    places, errors, inner, between, edges, makers, blurs = made[:7]
    offsets, corners, borders, parents, codes = made[7:12]
    unit = inner[:, 2]
    inside = Origin(
        first=inner[:, 0],
        second=inner[:, 1],
        node=np.full(len(unit), functions.node),
        unit=functions.unit[unit],
        other=functions.other[unit],
    )
    old = len(places) - len(inner) - len(cuts.heads)
    whole = origin.extended(inside)
    mend_places(places, errors, between, whole, exact)
    return Cut(
        mesh=Mesh(
            places=places,
            errors=errors,
            edges=edges,
            makers=makers,
            blurs=blurs,
            offsets=offsets,
            corners=corners,
            borders=borders,
            sides=planar.edge_sides(edges, offsets, corners, borders),
            origin=whole,
        ),
        parents=parents,
        codes=codes,
        first=whole.first[old:],
        second=whole.second[old:],
        place=np.concatenate([cuts.place[cuts.heads], between]),
    )
