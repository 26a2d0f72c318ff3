"""Values of a network at rational points, in whole numbers without rounding."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral

Whole: TypeAlias = tuple[list[int], int]
"""Numbers ``n * 2**-s`` as the list of n and s."""

Rows: TypeAlias = list[tuple[list[int], list[int]]]


def whole_numbers(values: Sequence[float]) -> Whole:
    """Return floats as whole numbers over one power of two."""
    ratios = [float(value).as_integer_ratio() for value in values]
    shift = max((d.bit_length() - 1 for _, d in ratios), default=0)
    return [n << (shift - d.bit_length() + 1) for n, d in ratios], shift


def _added(one: Whole, other: Whole) -> Whole:
    (a, s), (b, r) = one, other
    shift = max(s, r)
    left, right = shift - s, shift - r
    return [(x << left) + (y << right) for x, y in zip(a, b, strict=True)], shift


@dataclass(frozen=True, slots=True, eq=False)
class ExactValues:
    """The network's arguments at homogeneous points ``(x t, t)`` of whole numbers.

    Biases count ``t`` times, so that points at infinity (``t = 0``) have values, too.

    Attributes:
        region: The network, piecewise affine, in float64.
    """

    region: Polyhedral
    _maps: dict[tuple[int, int], tuple[Rows, int]] = field(default_factory=dict)
    _slopes: dict[int, tuple[Whole, Whole]] = field(default_factory=dict)
    _biases: dict[int, Whole] = field(default_factory=dict)

    def at(self, point: Sequence[int], wanted: int) -> Whole:
        """Return a node's value at a point.

        Args:
            point: Whole numbers [inputs + 1], the last one ``t``.
            wanted: Index of the node.
        """
        values: dict[int, Whole] = {}
        needed = self.region.network.ancestors(wanted)
        for index in sorted(needed):
            node = self.region.nodes[index]
            match node:
                case Input():
                    values[index] = (list(point[:-1]), 0)
                case Affine():
                    values[index] = self._affine(index, node, values, point[-1])
                case TwoSlope():
                    values[index] = self._two_slope(index, node, values[node.source])
                case Maximum():
                    values[index] = _maximum(node, values[node.source])
                case _:
                    assert_never(node)
        return values[wanted]

    def _affine(
        self, index: int, node: Affine, values: Mapping[int, Whole], t: int
    ) -> Whole:
        total: Whole = ([0] * math.prod(node.shape), 0)
        if node.bias is not None:
            if index not in self._biases:
                self._biases[index] = _numbers(node.bias, node.shape)
            bias, shift = self._biases[index]
            total = ([n * t for n in bias], shift)
        for place, term in enumerate(node.terms):
            if (index, place) not in self._maps:
                self._maps[index, place] = _rows(term.map.to_sparse())
            rows, shift = self._maps[index, place]
            read, own = values[term.source]
            part = [
                sum(n * read[j] for n, j in zip(numbers, columns, strict=True))
                for numbers, columns in rows
            ]
            total = _added(total, (part, shift + own))
        return total

    def _two_slope(self, index: int, node: TwoSlope, z: Whole) -> Whole:
        if index not in self._slopes:
            self._slopes[index] = (
                _numbers(node.negative, node.shape),
                _numbers(node.positive, node.shape),
            )
        (low, s), (high, r) = self._slopes[index]
        shift = max(s, r)
        numbers = [
            n * ((up << (shift - r)) if n > 0 else (down << (shift - s)))
            for n, down, up in zip(z[0], low, high, strict=True)
        ]
        return numbers, z[1] + shift


def _maximum(node: Maximum, z: Whole) -> Whole:
    index = node.groups.ragged.index.tolist()
    ends = node.groups.ragged.pointers.tolist()
    groups = [index[a:b] for a, b in pairwise(ends)]
    return [max(z[0][j] for j in group) for group in groups], z[1]


def _numbers(value: Tensor, shape: tuple[int, ...]) -> Whole:
    flat = value.double().expand(shape).flatten().tolist()
    return whole_numbers(flat)


def _rows(matrix: csr_array) -> tuple[Rows, int]:
    data: NDArray[np.float64] = matrix.data
    numbers, shift = whole_numbers(data.tolist())
    columns, starts = matrix.indices.tolist(), matrix.indptr.tolist()
    rows = [(numbers[a:b], columns[a:b]) for a, b in pairwise(starts)]
    return rows, shift


def between(u: Sequence[int], w: Sequence[int], zu: Whole, zw: Whole) -> list[int]:
    """Return the point between two where a function of opposite signs is zero.

    Args:
        u: A homogeneous point of whole numbers.
        w: Another one.
        zu: The function's value at ``u``, as one number.
        zw: Its value at ``w``.
    """
    shift = max(zu[1], zw[1])
    a = abs(zu[0][0] << (shift - zu[1]))
    b = abs(zw[0][0] << (shift - zw[1]))
    mixed = [b * x + a * y for x, y in zip(u, w, strict=True)]
    common = math.gcd(*mixed)
    return [n // common for n in mixed]
