"""The walk over a network's nodes that cuts a slice, part by part."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event
from time import monotonic

import torch

from relulens.graph.network import last_uses
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.regions.plane import Plane
from relulens.regions.slice_basis import Combined
from relulens.regions.slice_chain import cut_at_once
from relulens.regions.slice_division import WHOLE, Ahead, Division, division
from relulens.regions.slice_exact import EndedError, Spent
from relulens.regions.slice_finished import Finished, Storage, finished
from relulens.regions.slice_maximum import maximum_stage
from relulens.regions.slice_parts import Divided, Seams
from relulens.regions.slice_stage import State, two_slope_stage
from relulens.regions.slice_workers import Outcome, by_threads, in_turn

_PACE = 64 << 20
"""Bytes of values that a stage may make for each second of a budget."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Reached:
    """What walking with some cells came to.

    Attributes:
        counts: Cells after each nonlinear node that was passed.
        spent: What exact decisions took.
        part: The cells, finished; nothing if they were divided before the end.
    """

    counts: dict[int, int] = field(default_factory=dict)
    spent: Spent
    part: Finished | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class Walk:
    """The nodes to cut by, in order, and when to stop.

    Attributes:
        region: The network up to the last node.
        plane: The plane.
        spent: What exact decisions took, in the parts that were given.
        seams: Numbers of edges between parts.
        storage: Where finished parts are kept.
        seconds: Time for the walk, or nothing.
        most: Cells to stop at, or nothing.
        threads: How many parts are cut at a time.
        finished: Cells of the parts that are finished.
        counts: Cells after each nonlinear node.
        stopped: Whether the budget ended the walk.
    """

    region: Polyhedral
    plane: Plane
    spent: Spent
    seams: Seams = field(default_factory=Seams)
    storage: Storage = field(default_factory=Storage)
    seconds: float | None = None
    most: int | None = None
    threads: int = 1
    finished: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    stopped: bool = False
    begun: float = field(default_factory=monotonic)
    _order: list[int] = field(default_factory=list)
    _free: dict[int, list[int]] = field(default_factory=dict)
    _ahead: dict[int, Ahead] = field(default_factory=dict)
    _halt: Event = field(default_factory=Event)

    def parts(self, state: State) -> Generator[Finished, None, None]:
        """Give the finished parts of a slice, one after another.

        Several threads cut several parts at a time; what is given is the same.
        """
        nonlinear = [index for index, _ in self.region.nonlinear()]
        last = max(nonlinear, default=-1)
        self._order = [index for index in self.region.nodes if index <= last]
        self.counts = dict.fromkeys(nonlinear, 0)
        if self._unbudgeted:
            part = cut_at_once(self.region, self.plane, state.mesh, self.counts)
            if part is not None:
                self.finished = part.cells
                yield part
                return
        nodes = self.region.network.nodes
        self._free = last_uses(nodes, frozenset(self.region.nodes))
        self.spent.over = self._over
        first = partial(self._walked, lambda: state, 0, 1.0)
        if self.threads == 1:
            found = in_turn(first)
        else:
            found = by_threads(first, self.threads, self._halt)
        with closing(found):
            for reached in found:
                if self._enough():
                    self.stopped = True
                    return
                if reached is None:
                    # Parts behind it may be finished all the same.
                    self.stopped = True
                    continue
                self._add(reached)
                if reached.part is not None:
                    yield reached.part

    @property
    def _unbudgeted(self) -> bool:
        return self.seconds is None and self.most is None

    def _add(self, reached: _Reached) -> None:
        """Count what was reached, in the order of the parts."""
        for index, cells in reached.counts.items():
            self.counts[index] += cells
        if reached.part is not None:
            self.finished += reached.part.cells
        if reached.spent is not self.spent:
            self.spent.used += reached.spent.used
            self.spent.decided += reached.spent.decided
            self.spent.undecided += reached.spent.undecided

    def _walked(
        self, begin: Callable[[], State], at: int, share: float
    ) -> Outcome[_Reached | None]:
        """Walk with some cells from a node on, to the end or until they are divided.

        Args:
            begin: Gives the cells.
            at: The node's place in the order.
            share: Which part of the slice they are, by cells where it was divided.
        """
        if self._over() or self._enough():
            return Outcome(found=None)
        try:
            with torch.no_grad():
                return self._from(begin(), at, share)
        except EndedError:
            return Outcome(found=None)

    def _from(self, state: State, at: int, share: float) -> Outcome[_Reached | None]:
        """Walk with a state from a node on.

        Raises:
            EndedError: The time is used up, or nothing more is wanted.
        """
        if self.threads > 1:
            left = max(self.spent.seconds - self.spent.used, 0.0)
            state.exact.spent = Spent(seconds=left, over=self._over)
        spent = state.exact.spent
        reached = _Reached(spent=spent)
        while at < len(self._order):
            spent.check()
            cuts = self._step(state, at, reached, last=at == len(self._order) - 1)
            if state.rest is None:
                at += 1
            if cuts and at < len(self._order):
                how = self._division(state, at, share)
                if how is not None:
                    parts = self._divided(state, how, at, share)
                    return Outcome(found=reached, parts=parts)
        reached.part = finished(state, self.storage)
        return Outcome(found=reached)

    def _divided(
        self, state: State, how: Division, at: int, share: float
    ) -> Iterator[Callable[[], Outcome[_Reached | None]]]:
        """Give what is left to do on a state's parts."""
        self.seams.mark(state.mesh, how.per)
        own = share * min(how.per / state.mesh.cells, 1.0)
        parts = Divided(state, how.per, direct=how.direct)
        return (
            partial(self._walked, partial(parts.part, start), at, own)
            for start in parts.starts
        )

    def _enough(self) -> bool:
        """Tell whether as many cells are finished as were asked for."""
        return self.most is not None and self.finished >= self.most

    def _over(self) -> bool:
        """Tell whether the time is used up, or nothing more is wanted."""
        late = self.seconds is not None and monotonic() - self.begun > self.seconds
        return late or self._halt.is_set()

    def _room(self) -> int:
        """Return how many bytes of values a stage may make."""
        if self.seconds is None:
            return WHOLE
        return min(int(self.seconds * _PACE), WHOLE)

    def _division(self, state: State, place: int, share: float) -> Division | None:
        """Return how the state is to be divided before a node, if at all."""
        if place not in self._ahead:
            ahead = Ahead.at(self.region.nodes, self._order, place)
            self._ahead[place] = ahead
        return division(
            state,
            self._ahead[place],
            share=share,
            seconds=self.seconds,
            ends=self.most is not None,
        )

    def _step(self, state: State, place: int, reached: _Reached, *, last: bool) -> bool:
        """Give one node its value, cutting the cells; tell whether it may have cut."""
        index = self._order[place]
        node = self.region.nodes[index]
        cuts = True
        match node:
            case Input():
                value, cuts = state.basis.on_plane(self.plane), False
            case Affine():
                value, cuts = state.basis.affine(node, state.values), False
            case TwoSlope():
                read = self._taken(state, node.source, index)
                room = self._room()
                value = two_slope_stage(state, index, node, read, last=last, room=room)
            case Maximum():
                read = self._taken(state, node.source, index)
                value = maximum_stage(state, index, node, read, room=self._room())
        if cuts and state.rest is None:
            reached.counts[index] = state.mesh.cells
        if value is not None:
            state.values[index] = value
        for spent in self._free.get(index, []):
            state.values.pop(spent, None)
        return cuts

    def _taken(self, state: State, source: int, index: int) -> Combined:
        """Return a value that a nonlinear node reads, out of the state if the last."""
        if state.rest is not None:
            return state.values.pop(index)
        if source in self._free.get(index, []):
            return state.values.pop(source)
        return replace(state.values[source])
