"""Linear maps in whole numbers, row by row."""

from math import prod
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis, Convolution

Row: TypeAlias = tuple[list[int], list[int]]
"""Whole numbers of a row of a matrix, and their columns."""

_STORED = 1_000_000
"""Entries of a map up to which it is stored as a whole matrix."""


def whole_parts(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return floats as odd whole numbers m (or 0) times powers of two ``2**e``."""
    mantissa, power = np.frexp(values)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    # The lowest bit that is set, as a power of two.
    spare = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    spare = np.where(whole == 0, 0, spare)
    power = np.where(whole == 0, 0, power - 53 + spare)
    return whole >> spare, power.astype(np.int64)


def least_shift(values: NDArray[np.float64]) -> int:
    """Return the least s >= 0 for which all ``value * 2**s`` are whole."""
    return max(0, -int(whole_parts(values)[1].min(initial=0)))


def shifted(values: NDArray[np.float64], shift: int) -> list[int]:
    """Return ``value * 2**shift`` of floats for which that is whole."""
    return _shifted(*whole_parts(values), shift)


def _shifted(
    whole: NDArray[np.int64], power: NDArray[np.int64], shift: int
) -> list[int]:
    pairs = zip(whole.tolist(), (power + shift).tolist(), strict=True)
    return [m << e if m else 0 for m, e in pairs]


class WholeMap:
    """The rows of a map as whole numbers over one power of two.

    Small maps are stored as a sparse matrix, large convolutions by their kernels; a row
    of another large map is its transpose's value for that entry.

    Args:
        linear: The map.
    """

    def __init__(self, linear: LinearMap) -> None:
        self._map = linear
        self._rows: _StoredRows | _KernelRows | None = None
        values = np.zeros(0)
        match linear:
            case Convolution() if linear.entries() > _STORED:
                self._rows = _KernelRows(linear)
            case AlongAxis(matrix=matrix) if linear.entries() > _STORED:
                values = matrix.to("cpu", torch.float64).numpy()
            case _:
                self._rows = _StoredRows(linear.to_sparse())
        power = whole_parts(values)[1] if self._rows is None else self._rows.power
        self.shift = max(0, -int(power.min(initial=0)))
        self.fan = linear.fans()[0]

    def row(self, unit: int, up: int) -> Row:
        """Return one row, times ``2**(shift + up)``."""
        if self._rows is not None:
            return self._rows.row(unit, self.shift + up)
        one = torch.zeros((1, self._map.out_size), dtype=torch.float64)
        one[0, unit] = 1.0
        found = self._map.adjoint(one.reshape(1, *self._map.out_shape))
        row = found.flatten().numpy()
        read = np.flatnonzero(row)
        return shifted(row[read], self.shift + up), read.tolist()


class _StoredRows:
    """Rows of a sparse matrix."""

    def __init__(self, matrix: csr_array) -> None:
        self._starts, self._columns = matrix.indptr, matrix.indices
        self._whole, self.power = whole_parts(matrix.data)

    def row(self, unit: int, shift: int) -> Row:
        """Return one row, times ``2**shift``."""
        here = slice(int(self._starts[unit]), int(self._starts[unit + 1]))
        numbers = _shifted(self._whole[here], self.power[here], shift)
        return numbers, self._columns[here].tolist()


class _KernelRows:
    """Rows of a convolution, whose numbers are those of a kernel."""

    def __init__(self, linear: Convolution) -> None:
        kernel = linear.weight.to("cpu", torch.float64)
        outs, self._inner = kernel.shape[:2]
        self._per_group = outs // linear.groups
        self._places = linear.windows.positions(linear.in_shape[1:])
        self._pixels = prod(linear.in_shape[1:])
        self._whole, self.power = whole_parts(kernel.reshape(outs, -1).numpy())
        self._kernels: dict[tuple[int, int], NDArray[np.object_]] = {}

    def row(self, unit: int, shift: int) -> Row:
        """Return one row, times ``2**shift``."""
        out, window = divmod(unit, len(self._places))
        if (out, shift) not in self._kernels:
            numbers = _shifted(self._whole[out], self.power[out], shift)
            whole = np.array(numbers, object).reshape(self._inner, -1)
            self._kernels[out, shift] = whole
        place = self._places[window]
        inside = place >= 0
        first = out // self._per_group * self._inner
        channels = np.arange(first, first + self._inner)
        columns = channels[:, None] * self._pixels + place[inside]
        return (
            self._kernels[out, shift][:, inside].ravel().tolist(),
            columns.ravel().tolist(),
        )
