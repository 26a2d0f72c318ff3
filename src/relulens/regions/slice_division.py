"""Into how many parts the cells of a slice are divided, and when."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relulens.graph.nodes import Affine, Maximum, TwoSlope
from relulens.graph.polyhedral import PolyhedralNode
from relulens.regions.slice_stage import State

WHOLE, _PART, _START = 192 << 20, 64 << 20, 16 << 20
"""Bytes of values at vertices past which cells are divided, and bytes of a part."""

_PRODUCT, _NUMBER, _NODE = 6e-11, 1e-8, 3e-4
"""Seconds of a product, a unit at a vertex and a node, by which costs are compared."""

_WORTHWHILE = 0.3
"""Seconds ahead that are worth being divided."""

_MORE = 0.1
"""How much longer parts may take than the whole."""

_CLEARLY = 0.75
"""Part of the time with a basis that values may take to be preferred."""

_MOST = 16
"""Parts that a slice is divided into for that, or for a further round."""

_SMALLEST = 32
"""Cells of a part, at least."""

_BUDGETED = 512
"""Cells of a part, at most, where a budget may end the walk."""

_SHARE, _GROWTH = 0.05, 3
"""Part of a budget that a stage may take, and cells that it may make of each."""

_LEAST = 8
"""Cells of such a part, at least."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Division:
    """How a state is divided.

    Attributes:
        per: Cells of a part.
        direct: Whether parts have values at vertices instead of a basis.
    """

    per: int
    direct: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ahead:
    """What is still to be done with cells.

    Attributes:
        nodes: How many nodes.
        widest: Entries of the widest one.
        products: Products that an evaluation takes.
        units: Units that are still to cut by.
        growth: How many functions a basis has on the way for each that it has now, as
            there are units.
        spread: How many vertices there are for each, as lines in a plane cross.
        stage: Seconds that the longest stage takes for a vertex, about.
    """

    nodes: int
    widest: int
    products: int
    units: int
    growth: float
    spread: float
    stage: float

    @classmethod
    def at(
        cls, nodes: Mapping[int, PolyhedralNode], order: Sequence[int], place: int
    ) -> "Ahead":
        """Return it for the nodes in order from a place on, at least one."""
        sizes = [math.prod(nodes[index].shape) for index in order]
        cuts = [isinstance(nodes[index], TwoSlope | Maximum) for index in order]
        maps = [
            term.map
            for index in order[place:]
            if isinstance(node := nodes[index], Affine)
            for term in node.terms
        ]
        units = [size if cut else 0 for size, cut in zip(sizes, cuts, strict=True)]
        before, after = sum(units[:place]), sum(units[place:])
        ratio = 1 + after / max(before, 1)
        return cls(
            nodes=len(order) - place,
            widest=max(sizes[place:]),
            products=sum(linear.entries() for linear in maps),
            units=after,
            growth=(1 + ratio) / 2,
            spread=(1 + ratio + ratio**2) / 3,
            stage=_longest(nodes, order[place:]),
        )


def _longest(nodes: Mapping[int, PolyhedralNode], after: Sequence[int]) -> float:
    """Return about the seconds that the longest stage takes for a vertex."""
    longest = seconds = 0.0
    for index in after:
        match node := nodes[index]:
            case Affine():
                products = sum(term.map.entries() for term in node.terms)
                seconds += _PRODUCT * products
            case TwoSlope() | Maximum():
                longest = max(longest, seconds + _NUMBER * math.prod(node.shape))
                seconds = 0.0
            case _:
                pass
    return longest


def division(
    state: State, ahead: Ahead, *, share: float, seconds: float | None, ends: bool
) -> Division | None:
    """Return how a state is divided before the next nodes, if at all.

    Cells are divided where their values would take too much memory, and where parts
    take hardly longer than the whole: they can be cut at the same time. It depends on
    the cells alone, so that it is the same for every number of threads.

    Args:
        state: The state.
        ahead: What is still to be done.
        share: Of which part of the slice this is the state, about.
        seconds: The budget, of which a stage may take a part only.
        ends: Whether a number of cells may end the walk.
    """
    cells, functions = state.mesh.cells, state.basis.size
    vertices = len(state.mesh.places)
    row = 8 * (ahead.widest + functions)
    limit = _PART if state.basis.direct else WHOLE
    much = vertices * row > limit or state.rest is not None
    if cells > 2 * _SMALLEST and much:
        return _small(state, ahead)
    if seconds is not None or ends:
        found = _budgeted(state, ahead, seconds)
        if found is not None:
            return found
    if functions > 4 * ahead.widest:
        # More functions than entries: values at vertices are cheaper.
        return Division(per=cells, direct=True)
    return _early(state, ahead, share)


def _small(state: State, ahead: Ahead) -> Division:
    """Return the cheaper way to parts that take little memory."""
    vertices = len(state.mesh.places)
    row = 8 * (ahead.widest + state.basis.size)
    least = 1 if state.rest is None else _MOST
    if not state.basis.direct:
        parts = max(vertices * row / _PART, least)
        if _with_basis(state, ahead, parts) < _with_values(state, ahead):
            return _division(state, parts, direct=False)
    return _division(state, max(vertices * row / _START, least), direct=True)


def _budgeted(state: State, ahead: Ahead, seconds: float | None) -> Division | None:
    """Return parts of which a stage takes a small part of the budget."""
    mesh, per = state.mesh, _BUDGETED
    if seconds is not None:
        vertices = seconds * _SHARE / (_GROWTH * ahead.stage)
        per = min(max(int(vertices * mesh.cells / len(mesh.places)), _LEAST), per)
    if mesh.cells <= 2 * per:
        return None
    other = _with_basis(state, ahead, mesh.cells / per)
    direct = state.basis.direct or _with_values(state, ahead) < other
    return Division(per=per, direct=direct)


def _early(state: State, ahead: Ahead, share: float) -> Division | None:
    """Return parts that together take hardly longer, where there is much to do."""
    whole, direct = _with_values(state, ahead), True
    once = _NODE * ahead.nodes
    if not state.basis.direct:
        other = _with_basis(state, ahead, 1)
        if _CLEARLY * other < whole:
            whole, direct = other, False
            once += _once(state, ahead)
    if whole < _WORTHWHILE:
        return None
    most = min(_MOST * share, state.mesh.cells / _SMALLEST)
    parts = min(1 + _MORE * whole / once, most)
    return _division(state, parts, direct=direct) if parts >= 2 else None


def _division(state: State, parts: float, *, direct: bool) -> Division:
    per = max(int(state.mesh.cells / parts), _SMALLEST)
    return Division(per=per, direct=direct)


def _with_values(state: State, ahead: Ahead) -> float:
    """Return about the seconds ahead with values at vertices."""
    each = _PRODUCT * ahead.products + _NUMBER * ahead.units
    return len(state.mesh.places) * ahead.spread * each


def _with_basis(state: State, ahead: Ahead, parts: float) -> float:
    """Return about the seconds ahead with a basis in each of some parts."""
    functions = state.basis.size * ahead.growth
    # Values and how rounding adds up are products with every function each.
    each = 2 * (_PRODUCT * functions + _NUMBER) * ahead.units
    vertices = len(state.mesh.places) * ahead.spread
    return parts * _once(state, ahead) + vertices * each


def _once(state: State, ahead: Ahead) -> float:
    """Return about the seconds that coefficients of a basis take."""
    each = _PRODUCT * ahead.products + _NUMBER / 2 * ahead.units
    return state.basis.size * ahead.growth * each
