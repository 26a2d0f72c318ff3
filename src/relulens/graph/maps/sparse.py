"""A map given by a sparse matrix."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape


@dataclass(frozen=True, eq=False)
class SparseMatrix(LinearMap):
    """``y = matrix x`` on flattened entries.

    Attributes:
        matrix: The coefficients, float64; they follow the argument.
        in_shape: Shape of the argument.
        out_shape: Shape of the result.
    """

    matrix: csr_array
    in_shape: Shape
    out_shape: Shape

    def __post_init__(self) -> None:
        """Check the matrix against the shapes, and sum its duplicates.

        Raises:
            InvalidArgumentError: The matrix has another size than the shapes.
        """
        wanted = (math.prod(self.out_shape), math.prod(self.in_shape))
        if self.matrix.shape != wanted:
            raise InvalidArgumentError(
                f"cannot make a linear map from a sparse matrix: it is"
                f" {self.matrix.shape}, and the shapes need {wanted}. Transpose it?"
            )
        canonical = csr_array(self.matrix, dtype=np.float64, copy=True)
        canonical.sum_duplicates()
        object.__setattr__(self, "matrix", canonical)

    @property
    def rows_single(self) -> bool:
        """Whether every row has at most one stored entry."""
        return bool((np.diff(self.matrix.indptr) <= 1).all())

    @property
    def columns_single(self) -> bool:
        """Whether every column has at most one stored entry."""
        counts = np.bincount(self.matrix.indices, minlength=self.in_size)
        return bool((counts <= 1).all())

    @property
    def nonnegative(self) -> bool:
        """Whether no stored entry is negative."""
        return bool((self.matrix.data >= 0).all())

    @cached_property
    def _transposed(self) -> csr_array:
        return csr_array(self.matrix.T)

    def apply(self, x: Tensor) -> Tensor:
        """Return the matrix times every flattened argument."""
        flat = x.reshape(x.shape[0], self.in_size)
        return _times(self.matrix, flat).reshape(x.shape[0], *self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the transposed matrix times every flattened result."""
        flat = y.reshape(y.shape[0], self.out_size)
        return _times(self._transposed, flat).reshape(y.shape[0], *self.in_shape)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the matrix of absolute values."""
        matrix = csr_array(abs(self.matrix))
        return Absolute(SparseMatrix(matrix, self.in_shape, self.out_shape), exact=True)

    def entries(self) -> int:
        """Return the number of stored entries."""
        return self.matrix.nnz

    def fans(self) -> tuple[int, int]:
        """Return the most stored entries of a row and of a column."""
        rows = np.diff(self.matrix.indptr)
        columns = np.bincount(self.matrix.indices, minlength=self.in_size)
        return int(rows.max(initial=0)), int(columns.max(initial=0))

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        return csr_array(self.matrix, dtype=np.float64, copy=True)

    def to(self, dtype: torch.dtype, device: torch.device) -> "SparseMatrix":
        """Return the map itself, which follows the type and device of its argument."""
        return self


def _times(matrix: csr_array, rows: Tensor) -> Tensor:
    # Torch's own sparse matrices warn that they are in beta, and are no faster here.
    columns = rows.detach().to("cpu", torch.float64).numpy().T
    return torch.from_numpy(matrix @ columns).T.to(rows.device, rows.dtype)
