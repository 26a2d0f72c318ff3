"""Single entries of a network's nodes on a plane, without rounding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import mul
from time import perf_counter
from typing import assert_never

from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.regions.whole_tables import WholeTables

_PRODUCT = 3e-7
"""Seconds that a product is taken to last before many were made."""

_MANY = 100_000


class TooLongError(Exception):
    """An exact value would take longer than there is time for."""


@dataclass(slots=True, eq=False, kw_only=True)
class ExactPoint:
    """A homogeneous point of the plane and what is known there.

    Attributes:
        place: Whole numbers (s w, t w, w).
        known: Entries found so far, by node and flat position.
        base: Whether all others are combinations of this one and two more.
    """

    place: Sequence[int]
    known: dict[int, dict[int, int]] = field(default_factory=dict)
    base: bool = False


def _bases() -> list[ExactPoint]:
    places = ([1, 0, 0], [0, 1, 0], [0, 0, 1])
    return [ExactPoint(place=place, base=True) for place in places]


@dataclass(slots=True, eq=False, kw_only=True)
class ExactEntries:
    """A network on a plane in whole numbers, entry by entry.

    Only what an entry is made of is evaluated: the window of a convolution, the group
    of a maximum. Entries of nodes before any nonlinear one are affine on the whole
    plane, so three coefficients say all about them.

    Attributes:
        tables: The network's coefficients.
        axes: Directions and origin of the plane as whole numbers, multiplied by the
            power of two of ``tables``.
        products: Products made so far.
        seconds: Time that they took.
    """

    tables: WholeTables
    axes: tuple[list[int], list[int], list[int]]
    products: int = 0
    seconds: float = 0.0
    _coefficients: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    _bases: list[ExactPoint] = field(default_factory=_bases)

    def entry(
        self, point: ExactPoint, node: int, unit: int, seconds: float = float("inf")
    ) -> int:
        """Return an entry of a node, a whole number.

        It is the true value times the point's last number and ``2**shift_of(node)``.

        Args:
            point: The point.
            node: Index of the node.
            unit: Flat position of the entry.
            seconds: Time that it may take.

        Raises:
            TooLongError: It would take longer, as products took so far.
        """
        if node in self.tables.linear and not point.base:
            return self._affine_on_plane(point, node, unit)
        known = point.known.get(node)
        if known is not None and unit in known:
            return known[unit]
        start = perf_counter()
        missing, products = self._missing(point, node, unit, seconds / self.pace)
        for index, units in reversed(missing):
            self._fill(point, index, units)
        self.products += products
        self.seconds += perf_counter() - start
        return point.known[node][unit]

    @property
    def pace(self) -> float:
        """Seconds that a product takes, as products took so far."""
        return self.seconds / self.products if self.products > _MANY else _PRODUCT

    def _missing(
        self, point: ExactPoint, node: int, unit: int, most: float
    ) -> tuple[list[tuple[int, set[int]]], int]:
        """Return the entries to be found, the last node first, and their products.

        Raises:
            TooLongError: There are more products than allowed.
        """
        wanted: dict[int, set[int]] = {node: {unit}}
        found: list[tuple[int, set[int]]] = []
        products = 0
        for index in self.tables.before(node):
            units = wanted.pop(index, set())
            units = units.difference(point.known.get(index, ()))
            if not units:
                continue
            found.append((index, units))
            if index in self.tables.linear and not point.base:
                products += 3 * len(units)
            else:
                products += self._read(index, units, wanted)
            if products > most:
                raise TooLongError
        return found, products

    def _read(self, index: int, units: set[int], wanted: dict[int, set[int]]) -> int:
        """Add what entries of a node read, and return how many products that makes."""
        tables, node = self.tables, self.tables.region.nodes[index]
        match node:
            case Input():
                return 0
            case Affine():
                products = 0
                for place, term in enumerate(node.terms):
                    read = wanted.setdefault(term.source, set())
                    for j in units:
                        columns = tables.row(index, place, j, node)[1]
                        products += len(columns)
                        read.update(columns)
                return products
            case TwoSlope():
                wanted.setdefault(node.source, set()).update(units)
            case Maximum():
                groups = tables.groups(index, node)
                read = wanted.setdefault(node.source, set())
                read.update(*(groups[j] for j in units))
            case _:
                assert_never(node)
        return len(units)

    def _fill(self, point: ExactPoint, index: int, units: set[int]) -> None:
        """Find entries of a node whose arguments are known."""
        node = self.tables.region.nodes[index]
        known = point.known.setdefault(index, {})
        if index in self.tables.linear and not point.base:
            known.update((j, self._affine_on_plane(point, index, j)) for j in units)
            return
        match node:
            case Input():
                known.update((j, self._input(point, j)) for j in units)
            case Affine():
                self._fill_affine(point, index, node, units)
            case TwoSlope():
                low, high, _ = self.tables.slopes(index, node)
                read = point.known[node.source]
                known.update((j, _bent(read[j], low[j], high[j])) for j in units)
            case Maximum():
                read = point.known[node.source]
                groups = self.tables.groups(index, node)
                known.update((j, max(map(read.__getitem__, groups[j]))) for j in units)
            case _:
                assert_never(node)

    def _input(self, point: ExactPoint, unit: int) -> int:
        return sum(
            axis[unit] * c for axis, c in zip(self.axes, point.place, strict=True)
        )

    def _fill_affine(
        self, point: ExactPoint, index: int, node: Affine, units: set[int]
    ) -> None:
        known, tables = point.known[index], self.tables
        bias, shift = tables.biases(index, node)
        up, w = tables.shift_of(index) - shift, point.place[2]
        reads = [point.known.get(term.source, {}) for term in node.terms]
        for j in units:
            total = (bias[j] * w) << up if bias else 0
            for place, read in enumerate(reads):
                numbers, columns = tables.row(index, place, j, node)
                total += sum(map(mul, numbers, map(read.__getitem__, columns)))
            known[j] = total

    def _affine_on_plane(self, point: ExactPoint, node: int, unit: int) -> int:
        """Return an entry that is affine on the whole plane."""
        found = self._coefficients.get((node, unit))
        if found is None:
            found = [self.entry(base, node, unit) for base in self._bases]
            self._coefficients[node, unit] = found
        return sum(map(mul, found, point.place))


def _bent(z: int, low: int, high: int) -> int:
    return z * (high if z > 0 else low)
