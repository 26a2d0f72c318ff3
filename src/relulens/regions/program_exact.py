"""Signs that linear programs leave within rounding of zero, in rational numbers.

That a function is nowhere positive on a polytope follows from multipliers: it is a
nonnegative combination of inequalities, less something. A basis gives the multipliers.
"""

from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from relulens.numerics.kernels import region_programs as kernel
from relulens.regions.half_spaces import HalfSpaces
from relulens.regions.program_tables import Tables

Integers = NDArray[np.int64]
Row: TypeAlias = list[Fraction]
"""Coefficients of the inputs, then the constant."""


_KEPT = 200_000
"""Rows and answers that are kept from call to call."""


class ExactSigns:
    """Decides signs, each of them once.

    Args:
        made: The network's arrays.
        space: The domain.
    """

    def __init__(self, made: Tables, space: HalfSpaces) -> None:
        self._made, self._n = made, len(made.half)
        low, high = (made.middle - made.half, made.middle + made.half)
        if space.box is not None:
            low, high = space.box
        self._low, self._high = low.tolist(), high.tolist()
        net = made.arrays()
        self._pointer, self._column, self._weight, self._bias = net[4:8]
        self._slopes = net[8:]
        self._rows: dict[tuple[int, bytes], Row] = {}
        self._known: dict[bytes, bool] = {}

    def decided(self, lines: Integers, codes: Integers) -> int:
        """Return how many signs surely are what they were taken for.

        Args:
            lines: The function, the side and the basis [k, 3 + 3 n].
            codes: Codes of all entries [k, total].
        """
        if len(self._rows) + len(self._known) > _KEPT:
            self._rows.clear()
            self._known.clear()
        count = 0
        for line, code in zip(lines, codes, strict=True):
            key = line.tobytes() + self._prefix(int(line[0]), code)
            if key not in self._known:
                self._known[key] = self._holds(line.reshape(-1, 3).tolist(), code)
            count += self._known[key]
        return count

    def _prefix(self, entry: int, code: Integers) -> bytes:
        """Return the codes that an entry's function can depend on."""
        place = int(np.searchsorted(self._made.offset, entry, side="right")) - 1
        return code[: self._made.offset[place]].tobytes()

    def _holds(self, line: list[list[int]], code: Integers) -> bool:
        (first, second, side), *basis = line
        function = self._function(first, second, code)
        slope, constant = function[:-1], function[-1]
        if side == 0:
            return not any(slope) and constant <= 0
        if not any(slope):
            return False
        sides = [self._inequality(a, b, s, code) for a, b, s in basis]
        target = [side * value for value in slope]
        multipliers = _combination([row[:-1] for row in sides], target)
        if multipliers is None or min(multipliers) < 0:
            return False
        most = sum(m * row[-1] for m, row in zip(multipliers, sides, strict=True))
        return most + side * constant <= 0

    def _inequality(self, first: int, second: int, side: int, code: Integers) -> Row:
        """Return a row and its right-hand side: ``row x <= right``."""
        n = self._n
        if side == 0:
            sign = 1 if first < n else -1
            bound = self._high[first] if first < n else -self._low[first - n]
            row = [Fraction(0)] * n
            row[first % n] = Fraction(sign)
            return [*row, Fraction(bound)]
        function = self._function(first, second, code)
        return [*(-side * value for value in function[:-1]), side * function[-1]]

    def _function(self, first: int, second: int, code: Integers) -> Row:
        one = self._entry(first, code)
        if second < 0:
            return one
        other = self._entry(second, code)
        return [a - b for a, b in zip(one, other, strict=True)]

    def _entry(self, entry: int, code: Integers) -> Row:
        """Return an entry's affine function where the units have these codes."""
        made = self._made
        place = int(np.searchsorted(made.offset, entry, side="right")) - 1
        key = (entry, code[: made.offset[place] + made.length[place]].tobytes())
        if key in self._rows:
            return self._rows[key]
        kind, at = made.kind[place], entry - made.offset[place]
        if kind == kernel.INPUT:
            row = [Fraction(int(at == k)) for k in range(self._n + 1)]
        elif kind == kernel.AFFINE:
            row = [Fraction(0)] * self._n + [Fraction(float(self._bias[entry]))]
            for k in range(int(self._pointer[entry]), int(self._pointer[entry + 1])):
                weight = Fraction(float(self._weight[k]))
                read = self._entry(int(self._column[k]), code)
                row = [a + weight * b for a, b in zip(row, read, strict=True)]
        elif kind == kernel.MAXIMUM:
            row = self._entry(int(code[entry]), code)
        else:
            negative, positive = self._slopes
            slope = (positive if code[entry] == 1 else negative)[entry]
            read = self._entry(made.source[place] + at, code)
            row = [Fraction(float(slope)) * value for value in read]
        self._rows[key] = row
        return row


def _combination(rows: list[Row], target: Row) -> Row | None:
    """Return the multipliers of rows that add up to a target, by elimination."""
    n = len(target)
    table = [[row[k] for row in rows] + [target[k]] for k in range(n)]
    for column in range(n):
        pivot = next((i for i in range(column, n) if table[i][column]), None)
        if pivot is None:
            return None
        table[column], table[pivot] = table[pivot], table[column]
        head = table[column][column]
        table[column] = [value / head for value in table[column]]
        for i in range(n):
            factor = table[i][column]
            if i != column and factor:
                pairs = zip(table[i], table[column], strict=True)
                table[i] = [a - factor * b for a, b in pairs]
    return [row[-1] for row in table]
