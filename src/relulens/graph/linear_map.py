"""The abstract linear map: what every affine operation of a network is made of."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from relulens.errors import MemoryLimitError

Shape: TypeAlias = tuple[int, ...]

BYTE_LIMIT = 2 << 30
"""Default for the largest dense or sparse matrix that is made on request."""


def check_bytes(subject: str, needed: int, limit: int, advice: str) -> None:
    """Refuse an allocation over the limit.

    Raises:
        MemoryLimitError: ``needed`` exceeds ``limit``.
    """
    if needed > limit:
        raise MemoryLimitError(subject, needed, limit, advice)


def check_sparse(rows: int, columns: int, entries: int, limit: int) -> None:
    """Refuse a sparse matrix over the limit, at 16 bytes an entry.

    Raises:
        MemoryLimitError: The matrix may take more than ``limit`` bytes.
    """
    subject = f"the sparse matrix [{rows}, {columns}]"
    advice = "Use apply and adjoint, which need no matrix, or raise limit."
    check_bytes(subject, 16 * entries, limit, advice)


class LinearMap(ABC):
    """A linear map between arrays of fixed shapes, applied to batches, matrix-free.

    The matrix of the map acts on entries flattened in row-major order. Kinds are final:
    none overrides a method that is written here.

    Attributes:
        in_shape: Shape of one argument, without the batch axis.
        out_shape: Shape of one result, without the batch axis.
    """

    if TYPE_CHECKING:
        # Read-only for the checker; at run time a property here would pass for the
        # default value of the kinds' dataclass fields of the same name.
        @property
        @abstractmethod
        def in_shape(self) -> Shape:
            """Shape of one argument, without the batch axis."""

        @property
        @abstractmethod
        def out_shape(self) -> Shape:
            """Shape of one result, without the batch axis."""

    else:
        in_shape: Shape
        out_shape: Shape

    @property
    def in_size(self) -> int:
        """Number of columns of the matrix."""
        return math.prod(self.in_shape)

    @property
    def out_size(self) -> int:
        """Number of rows of the matrix."""
        return math.prod(self.out_shape)

    @property
    @abstractmethod
    def rows_single(self) -> bool:
        """Whether every row of the matrix has at most one nonzero entry."""

    @property
    @abstractmethod
    def columns_single(self) -> bool:
        """Whether every column of the matrix has at most one nonzero entry."""

    @property
    @abstractmethod
    def nonnegative(self) -> bool:
        """Whether every entry is known to be nonnegative."""

    @abstractmethod
    def apply(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Return the map's value for every entry of the batch."""

    @abstractmethod
    def adjoint(self, y: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Return the transposed map's value for every entry of the batch."""

    @abstractmethod
    def absolute(self, *, limit: int = BYTE_LIMIT) -> "Absolute":
        """Return a map whose entries are at least the absolute values of this one's.

        Args:
            limit: Bytes that a sparse product made on the way may take.
        """

    @abstractmethod
    def entries(self) -> int:
        """Return an upper bound on the stored entries of the sparse matrix."""

    @abstractmethod
    def fans(self) -> tuple[int, int]:
        """Return upper bounds on the nonzero entries of a row and of a column."""

    @abstractmethod
    def _sparse(self, limit: int) -> csr_array:
        """Build the sparse matrix in closed form, within a limit in bytes."""

    @abstractmethod
    def to(self, dtype: torch.dtype, device: torch.device) -> "LinearMap":
        """Return the map with its coefficients in another type or on another device."""

    def to_sparse(self, *, limit: int = BYTE_LIMIT) -> csr_array:
        """Return the matrix in compressed sparse rows, float64, duplicates summed.

        Args:
            limit: Bytes that the matrix may take.

        Raises:
            MemoryLimitError: The matrix may take more than ``limit`` bytes.
        """
        matrix = self._sparse(limit)
        matrix.sum_duplicates()
        return matrix

    def _check_entries(self, limit: int) -> None:
        check_sparse(self.out_size, self.in_size, self.entries(), limit)

    def to_dense(self, *, limit: int = BYTE_LIMIT) -> Float[Tensor, "out in"]:
        """Return the matrix as a float64 tensor.

        Args:
            limit: Bytes that the matrix may take.

        Raises:
            MemoryLimitError: The matrix takes more than ``limit`` bytes.
        """
        subject = f"the dense matrix [{self.out_size}, {self.in_size}]"
        advice = "Use apply and adjoint, or to_sparse, or raise limit."
        check_bytes(subject, 8 * self.in_size * self.out_size, limit, advice)
        matrix = self.to_sparse(limit=limit + (limit >> 1))
        return torch.from_numpy(np.ascontiguousarray(matrix.toarray()))


@dataclass(frozen=True, slots=True, eq=False)
class Absolute:
    """A nonnegative map that dominates the absolute values of another one.

    Attributes:
        map: The dominating map.
        exact: Whether its entries are the absolute values, not only upper bounds.
    """

    map: LinearMap
    exact: bool
