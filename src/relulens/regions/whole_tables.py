"""The coefficients of a network in whole numbers."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.regions.whole_maps import Row, WholeMap, least_shift, shifted

_KEPT = 3_000_000
"""Numbers of rows of maps that are kept."""


@dataclass(eq=False)
class WholeTables:
    """A network's coefficients, made when they are first asked for.

    All entries of a node are whole numbers over the same power of two.

    Attributes:
        region: The network, piecewise affine, in float64.
        shift: Power of two that the entries of the input are multiplied by.
    """

    region: Polyhedral
    shift: int
    _rows: dict[tuple[int, int, int], Row] = field(default_factory=dict)
    _orders: dict[int, list[int]] = field(default_factory=dict)
    _bias: dict[int, tuple[list[int], int]] = field(default_factory=dict)
    _slope: dict[int, tuple[list[int], list[int], int]] = field(default_factory=dict)
    _group: dict[int, list[list[int]]] = field(default_factory=dict)
    _map: dict[tuple[int, int], WholeMap] = field(default_factory=dict)
    _shift: dict[int, int] = field(default_factory=dict)
    _cost: dict[int, int] = field(default_factory=dict)
    _numbers: int = 0

    @cached_property
    def linear(self) -> frozenset[int]:
        """Nodes without a nonlinear one before them."""
        found: set[int] = set()
        for index, node in self.region.nodes.items():
            before = isinstance(node, Affine) and all(
                term.source in found for term in node.terms
            )
            if isinstance(node, Input) or before:
                found.add(index)
        return frozenset(found)

    @cached_property
    def size(self) -> int:
        """Number of entries of all nodes."""
        return sum(prod(node.shape) for node in self.region.nodes.values())

    def before(self, node: int) -> list[int]:
        """Return a node and all before it, the last one first."""
        if node not in self._orders:
            found = self.region.network.ancestors(node)
            self._orders[node] = sorted(found, reverse=True)
        return self._orders[node]

    def shift_of(self, index: int) -> int:
        """Return the power of two that the entries of a node are multiplied by."""
        if index not in self._shift:
            for place in reversed(self.before(index)):
                if place not in self._shift:
                    self._shift[place] = self._own_shift(place)
        return self._shift[index]

    def _own_shift(self, index: int) -> int:
        node, known = self.region.nodes[index], self._shift
        match node:
            case Input():
                return self.shift
            case Affine():
                own = self.biases(index, node)[1]
                for place, term in enumerate(node.terms):
                    whole = self.map(index, place, node)
                    own = max(own, whole.shift + known[term.source])
                return own
            case TwoSlope():
                return known[node.source] + self.slopes(index, node)[2]
            case Maximum():
                return known[node.source]

    def cost(self, index: int) -> int:
        """Return a bound on the products that one entry of a node takes."""
        if index not in self._cost:
            wanted, products = {index: 1}, 0
            for place in self.before(index):
                products += self._read(place, wanted)
            self._cost[index] = products
        return self._cost[index]

    def _read(self, index: int, wanted: dict[int, int]) -> int:
        """Add how many entries some of a node read, and return products for them."""
        node = self.region.nodes[index]
        units = min(wanted.pop(index, 0), prod(node.shape))
        if not units or isinstance(node, Input):
            return units
        if index in self.linear:
            return 3 * units
        if not isinstance(node, Affine):
            fan = 1
            if isinstance(node, Maximum):
                fan = int(node.groups.ragged.pointers.diff().max())
            wanted[node.source] = wanted.get(node.source, 0) + fan * units
            return fan * units
        products = 0
        for place, term in enumerate(node.terms):
            fan = self.map(index, place, node).fan
            wanted[term.source] = wanted.get(term.source, 0) + fan * units
            products += fan * units
        return products

    def map(self, index: int, place: int, node: Affine) -> WholeMap:
        """Return the map of a term of an affine node."""
        if (index, place) not in self._map:
            self._map[index, place] = WholeMap(node.terms[place].map)
        return self._map[index, place]

    def row(self, index: int, place: int, unit: int, node: Affine) -> Row:
        """Return a row of a map, over the power of two of the node's entries."""
        key = index, place, unit
        row = self._rows.get(key)
        if row is None:
            whole = self.map(index, place, node)
            source = node.terms[place].source
            up = self.shift_of(index) - self.shift_of(source) - whole.shift
            row = whole.row(unit, up)
            self._numbers += len(row[0])
            if self._numbers > _KEPT:
                self._rows.clear()
                self._numbers = len(row[0])
            self._rows[key] = row
        return row

    def biases(self, index: int, node: Affine) -> tuple[list[int], int]:
        """Return the bias of a node, empty for none, and its power of two."""
        if index not in self._bias:
            # Threads share the tables: nothing is in them before it is whole.
            found: tuple[list[int], int] = [], 0
            if node.bias is not None:
                values = _flat(node.bias, node.shape)
                shift = least_shift(values)
                found = shifted(values, shift), shift
            self._bias[index] = found
        return self._bias[index]

    def slopes(self, index: int, node: TwoSlope) -> tuple[list[int], list[int], int]:
        """Return slopes below and above zero, and their power of two."""
        if index not in self._slope:
            low = _flat(node.negative, node.shape)
            high = _flat(node.positive, node.shape)
            shift = max(least_shift(low), least_shift(high))
            self._slope[index] = shifted(low, shift), shifted(high, shift), shift
        return self._slope[index]

    def groups(self, index: int, node: Maximum) -> list[list[int]]:
        """Return the groups of a maximum."""
        if index not in self._group:
            ragged = node.groups.ragged
            members, ends = ragged.index.tolist(), ragged.pointers.tolist()
            self._group[index] = [members[a:b] for a, b in pairwise(ends)]
        return self._group[index]


def _flat(value: Tensor, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return value.double().cpu().expand(shape).flatten().numpy()
