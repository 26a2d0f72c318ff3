"""The walk over a network's nodes that cuts a slice, part by part."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import monotonic

from relulens.graph.network import last_uses
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.regions.plane import Plane
from relulens.regions.slice_basis import Combined
from relulens.regions.slice_maximum import maximum_stage
from relulens.regions.slice_parts import Seams, parts_of
from relulens.regions.slice_stage import State, two_slope_stage

_WHOLE, _PART, _START = 192 << 20, 64 << 20, 16 << 20
"""Bytes of values at vertices past which cells are divided, and bytes of a part."""

_BUDGETED = 512
"""Cells of a part where a budget may end the walk."""


@dataclass(slots=True, eq=False, kw_only=True)
class Walk:
    """The nodes to cut by, in order, and when to stop.

    Attributes:
        region: The network up to the last node.
        plane: The plane.
        seams: Numbers of edges between parts.
        seconds: Time for the walk, or nothing.
        most: Cells to stop at, or nothing.
        finished: Cells of the parts that are finished.
        counts: Cells after each nonlinear node.
        stopped: Whether the budget ended the walk.
    """

    region: Polyhedral
    plane: Plane
    seams: Seams = field(default_factory=Seams)
    seconds: float | None = None
    most: int | None = None
    finished: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    stopped: bool = False
    begun: float = field(default_factory=monotonic)

    def states(self, state: State) -> Iterator[State]:
        """Give the finished parts of a slice, one after another."""
        nonlinear = [index for index, _ in self.region.nonlinear()]
        last = max(nonlinear, default=-1)
        order = [index for index in self.region.nodes if index <= last]
        self.counts = dict.fromkeys(nonlinear, 0)
        yield from self._from(state, order, 0)

    def _from(self, state: State, order: list[int], at: int) -> Iterator[State]:
        """Walk from a node on; divided cells are finished part by part."""
        for place in range(at, len(order)):
            if self._over():
                return
            last = place == len(order) - 1
            if self._step(state, order[place], last=last) and not last:
                per = self._per(state, order[place + 1 :])
                if per is not None:
                    for part in parts_of(state, per, self.seams):
                        yield from self._from(part, order, place + 1)
                    return
        self.finished += state.mesh.cells
        yield state

    def _over(self) -> bool:
        """Tell whether the budget is used up."""
        late = self.seconds is not None and monotonic() - self.begun > self.seconds
        if late or (self.most is not None and self.finished >= self.most):
            self.stopped = True
        return self.stopped

    def _per(self, state: State, after: list[int]) -> int | None:
        """Return into how many cells a part the state is to be divided, if at all."""
        widest = max(math.prod(self.region.nodes[index].shape) for index in after)
        vertices, cells = len(state.mesh.places), state.mesh.cells
        row = 8 * (widest + state.basis.size)
        limit = _PART if state.basis.direct else _WHOLE
        if cells > 64 and vertices * row > limit:
            return max(int(_START // row * cells / vertices), 32)
        if state.basis.size > 4 * widest:
            # More functions than entries: values at vertices are cheaper.
            return cells
        if (self.seconds or self.most) and cells > 2 * _BUDGETED:
            return _BUDGETED
        return None

    def _step(self, state: State, index: int, *, last: bool) -> bool:
        """Give one node its value, cutting the cells; tell whether it may have cut."""
        node = self.region.nodes[index]
        cuts = True
        match node:
            case Input():
                value, cuts = state.basis.on_plane(self.plane), False
            case Affine():
                value, cuts = state.basis.affine(node, state.values), False
            case TwoSlope():
                read = self._taken(state, node.source, index)
                value = two_slope_stage(state, index, node, read, last=last)
            case Maximum():
                read = self._taken(state, node.source, index)
                value = maximum_stage(state, index, node, read)
        if cuts:
            self.counts[index] += state.mesh.cells
        if value is not None:
            state.values[index] = value
        for spent in self._spent(index):
            state.values.pop(spent, None)
        return cuts

    def _taken(self, state: State, source: int, index: int) -> Combined:
        """Return a value that a nonlinear node reads, out of the state if the last."""
        if source in self._spent(index):
            return state.values.pop(source)
        return replace(state.values[source])

    def _spent(self, index: int) -> list[int]:
        """Return which values nothing reads after a node."""
        if not self._free:
            nodes = self.region.network.nodes
            self._free.update(last_uses(nodes, frozenset(self.region.nodes)))
        return self._free.get(index, [])

    _free: dict[int, list[int]] = field(default_factory=dict)
