"""Diagonal maps: the identity and multiplication by fixed numbers."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape


def _diagonal(values: np.ndarray) -> csr_array:
    size = values.size
    return csr_array((values, np.arange(size), np.arange(size + 1)), shape=(size, size))


@dataclass(frozen=True, slots=True, eq=False)
class Identity(LinearMap):
    """The identity on arrays of one shape."""

    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        """The shape of the argument."""
        return self.in_shape

    rows_single = True
    columns_single = True
    nonnegative = True

    def apply(self, x: Tensor) -> Tensor:
        """Return ``x`` itself."""
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        """Return ``y`` itself."""
        return y

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the identity."""
        return Absolute(self, exact=True)

    def entries(self) -> int:
        """Return the size."""
        return self.in_size

    def fans(self) -> tuple[int, int]:
        """Return one and one."""
        return 1, 1

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        return _diagonal(np.ones(self.in_size))

    def to(self, dtype: torch.dtype, device: torch.device) -> "Identity":
        """Return the map itself, which has no coefficients."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Scale(LinearMap):
    """Entrywise multiplication, ``y = factor * x``.

    Attributes:
        factor: The factors, broadcast to ``in_shape``.
        in_shape: Shape of the argument and the result.
    """

    factor: Tensor
    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        """The shape of the argument."""
        return self.in_shape

    rows_single = True
    columns_single = True

    @property
    def nonnegative(self) -> bool:
        """Whether no factor is negative."""
        return bool((self.factor >= 0).all())

    def apply(self, x: Tensor) -> Tensor:
        """Return ``factor * x``."""
        return x * self.factor

    def adjoint(self, y: Tensor) -> Tensor:
        """Return ``factor * y``: a diagonal is its own transpose."""
        return y * self.factor

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return multiplication by the absolute factors."""
        return Absolute(Scale(self.factor.abs(), self.in_shape), exact=True)

    def entries(self) -> int:
        """Return the size."""
        return math.prod(self.in_shape)

    def fans(self) -> tuple[int, int]:
        """Return one and one."""
        return 1, 1

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        full = self.factor.to("cpu", torch.float64).expand(self.in_shape)
        return _diagonal(full.numpy().reshape(-1).copy())

    def to(self, dtype: torch.dtype, device: torch.device) -> "Scale":
        """Return the map with converted factors."""
        return Scale(self.factor.to(device, dtype), self.in_shape)
