"""A plan for pushing all columns of a Jacobian through a network, packed together."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Input
from relulens.local.reach import coloured, conflicts, positions, reaches
from relulens.local.separation import separators

GROWTH = 1.25
"""Packing anew has to save this factor of columns behind it to be worth a stop."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Step:
    """One stretch of the way, between two nodes that everything passes through.

    Attributes:
        begin: Index of the node where directions are given.
        stop: Index of the node where they end.
        watch: Nodes on the way, ``stop`` included if asked, whose directions are shown.
        colour: Colour of every position of the input; no watched position depends on
            two positions of one colour.
        table: Old colour behind each position of ``begin`` (first axis) and new colour,
            -1 where none; nothing if the colours stay as they are.
        reach: Which positions of the input each position of ``stop`` depends on.
        shrink: Whether the directions at ``stop`` may be replaced by a triangle.
        shrunk: Whether they were, there or before, so that columns have no names.
    """

    begin: int
    stop: int
    watch: tuple[int, ...]
    colour: Int[Tensor, " input"]
    table: Int[Tensor, "begin colours"] | None
    reach: Bool[Tensor, "stop input"]
    shrink: bool = False
    shrunk: bool = False

    @property
    def colours(self) -> int:
        """Number of colours."""
        return int(self.colour.max()) + 1 if self.colour.numel() else 0


def plan(
    network: Network,
    start: int,
    end: int,
    watch: Collection[int],
    *,
    joint: Mapping[int, Collection[int]] = MappingProxyType({}),
    shrink: bool = False,
) -> tuple[Step, ...]:
    """Return how to push all columns from one node to another.

    Args:
        network: The network.
        start: Index of the node that is varied.
        end: Index of the node to end at.
        watch: Nodes between whose directions are asked for.
        joint: Maxima that read a watched node, where entries of one group are compared:
            their columns must not be mixed up either.
        shrink: Whether columns may be replaced by as many as a first affine part has
            rows, with the same inner products of rows; for norms and Gram matrices.

    Returns:
        Steps, each beginning where the one before stops; none if ``end`` does not
        depend on ``start``.
    """
    stops = _stops_between(network, start, end)
    if not stops:
        return ()
    shown = set(watch) | set(stops)
    readers = {i for several in joint.values() for i in several}
    tables = reaches(network, start, shown | readers)
    if tables is None or positions(network.nodes[start].shape) == 1:
        return _plain(network, start, stops, watch, tables, shrink)
    steps: list[Step] = []
    width = positions(network.nodes[start].shape)
    begin, last, pending = start, start - 1, _Stretch.empty(width)
    for stop in stops:
        new = [i for i in sorted(shown) if last < i <= stop]
        inside = [k for i in new for k in (i, *joint.get(i, ())) if k in tables]
        read = [tables[i] for i in inside]
        grown, last = pending.extended(read, stop), stop
        if pending.last >= 0 and grown.colours > GROWTH * pending.colours:
            steps.append(_step(tables, begin, pending, watch, steps))
            begin = pending.last
            grown = _Stretch.empty(width).extended(read, stop)
        pending = grown
    steps.append(_step(tables, begin, pending, watch, steps))
    return tuple(steps)


def _stops_between(network: Network, start: int, end: int) -> list[int]:
    """Return the nodes after ``start`` that everything from it to ``end`` passes."""
    if start not in network.ancestors(end) or start == end:
        return []
    return [i for i in separators(network, end, start=start) if i > start]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Stretch:
    """A step in the making: which input positions must not share a colour."""

    last: int
    conflict: Tensor
    colour: Tensor

    @classmethod
    def empty(cls, width: int) -> "_Stretch":
        """Return the stretch without nodes."""
        none = torch.zeros((width, width), dtype=torch.bool)
        return cls(last=-1, conflict=none, colour=torch.zeros(width, dtype=torch.int64))

    @property
    def colours(self) -> int:
        """Number of colours."""
        return int(self.colour.max()) + 1

    def extended(self, tables: Sequence[Tensor], stop: int) -> "_Stretch":
        """Return the stretch with the reach of more nodes."""
        if self.colours == len(self.colour):
            return _Stretch(last=stop, conflict=self.conflict, colour=self.colour)
        conflict = self.conflict
        for place, table in enumerate(tables):
            # Reach repeats from node to node.
            if place == 0 or not _same(table, tables[place - 1]):
                conflict = conflict | conflicts(table)
        if _same(conflict, self.conflict) and self.last >= 0:
            return _Stretch(last=stop, conflict=conflict, colour=self.colour)
        return _Stretch(last=stop, conflict=conflict, colour=coloured(conflict))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one == other).all())


def _step(
    tables: dict[int, Tensor],
    begin: int,
    stretch: _Stretch,
    watch: Collection[int],
    before: list[Step],
) -> Step:
    if before:
        old, reach = before[-1].colour, before[-1].reach
    else:
        width = stretch.colour.numel()
        old = torch.zeros(width, dtype=torch.int64)
        reach = torch.eye(width, dtype=torch.bool)
    return Step(
        begin=begin,
        stop=stretch.last,
        watch=_shown(watch, begin, stretch.last, first=not before),
        colour=stretch.colour,
        table=_regrouping(reach, old, stretch.colour),
        reach=tables[stretch.last],
    )


def _shown(
    watch: Collection[int], begin: int, stop: int, *, first: bool
) -> tuple[int, ...]:
    """Return the watched nodes of a step; its beginning only if nothing is before."""
    return tuple(i for i in sorted(watch) if begin - first < i <= stop)


def _regrouping(reach: Tensor, old: Tensor, new: Tensor) -> Tensor:
    count = int(new.max()) + 1
    table = torch.full((reach.shape[0], count), -1, dtype=torch.int64)
    place, column = reach.nonzero(as_tuple=True)
    table[place, new[column]] = old[column]
    return table


def _plain(
    network: Network,
    start: int,
    stops: list[int],
    watch: Collection[int],
    tables: dict[int, Tensor] | None,
    shrink: bool,
) -> tuple[Step, ...]:
    """Return one step with every column by itself, or two if the first is narrow."""
    width = positions(network.nodes[start].shape)
    own = torch.arange(width)
    first = _narrow_first(network, start, stops) if shrink else None
    cuts = [stops[-1]] if first is None else [first, stops[-1]]
    steps: list[Step] = []
    begin = start
    for stop in dict.fromkeys(cuts):
        reach = torch.ones(
            (positions(network.nodes[stop].shape), width), dtype=torch.bool
        )
        table = _regrouping(torch.eye(width, dtype=torch.bool), own * 0, own)
        steps.append(
            Step(
                begin=begin,
                stop=stop,
                watch=_shown(watch, begin, stop, first=not steps),
                colour=own,
                table=None if steps else table,
                reach=reach if tables is None else tables[stop],
                shrink=stop == first,
                shrunk=first is not None and stop >= first,
            )
        )
        begin = stop
    return tuple(steps)


def _narrow_first(network: Network, start: int, stops: list[int]) -> int | None:
    """Return the last stop before any nonlinear node, if it is narrower than the input.

    What is varied there is the same for all inputs.
    """
    width = math.prod(network.nodes[start].shape)
    best: int | None = None
    for stop in stops:
        between = [i for i in network.ancestors(stop) if i > start]
        if not all(isinstance(network.nodes[i], Affine | Input) for i in between):
            break
        if math.prod(network.nodes[stop].shape) < width:
            best = stop
    return best
