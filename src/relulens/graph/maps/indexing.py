"""Maps that move entries: reshape, permute, slice and gather."""

import math
from dataclasses import dataclass
from itertools import starmap

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape


def selection_matrix(columns: np.ndarray, width: int) -> csr_array:
    """Return the matrix with a one in ``columns[i]`` of row ``i``, none if negative."""
    flat = columns.reshape(-1)
    kept = flat >= 0
    pointers = np.concatenate([[0], np.cumsum(kept)])
    data = np.ones(int(pointers[-1]))
    return csr_array((data, flat[kept], pointers), shape=(flat.size, width))


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(LinearMap):
    """The same entries in the same order under another shape."""

    in_shape: Shape
    out_shape: Shape

    rows_single = True
    columns_single = True
    nonnegative = True

    def apply(self, x: Tensor) -> Tensor:
        """Return ``x`` in the new shape."""
        return x.reshape(x.shape[0], *self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return ``y`` in the old shape."""
        return y.reshape(y.shape[0], *self.in_shape)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the map itself."""
        return Absolute(self, exact=True)

    def entries(self) -> int:
        """Return the size."""
        return math.prod(self.in_shape)

    def fans(self) -> tuple[int, int]:
        """Return one and one."""
        return 1, 1

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        size = math.prod(self.in_shape)
        return selection_matrix(np.arange(size), size)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Reshape":
        """Return the map itself, which has no coefficients."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Permute(LinearMap):
    """Axes in another order: axis ``i`` of the result is axis ``order[i]`` of ``x``."""

    in_shape: Shape
    order: tuple[int, ...]

    @property
    def out_shape(self) -> Shape:
        """The permuted shape."""
        return tuple(self.in_shape[axis] for axis in self.order)

    rows_single = True
    columns_single = True
    nonnegative = True

    def apply(self, x: Tensor) -> Tensor:
        """Return ``x`` with its axes permuted."""
        return x.permute(0, *(axis + 1 for axis in self.order))

    def adjoint(self, y: Tensor) -> Tensor:
        """Return ``y`` with its axes put back."""
        return y.permute(
            0, *(self.order.index(axis) + 1 for axis in range(len(self.order)))
        )

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the map itself."""
        return Absolute(self, exact=True)

    def entries(self) -> int:
        """Return the size."""
        return math.prod(self.in_shape)

    def fans(self) -> tuple[int, int]:
        """Return one and one."""
        return 1, 1

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        size = math.prod(self.in_shape)
        columns = np.arange(size).reshape(self.in_shape).transpose(self.order)
        return selection_matrix(columns, size)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Permute":
        """Return the map itself, which has no coefficients."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Slice(LinearMap):
    """A rectangular selection with positive steps; its adjoint pads with zeros.

    Attributes:
        in_shape: Shape of the argument.
        ranges: ``(start, stop, step)`` of every axis, ``0 <= start <= stop <= length``.
    """

    in_shape: Shape
    ranges: tuple[tuple[int, int, int], ...]

    @property
    def out_shape(self) -> Shape:
        """The shape of the selection."""
        return tuple(len(range(*bounds)) for bounds in self.ranges)

    rows_single = True
    columns_single = True
    nonnegative = True

    def apply(self, x: Tensor) -> Tensor:
        """Return the selected entries."""
        return x[(slice(None), *starmap(slice, self.ranges))]

    def adjoint(self, y: Tensor) -> Tensor:
        """Return zeros with ``y`` in the selected places."""
        result = y.new_zeros((y.shape[0], *self.in_shape))
        result[(slice(None), *starmap(slice, self.ranges))] = y
        return result

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the map itself."""
        return Absolute(self, exact=True)

    def entries(self) -> int:
        """Return the number of selected entries."""
        return math.prod(self.out_shape)

    def fans(self) -> tuple[int, int]:
        """Return one and one."""
        return 1, 1

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        size = math.prod(self.in_shape)
        columns = np.arange(size).reshape(self.in_shape)
        return selection_matrix(columns[tuple(starmap(slice, self.ranges))], size)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Slice":
        """Return the map itself, which has no coefficients."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Gather(LinearMap):
    """Any selection of entries: result entry ``i`` is entry ``index[i]`` of ``x``.

    Attributes:
        in_shape: Shape of the argument.
        index: Flat positions in the argument, shaped like the result; -1 gives zero.
    """

    in_shape: Shape
    index: Tensor

    @property
    def out_shape(self) -> Shape:
        """The shape of the index."""
        return tuple(self.index.shape)

    rows_single = True
    nonnegative = True

    @property
    def columns_single(self) -> bool:
        """Whether no entry is taken twice."""
        kept = self.index[self.index >= 0]
        return kept.unique().numel() == kept.numel()

    def apply(self, x: Tensor) -> Tensor:
        """Return the gathered entries."""
        flat = self.index.reshape(-1)
        entries = x.reshape(x.shape[0], math.prod(self.in_shape))
        taken = entries.index_select(1, flat.clamp(min=0))
        return taken.mul_(flat >= 0).reshape(x.shape[0], *self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the entries added back where they came from."""
        flat = self.index.reshape(-1)
        kept = flat >= 0
        result = y.new_zeros((y.shape[0], math.prod(self.in_shape)))
        result.index_add_(1, flat[kept], y.reshape(y.shape[0], flat.numel())[:, kept])
        return result.reshape(y.shape[0], *self.in_shape)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the map itself."""
        return Absolute(self, exact=True)

    def entries(self) -> int:
        """Return the number of gathered entries."""
        return self.index.numel()

    def fans(self) -> tuple[int, int]:
        """Return one, and how often the most popular entry is taken."""
        kept = self.index[self.index >= 0]
        return 1, int(torch.bincount(kept.reshape(-1)).max()) if kept.numel() else 0

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        return selection_matrix(self.index.cpu().numpy(), math.prod(self.in_shape))

    def to(self, dtype: torch.dtype, device: torch.device) -> "Gather":
        """Return the map with its index on the device."""
        return Gather(self.in_shape, self.index.to(device))
