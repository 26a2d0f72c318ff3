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
        matrix: The coefficients, float64, on the processor.
        in_shape: Shape of the argument.
        out_shape: Shape of the result.
        dtype: Type of the numbers it is applied to.
        device: Where it is applied.
    """

    matrix: csr_array
    in_shape: Shape
    out_shape: Shape
    dtype: torch.dtype = torch.float64
    device: torch.device = torch.device("cpu")  # noqa: RUF009

    def __post_init__(self) -> None:
        """Check the matrix against the shapes.

        Raises:
            InvalidArgumentError: The matrix has another size than the shapes.
        """
        wanted = (math.prod(self.out_shape), math.prod(self.in_shape))
        if self.matrix.shape != wanted:
            raise InvalidArgumentError(
                f"cannot make a linear map from a sparse matrix: it is"
                f" {self.matrix.shape}, and the shapes need {wanted}. Transpose it?"
            )

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
    def _forward(self) -> Tensor:
        return _torch_csr(self.matrix, self.dtype, self.device)

    @cached_property
    def _backward(self) -> Tensor:
        return _torch_csr(csr_array(self.matrix.T), self.dtype, self.device)

    def apply(self, x: Tensor) -> Tensor:
        """Return the matrix times every flattened argument."""
        return (self._forward @ x.flatten(1).T).T.reshape(x.shape[0], *self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the transposed matrix times every flattened result."""
        flat = y.reshape(y.shape[0], -1)
        return (self._backward @ flat.T).T.reshape(y.shape[0], *self.in_shape)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the matrix of absolute values."""
        return Absolute(self._with(csr_array(abs(self.matrix))), exact=True)

    def _with(self, matrix: csr_array) -> "SparseMatrix":
        return SparseMatrix(
            matrix, self.in_shape, self.out_shape, self.dtype, self.device
        )

    def entries(self) -> int:
        """Return the number of stored entries."""
        return self.matrix.nnz

    def _sparse(self) -> csr_array:
        return csr_array(self.matrix, dtype=np.float64, copy=True)

    def to(self, dtype: torch.dtype, device: torch.device) -> "SparseMatrix":
        """Return the map for another type or device."""
        return SparseMatrix(self.matrix, self.in_shape, self.out_shape, dtype, device)


def _torch_csr(matrix: csr_array, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.sparse_csr_tensor(
        torch.from_numpy(matrix.indptr.astype(np.int64)),
        torch.from_numpy(matrix.indices.astype(np.int64)),
        torch.from_numpy(np.asarray(matrix.data, dtype=np.float64)).to(dtype),
        size=matrix.shape,
        device=device,
    )
