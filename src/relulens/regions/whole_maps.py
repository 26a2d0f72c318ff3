"""Linear maps in whole numbers, row by row."""

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

    Small maps are stored as a sparse matrix; a row of a large convolution is its
    transpose's value for that entry.

    Args:
        linear: The map.
    """

    def __init__(self, linear: LinearMap) -> None:
        self._map = linear
        self._matrix: csr_array | None = None
        self._parts = (np.zeros(0, np.int64),) * 2
        match linear:
            case Convolution(weight=kernel) if linear.entries() > _STORED:
                values = kernel.to("cpu", torch.float64).numpy()
            case AlongAxis(matrix=matrix) if linear.entries() > _STORED:
                values = matrix.to("cpu", torch.float64).numpy()
            case _:
                self._matrix = linear.to_sparse()
                values = self._matrix.data
        parts = whole_parts(values)
        if self._matrix is not None:
            self._parts = parts
        self.shift = max(0, -int(parts[1].min(initial=0)))

    def row(self, unit: int, up: int) -> Row:
        """Return one row, times ``2**(shift + up)``."""
        if self._matrix is not None:
            starts = self._matrix.indptr
            here = slice(int(starts[unit]), int(starts[unit + 1]))
            columns = self._matrix.indices[here].tolist()
            whole, power = (part[here] for part in self._parts)
            return _shifted(whole, power, self.shift + up), columns
        one = torch.zeros((1, self._map.out_size), dtype=torch.float64)
        one[0, unit] = 1.0
        found = self._map.adjoint(one.reshape(1, *self._map.out_shape))
        row = found.flatten().numpy()
        read = np.flatnonzero(row)
        return shifted(row[read], self.shift + up), read.tolist()
