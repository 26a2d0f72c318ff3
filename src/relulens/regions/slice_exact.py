"""Signs at vertices of a slice, decided in whole numbers without rounding."""

from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter

import numpy as np

from relulens.graph.nodes import Affine
from relulens.graph.polyhedral import Polyhedral
from relulens.regions.exact import ExactValues, Whole, between, whole_numbers
from relulens.regions.plane import Plane
from relulens.regions.slice_mesh import ABOVE, Origin

_ENTRIES = 20_000_000
"""Products of one exact evaluation past which a sign is left undecided."""


@dataclass(slots=True, eq=False, kw_only=True)
class Spent:
    """What exact decisions have taken.

    Attributes:
        seconds: Time that they may take in all.
        used: Time they have taken.
        decided: Signs decided.
        undecided: Signs left to their floats, as the time was used up.
    """

    seconds: float
    used: float = 0.0
    decided: int = 0
    undecided: int = 0


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
    plane: Plane
    corners: np.ndarray
    spent: "Spent"
    above: "tuple[ExactSigns, Origin] | None" = None
    _values: ExactValues | None = None
    _affordable: bool | None = None
    _places: dict[int, list[int]] = field(default_factory=dict)
    _known: dict[tuple[int, int], Whole] = field(default_factory=dict)
    _axes: tuple[list[int], list[int], list[int]] | None = None
    _shift: int = 0
    _lock: Lock = field(default_factory=Lock)

    def forget(self) -> None:
        """Forget places and values, which only further cuts need."""
        self.above = None
        self.renumbered()

    def renumbered(self) -> None:
        """Forget what is known by the numbers of vertices."""
        self._places.clear()
        self._known.clear()

    def place(self, vertex: int, origin: Origin) -> list[int]:
        """Return a vertex as whole numbers (s w, t w, w)."""
        known = self._places.get(vertex)
        if known is not None:
            return known
        node = int(origin.node[vertex])
        if node == ABOVE and self.above is not None:
            with self.above[0]._lock:
                made = self.above[0].place(int(origin.unit[vertex]), self.above[1])
        elif node < 0:
            corner = self.corners[int(origin.unit[vertex])]
            (s, t), shift = whole_numbers([float(v) for v in corner])
            made = [s, t, 1 << shift]
        else:
            ends = (int(origin.first[vertex]), int(origin.second[vertex]))
            unit, other = int(origin.unit[vertex]), int(origin.other[vertex])
            made = self.crossing(ends, node, unit, other, origin)
        self._places[vertex] = made
        return made

    def crossing(
        self, ends: tuple[int, int], node: int, unit: int, other: int, origin: Origin
    ) -> list[int]:
        """Return the point between two vertices where a function is zero."""
        u, w = (self.place(v, origin) for v in ends)
        zu, zw = (
            self._value(p, v, node, unit, other)
            for p, v in zip((u, w), ends, strict=True)
        )
        # Values at homogeneous points are multiplied by the last number of the point.
        return between(u, w, zu, zw)

    def sign(
        self, vertex: int, node: int, unit: int, other: int, origin: Origin
    ) -> int | None:
        """Return the sign of a function at a vertex, or nothing if time is used up."""
        if not self._ready():
            return None
        start = perf_counter()
        place = self.place(vertex, origin)
        value = self._value(place, vertex, node, unit, other)[0][0]
        self.spent.used += perf_counter() - start
        self.spent.decided += 1
        return (value > 0) - (value < 0)

    def sign_at(self, place: list[int], node: int, unit: int, other: int) -> int | None:
        """Return the sign of a function at an exact point."""
        if not self._ready():
            return None
        start = perf_counter()
        value = self._value(place, None, node, unit, other)[0][0]
        self.spent.used += perf_counter() - start
        self.spent.decided += 1
        return (value > 0) - (value < 0)

    def _ready(self) -> bool:
        if self.ready():
            return True
        self.spent.undecided += 1
        return False

    def ready(self) -> bool:
        """Tell whether there is time for exact decisions."""
        if self.spent.used >= self.spent.seconds:
            return False
        if self._affordable is None:
            if self.above is not None:
                self._affordable = self.above[0].ready()
            else:
                work = sum(
                    term.map.entries()
                    for node in self.region.nodes.values()
                    if isinstance(node, Affine)
                    for term in node.terms
                )
                self._affordable = work <= _ENTRIES
        return self._affordable

    def _whole(self) -> tuple[ExactValues, tuple[list[int], list[int], list[int]]]:
        """Return the network and the plane in whole numbers, made once."""
        if self._values is None or self._axes is None:
            if self.above is not None:
                with self.above[0]._lock:
                    self._values, self._axes = self.above[0]._whole()
                    self._shift = self.above[0]._shift
                return self._values, self._axes
            rows = [self.plane.origin, *self.plane.directions]
            flat = [v for row in rows for v in row.flatten().tolist()]
            numbers, self._shift = whole_numbers(flat)
            size = len(numbers) // 3
            # A homogeneous point (s, t, w) stands for the input over w * 2**shift.
            self._axes = numbers[:size], numbers[size : 2 * size], numbers[2 * size :]
            self._values = ExactValues(self.region)
        return self._values, self._axes

    def _value(
        self, place: list[int], vertex: int | None, node: int, unit: int, other: int
    ) -> Whole:
        known = None if vertex is None else self._known.get((vertex, node))
        if known is None:
            known = self._whole()[0].at(self._input(place), node)
            if vertex is not None:
                self._known[vertex, node] = known
        numbers, shift = known
        value = numbers[unit] - (numbers[other] if other >= 0 else 0)
        return [value], shift

    def _input(self, place: list[int]) -> list[int]:
        s, t, w = place
        start, first, second = self._whole()[1]
        point = [
            a * w + b * s + c * t for a, b, c in zip(start, first, second, strict=True)
        ]
        return [*point, w << self._shift]
