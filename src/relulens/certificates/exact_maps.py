"""A small network's units as affine maps in whole numbers, for any choice of pieces."""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from relulens.certificates.reading import affine_between, leaves_of
from relulens.certificates.rounding import Array
from relulens.certificates.statement import Limits
from relulens.certificates.target import Target
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Maximum, TwoSlope

Whole: TypeAlias = NDArray[np.object_]
Codes: TypeAlias = tuple[int, ...]
Meaning: TypeAlias = Literal["strict", "below", "equal"]


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Whole numbers times a power of two: ``numbers / 2**shift``."""

    numbers: Whole
    shift: int

    def at(self, shift: int) -> Whole:
        """Return the whole numbers at a larger shift."""
        return self.numbers * (1 << (shift - self.shift))


def scaled(values: Array) -> Scaled:
    """Return floats as whole numbers with a common power of two, none rounded."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    parts = [value.as_integer_ratio() for value in flat.tolist()]
    shift = max((below.bit_length() - 1 for _, below in parts), default=0)
    numbers = np.empty(flat.size, dtype=object)
    for place, (above, below) in enumerate(parts):
        numbers[place] = above << (shift - below.bit_length() + 1)
    return Scaled(numbers.reshape(np.shape(values)), shift)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A condition ``row (x, 1) < 0``, ``<= 0`` or ``= 0`` in whole numbers.

    Strict ones bound an open region, and every point belongs to one whose are strict.
    """

    numbers: tuple[int, ...]
    meaning: Meaning


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Block:
    """The units of one nonlinear node.

    Attributes:
        node: Its index.
        source: Index of its argument.
        start: Number of units before.
        groups: Entries of every unit's group; one each for two slopes.
        slopes: Slopes below and above zero, for two slopes.
    """

    node: int
    source: int
    start: int
    groups: tuple[tuple[int, ...], ...]
    slopes: tuple[Scaled, Scaled] | None

    @property
    def stop(self) -> int:
        return self.start + len(self.groups)


@dataclass(slots=True, eq=False, kw_only=True)
class ExactMaps:
    """Every unit's argument as an exact affine map of the variable.

    Attributes:
        network: The network, float64.
        target: The layer.
        leaves: Nodes whose values are the variable, concatenated.
        nodes: Nodes between these and the features, in order.
        blocks: Nonlinear nodes among them.
        size: Coordinates of the variable.
    """

    network: Network
    target: Target
    leaves: tuple[int, ...]
    nodes: tuple[int, ...]
    blocks: tuple[_Block, ...]
    size: int
    _matrices: dict[tuple[int, int], tuple[csr_array, Scaled]] = field(
        default_factory=dict
    )
    _known: dict[Codes, dict[int, Scaled]] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Number of units."""
        return self.blocks[-1].stop if self.blocks else 0

    def choices(self, unit: int) -> int:
        """Return how many codes a unit has."""
        block = self._block(unit)
        return 2 if block.slopes else len(block.groups[unit - block.start])

    def _block(self, unit: int) -> _Block:
        return next(b for b in self.blocks if b.start <= unit < b.stop)

    def values(self, codes: Codes) -> dict[int, Scaled]:
        """Return all nodes' maps that the codes given settle."""
        done = sum(block.stop <= len(codes) for block in self.blocks)
        key = codes[: self.blocks[done - 1].stop] if done else ()
        if key in self._known:
            return self._known[key]
        values = dict(self.values(codes[: self.blocks[done - 1].start])) if done else {}
        if not done:
            values = self._start()
        else:
            block = self.blocks[done - 1]
            chosen = codes[block.start : block.stop]
            values[block.node] = _applied(block, chosen, values[block.source])
        last = self.blocks[done].node if done < len(self.blocks) else self.nodes[-1] + 1
        for index in self.nodes:
            if index < last and index not in values:
                node = self.network.nodes[index]
                if isinstance(node, Affine):
                    values[index] = self._affine(index, node, values)
        if len(self._known) > 4000:
            self._known.clear()
        self._known[key] = values
        return values

    def _start(self) -> dict[int, Scaled]:
        values: dict[int, Scaled] = {}
        used = 0
        for index in self.leaves:
            count = int(np.prod(self.network.nodes[index].shape))
            table = np.zeros((count, self.size + 1), dtype=object)
            table[np.arange(count), used + np.arange(count)] = 1
            values[index] = Scaled(table, 0)
            used += count
        return values

    def _affine(self, index: int, node: Affine, values: dict[int, Scaled]) -> Scaled:
        size = int(np.prod(node.shape))
        parts = [Scaled(np.zeros((size, self.size + 1), dtype=object), 0)]
        if node.bias is not None:
            bias = node.bias.expand(node.shape).reshape(-1).double().numpy()
            held = scaled(bias)
            table = np.zeros((size, self.size + 1), dtype=object)
            table[:, -1] = held.numbers
            parts.append(Scaled(table, held.shift))
        for place, term in enumerate(node.terms):
            key = (index, place)
            if key not in self._matrices:
                matrix = csr_array(term.map.to_sparse())
                self._matrices[key] = matrix, scaled(matrix.data)
            matrix, data = self._matrices[key]
            source = values[term.source]
            table = np.zeros((size, self.size + 1), dtype=object)
            for row in range(size):
                span = slice(matrix.indptr[row], matrix.indptr[row + 1])
                if span.stop > span.start:
                    read = source.numbers[matrix.indices[span]]
                    table[row] = data.numbers[span] @ read
            parts.append(Scaled(table, data.shift + source.shift))
        shift = max(part.shift for part in parts)
        total = parts[0].at(shift)
        for part in parts[1:]:
            total = total + part.at(shift)
        return Scaled(total, shift)

    def features(self, point: Array) -> tuple[Codes, list[Fraction]]:
        """Return the codes at a point and the features there, both exact."""
        codes: Codes = ()
        for block in self.blocks:
            table = self.values(codes)[block.source]
            value = _at(table, point)
            codes += tuple(_code(block, group, value) for group in block.groups)
        held = self.values(codes)[self.target.feature]
        return codes, _at(held, point)

    def rows(self, codes: Codes, features: list[Fraction]) -> list[Row]:
        """Return what the codes given and the features say, in a fixed order."""
        result: list[Row] = []
        for block in self.blocks:
            if block.start >= len(codes):
                break
            table = self.values(codes[: block.start])[block.source]
            own = block.node == self.target.feature
            for unit, code in enumerate(codes[block.start : block.stop]):
                wanted = features[unit] if own else None
                result += _unit_rows(block, unit, code, table, wanted)
        if len(codes) == self.units and not self._own():
            held = self.values(codes)[self.target.feature]
            for row, value in zip(held.numbers, features, strict=True):
                result.append(_equation(row, held.shift, value))
        return result

    def _own(self) -> bool:
        return any(block.node == self.target.feature for block in self.blocks)


def exact_maps(network: Network, target: Target, *, whole: bool) -> ExactMaps:
    """Return the exact maps of a layer's own units, or of all before it as well.

    Args:
        network: The network, float64, of affine, two-slope and maximum nodes here.
        target: The layer.
        whole: Whether the variable is the input, else what the layer reads.
    """
    leaves, between = affine_between(network, target.argument)
    if whole:
        leaves, between = (0,), sorted(network.ancestors(target.feature))
    else:
        leaves = leaves_of(network, target.argument)
        after = range(target.argument + 1, target.feature + 1)
        needed = network.ancestors(target.feature)
        between = [*between, *(i for i in after if i in needed and i not in leaves)]
    nodes = tuple(i for i in between if i not in leaves)
    blocks: list[_Block] = []
    for index in nodes:
        node = network.nodes[index]
        start = blocks[-1].stop if blocks else 0
        if isinstance(node, TwoSlope):
            size = int(np.prod(node.shape))
            pair = (_spread(node.negative, node), _spread(node.positive, node))
            groups = tuple((i,) for i in range(size))
            blocks.append(
                _Block(
                    node=index, source=node.source, start=start, groups=groups,
                    slopes=pair,
                )
            )  # fmt: skip
        elif isinstance(node, Maximum):
            ragged = node.groups.ragged
            ends = ragged.pointers.tolist()
            entries = ragged.index.tolist()
            groups = tuple(tuple(entries[a:b]) for a, b in pairwise(ends))
            blocks.append(
                _Block(
                    node=index, source=node.source, start=start, groups=groups,
                    slopes=None,
                )
            )  # fmt: skip
    size = sum(int(np.prod(network.nodes[i].shape)) for i in leaves)
    return ExactMaps(
        network=network,
        target=target,
        leaves=leaves,
        nodes=nodes,
        blocks=tuple(blocks),
        size=size,
    )


def _spread(slope: Tensor, node: TwoSlope) -> Scaled:
    return scaled(slope.double().expand(node.shape).reshape(-1).numpy())


def _at(table: Scaled, point: Array) -> list[Fraction]:
    held = scaled(np.append(point, 1.0))
    values = table.numbers @ held.numbers
    return [Fraction(int(v), 1 << (table.shift + held.shift)) for v in values]


def _code(block: _Block, group: tuple[int, ...], value: list[Fraction]) -> int:
    if block.slopes:
        return int(value[group[0]] > 0)
    best = max(value[i] for i in group)
    return next(place for place, i in enumerate(group) if value[i] == best)


def _applied(block: _Block, codes: Codes, table: Scaled) -> Scaled:
    if not block.slopes:
        taken = [g[c] for g, c in zip(block.groups, codes, strict=True)]
        return Scaled(table.numbers[taken], table.shift)
    low, high = block.slopes
    shift = max(low.shift, high.shift)
    slope = np.where(np.array(codes) == 1, high.at(shift), low.at(shift))
    return Scaled(table.numbers * slope[:, None], table.shift + shift)


def _unit_rows(
    block: _Block, unit: int, code: int, table: Scaled, wanted: Fraction | None
) -> list[Row]:
    group = block.groups[unit]
    if block.slopes:
        row = table.numbers[group[0]]
        result = [_side(-row if code else row, first=bool(code))]
        pair = block.slopes[code]
        slope = Fraction(int(pair.numbers[unit]), 1 << pair.shift)
        value = row * slope.numerator
        shift = table.shift + slope.denominator.bit_length() - 1
    else:
        row = value = table.numbers[group[code]]
        shift = table.shift
        result = [
            _side(table.numbers[other] - row, first=place < code)
            for place, other in enumerate(group)
            if place != code
        ]
    if wanted is not None:
        result.append(_equation(value, shift, wanted))
    return result


def _side(row: Whole, *, first: bool) -> Row:
    """Return one side of a unit; where it is constant the first code that ties wins."""
    numbers = tuple(map(int, row))
    strict = first or any(numbers[:-1])
    return Row(numbers, "strict" if strict else "below")


def _equation(row: Whole, shift: int, value: Fraction) -> Row:
    numbers = [int(v) * value.denominator for v in row]
    numbers[-1] -= value.numerator << shift
    return Row(tuple(numbers), "equal")


def limit_rows(limits: Limits | None, size: int) -> list[Row]:
    """Return what the variable is known to satisfy."""
    if limits is None:
        return []
    eye = np.eye(size)
    if limits.low is not None and limits.high is not None:
        table = np.concatenate([eye, -eye])
        right = np.concatenate([limits.high.numpy(), -limits.low.numpy()])
    elif limits.rows is not None and limits.bounds is not None:
        table, right = limits.rows.numpy(), limits.bounds.numpy()
    else:
        return []
    kept = np.isfinite(right)
    held = np.column_stack([table[kept], -right[kept]])
    return [Row(tuple(map(int, scaled(row).numbers)), "below") for row in held]
