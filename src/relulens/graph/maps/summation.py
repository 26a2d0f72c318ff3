"""Sums over axes; the adjoint repeats along them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape


@dataclass(frozen=True, slots=True, eq=False)
class SumOver(LinearMap):
    """The sum over some axes, which stay with length one.

    Attributes:
        in_shape: Shape of the argument.
        axes: The axes summed over, nonnegative.
    """

    in_shape: Shape
    axes: tuple[int, ...]

    @property
    def out_shape(self) -> Shape:
        """The argument's shape with ones at the axes."""
        return tuple(1 if i in self.axes else n for i, n in enumerate(self.in_shape))

    columns_single = True
    nonnegative = True

    @property
    def rows_single(self) -> bool:
        """Whether nothing is summed, since all the axes have length one."""
        return self.in_size == self.out_size

    def apply(self, x: Tensor) -> Tensor:
        """Return the sums."""
        if not self.axes:
            return x
        return x.sum(dim=[axis + 1 for axis in self.axes], keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return ``y`` repeated along the axes."""
        return y.expand(y.shape[0], *self.in_shape)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the map itself."""
        return Absolute(self, exact=True)

    def entries(self) -> int:
        """Return the size of the argument."""
        return math.prod(self.in_shape)

    def fans(self) -> tuple[int, int]:
        """Return how many entries are summed, and one."""
        return math.prod(self.in_shape[axis] for axis in self.axes), 1

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        rows = np.arange(self.out_size).reshape(self.out_shape)
        rows = np.broadcast_to(rows, self.in_shape).reshape(-1)
        size = self.in_size
        data = np.ones(size)
        return csr_array((data, (rows, np.arange(size))), shape=(self.out_size, size))

    def to(self, dtype: torch.dtype, device: torch.device) -> "SumOver":
        """Return the map itself, which has no coefficients."""
        return self
