"""A matrix applied along one axis: dense layers, resizing, cumulative sums."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array, eye_array, kron
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape


@dataclass(frozen=True, slots=True, eq=False)
class AlongAxis(LinearMap):
    """``y[..., o, ...] = sum_i matrix[o, i] x[..., i, ...]`` along one axis.

    Attributes:
        matrix: The coefficients.
        in_shape: Shape of the argument.
        axis: The axis that is contracted, nonnegative.
    """

    matrix: Float[Tensor, "o i"]
    in_shape: Shape
    axis: int

    @property
    def out_shape(self) -> Shape:
        """The argument's shape with the axis' new length."""
        before, after = self.in_shape[: self.axis], self.in_shape[self.axis + 1 :]
        return (*before, self.matrix.shape[0], *after)

    @property
    def rows_single(self) -> bool:
        """Whether every row of the matrix has at most one nonzero entry."""
        return bool(((self.matrix != 0).sum(1) <= 1).all())

    @property
    def columns_single(self) -> bool:
        """Whether every column of the matrix has at most one nonzero entry."""
        return bool(((self.matrix != 0).sum(0) <= 1).all())

    @property
    def nonnegative(self) -> bool:
        """Whether no coefficient is negative."""
        return bool((self.matrix >= 0).all())

    def apply(self, x: Tensor) -> Tensor:
        """Return the matrix times ``x`` along the axis."""
        return _contract(x, self.matrix, self.axis, len(self.in_shape))

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the transposed matrix times ``y`` along the axis."""
        return _contract(y, self.matrix.T, self.axis, len(self.in_shape))

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the same map with absolute coefficients."""
        return Absolute(
            AlongAxis(self.matrix.abs(), self.in_shape, self.axis), exact=True
        )

    def entries(self) -> int:
        """Return the nonzero entries of the block-structured matrix."""
        before, after = self.in_shape[: self.axis], self.in_shape[self.axis + 1 :]
        return int(self.matrix.count_nonzero()) * math.prod((*before, *after))

    def fans(self) -> tuple[int, int]:
        """Return the most nonzero coefficients of a row and of a column."""
        present = self.matrix != 0
        return _most(present.sum(1)), _most(present.sum(0))

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        before = math.prod(self.in_shape[: self.axis])
        after = math.prod(self.in_shape[self.axis + 1 :])
        block = csr_array(self.matrix.to("cpu", torch.float64).numpy())
        inner = kron(block, eye_array(after), format="csr") if after != 1 else block
        outer = kron(eye_array(before), inner, format="csr") if before != 1 else inner
        return csr_array(outer, dtype=np.float64)

    def to(self, dtype: torch.dtype, device: torch.device) -> "AlongAxis":
        """Return the map with converted coefficients."""
        return AlongAxis(self.matrix.to(device, dtype), self.in_shape, self.axis)


def _most(counts: Tensor) -> int:
    return int(counts.max()) if counts.numel() else 0


_ROWS, _COLUMNS = 16, 512
"""From so many rows and columns on it pays to look for columns of zeros."""


def _contract(x: Tensor, matrix: Tensor, axis: int, rank: int) -> Tensor:
    if rank == 1 and x.shape[0] >= _ROWS and x.shape[1] >= _COLUMNS:
        # Directions pushed through a ReLU vanish at all units that are off.
        used = (x != 0).any(0)
        if 2 * int(used.count_nonzero()) < x.shape[1]:
            return x[:, used] @ matrix[:, used].T
    if axis == rank - 1:
        return x @ matrix.T
    if axis == rank - 2:
        return matrix @ x
    return (x.movedim(axis + 1, -1) @ matrix.T).movedim(-1, axis + 1)
