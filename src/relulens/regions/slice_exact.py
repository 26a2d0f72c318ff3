"""Signs at vertices of a slice, decided in whole numbers without rounding."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import gcd
from threading import Lock
from time import perf_counter
from typing import Protocol

import numpy as np
from torch import Tensor

from relulens.graph.polyhedral import Polyhedral
from relulens.regions.exact import whole_numbers
from relulens.regions.exact_entries import ExactEntries, ExactPoint, TooLongError
from relulens.regions.slice_mesh import ABOVE, Origin
from relulens.regions.whole_tables import WholeTables

_POINTS = 64
"""Points whose entries are kept for the next question."""

_NUMBERS = 2_000_000
"""Entries of these at most."""

_PART = 0.1
"""Part of the time left that is a small one."""

_KEPT = 200_000
"""Entries asked for that are kept."""


class EndedError(Exception):
    """The walk is over, so what a stage has begun is not wanted any more."""


def _never() -> bool:
    return False


class Spanned(Protocol):
    """A plane, or what is given like one."""

    @property
    def origin(self) -> Tensor:
        """A point of input space."""

    @property
    def directions(self) -> Tensor:
        """Two directions [2, *input]."""


@dataclass(slots=True, eq=False, kw_only=True)
class Spent:
    """What exact decisions have taken.

    Attributes:
        seconds: Time that they may take in all.
        used: Time they have taken.
        decided: Signs decided.
        undecided: Signs left to their floats, as the time was used up.
        over: Tells whether the walk is over.
    """

    seconds: float
    used: float = 0.0
    decided: int = 0
    undecided: int = 0
    over: Callable[[], bool] = _never

    def check(self) -> None:
        """Stop what takes long if the walk is over.

        Raises:
            EndedError: It is.
        """
        if self.over():
            raise EndedError


@dataclass(slots=True, eq=False, kw_only=True)
class ExactSigns:
    """The exact places of vertices and signs of functions there.

    A vertex is a corner of the domain, or the point between two earlier vertices where
    a function, affine between them, is zero; so its place is a rational number.

    Attributes:
        region: The network, piecewise affine.
        plane: The plane.
        corners: The domain's corners [k, 2].
        spent: What exact decisions have taken so far, shared by all parts of a slice.
        above: Of the cells that these are a part of, whose vertices are the first;
            threads that cut other parts of them ask it, too.
    """

    region: Polyhedral
    plane: Spanned
    corners: np.ndarray
    spent: "Spent"
    above: "tuple[ExactSigns, Origin] | None" = None
    _entries: ExactEntries | None = None
    _places: dict[int, list[int]] = field(default_factory=dict)
    _points: dict[int, ExactPoint] = field(default_factory=dict)
    _asked: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def on(self, corners: np.ndarray) -> "ExactSigns":
        """Return the same for another domain [k, 2]; only the network is shared."""
        return ExactSigns(
            region=self.region,
            plane=self.plane,
            corners=corners,
            spent=self.spent,
            _entries=self._whole(),
        )

    def forget(self) -> None:
        """Forget places and values, which only further cuts need."""
        self.above = None
        self.renumbered()

    def renumbered(self) -> None:
        """Forget what is known by the numbers of vertices."""
        self._places.clear()
        self._points.clear()
        self._asked.clear()

    def value(
        self, vertex: int, node: int, unit: int, other: int, origin: Origin
    ) -> int:
        """Return a function's value at a vertex, times positive numbers.

        These are one for the vertex and one for the node, so that values at a vertex
        may be compared, and values along an edge mixed.

        Args:
            vertex: The vertex.
            node: Node of which the function is an entry.
            unit: Flat position of the entry.
            other: That of an entry that is subtracted; -1 for none.
            origin: How the vertices were made.

        Raises:
            TooLongError: There is no time for it.
        """
        key = vertex, node, unit, other
        found = self._asked.get(key)
        if found is None:
            found = self._value(vertex, node, unit, other, origin)
            if len(self._asked) > _KEPT:
                self._asked.clear()
            self._asked[key] = found
        return found

    def sign(
        self, vertex: int, node: int, unit: int, other: int, origin: Origin
    ) -> int | None:
        """Return the sign of a function at a vertex, or nothing if time is used up."""
        try:
            value = self.value(vertex, node, unit, other, origin)
        except TooLongError:
            self.spent.undecided += 1
            return None
        self.spent.decided += 1
        return (value > 0) - (value < 0)

    def affordable(self, node: int, count: int) -> bool:
        """Tell whether some entries of a node take a small part of the time left."""
        entries, left = self._whole(), self.spent.seconds - self.spent.used
        return count * entries.tables.cost(node) * entries.pace <= _PART * left

    def place(self, vertex: int, origin: Origin) -> list[int]:
        """Return a vertex as whole numbers (s w, t w, w).

        Raises:
            TooLongError: There is no time for it.
        """
        if vertex not in self._places:
            missing = self._missing(vertex, origin)
            made = [int(n) for n in origin.node[missing] if n >= 0]
            entries = self._whole()
            products = sum(2 * entries.tables.cost(node) for node in made)
            if products * entries.pace > self.spent.seconds - self.spent.used:
                raise TooLongError
            for earlier in missing:
                self._places[earlier] = self._made(earlier, origin)
        return self._places[vertex]

    def _missing(self, vertex: int, origin: Origin) -> list[int]:
        """Return the vertices whose places are to be found for one, in order."""
        found: dict[int, None] = {}
        open_ = [vertex]
        while open_:
            last = open_[-1]
            ends = () if origin.node[last] < 0 else _ends(origin, last)
            before = [v for v in ends if v not in self._places and v not in found]
            open_ += before
            if not before:
                found[open_.pop()] = None
        return list(found)

    def _made(self, vertex: int, origin: Origin) -> list[int]:
        """Return the place of a vertex that lies between others of known place."""
        node, unit = int(origin.node[vertex]), int(origin.unit[vertex])
        if node == ABOVE and self.above is not None:
            whole, before = self.above
            with whole._lock:
                return whole.place(unit, before)
        if node < 0:
            corner = [float(v) for v in self.corners[unit]]
            (s, t), shift = whole_numbers(corner)
            return [s, t, 1 << shift]
        u, v = _ends(origin, vertex)
        other = int(origin.other[vertex])
        one, two = (self._value(p, node, unit, other, origin) for p in (u, v))
        mixed = [
            abs(two) * x + abs(one) * y
            for x, y in zip(self._places[u], self._places[v], strict=True)
        ]
        common = gcd(*mixed)
        return [n // common for n in mixed]

    def _value(
        self, vertex: int, node: int, unit: int, other: int, origin: Origin
    ) -> int:
        """Return a value that is not among the ones kept.

        Raises:
            TooLongError: There is no time for it.
            EndedError: The walk is over.
        """
        self.spent.check()
        if self.spent.used >= self.spent.seconds:
            raise TooLongError
        entries = self._whole()
        point = self._points.get(vertex)
        if point is None:
            point = ExactPoint(place=self.place(vertex, origin))
            most = max(1, min(_POINTS, _NUMBERS // entries.tables.size))
            while len(self._points) >= most:
                del self._points[next(iter(self._points))]
            self._points[vertex] = point
        start = perf_counter()
        left = self.spent.seconds - self.spent.used
        value = entries.entry(point, node, unit, left)
        if other >= 0:
            value -= entries.entry(point, node, other, left)
        self.spent.used += perf_counter() - start
        return value

    def _whole(self) -> ExactEntries:
        """Return the network and the plane in whole numbers, made once."""
        if self._entries is None:
            if self.above is not None:
                with self.above[0]._lock:
                    self._entries = self.above[0]._whole()
                return self._entries
            rows = [*self.plane.directions, self.plane.origin]
            flat = [v for row in rows for v in row.flatten().tolist()]
            numbers, shift = whole_numbers(flat)
            size = len(numbers) // 3
            # A homogeneous point (s, t, w) stands for the input over w * 2**shift.
            axes = numbers[:size], numbers[size : 2 * size], numbers[2 * size :]
            tables = WholeTables(self.region, shift)
            self._entries = ExactEntries(tables=tables, axes=axes)
        return self._entries


def _ends(origin: Origin, vertex: int) -> tuple[int, int]:
    return int(origin.first[vertex]), int(origin.second[vertex])
