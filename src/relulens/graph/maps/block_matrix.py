"""A matrix of maps between the parts of one long vector and those of another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import (
    BYTE_LIMIT,
    Absolute,
    LinearMap,
    Shape,
    check_sparse,
)


@dataclass(frozen=True, slots=True, eq=False)
class BlockMatrix(LinearMap):
    """``y_i = sum_j blocks[i, j] x_j``, where x and y are cut into parts.

    Attributes:
        blocks: The maps that are not zero, by block row and block column.
        row_offsets: First entry of each part of the result, and the result's size.
        column_offsets: First entry of each part of the argument, and its size.
    """

    blocks: Mapping[tuple[int, int], LinearMap]
    row_offsets: tuple[int, ...]
    column_offsets: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that every map fits its place.

        Raises:
            InvalidArgumentError: A map has another size than its part, or no place.
        """
        for (i, j), part in self.blocks.items():
            placed = 0 <= i < self.row_count and 0 <= j < self.column_count
            wanted = (self._rows(i), self._columns(j)) if placed else None
            if wanted != (part.out_size, part.in_size):
                raise InvalidArgumentError(
                    f"cannot place block ({i}, {j}): it is [{part.out_size},"
                    f" {part.in_size}], and its place is {wanted}. Transpose it, or"
                    " correct the sizes of the parts."
                )

    def _rows(self, i: int) -> int:
        return self.row_offsets[i + 1] - self.row_offsets[i]

    def _columns(self, j: int) -> int:
        return self.column_offsets[j + 1] - self.column_offsets[j]

    @property
    def row_count(self) -> int:
        """Number of block rows."""
        return len(self.row_offsets) - 1

    @property
    def column_count(self) -> int:
        """Number of block columns."""
        return len(self.column_offsets) - 1

    @property
    def in_shape(self) -> Shape:
        """The argument, one vector."""
        return (self.column_offsets[-1],)

    @property
    def out_shape(self) -> Shape:
        """The result, one vector."""
        return (self.row_offsets[-1],)

    @property
    def rows_single(self) -> bool:
        """Whether no block row has two maps, and each map has single rows."""
        alone = len({i for i, _ in self.blocks}) == len(self.blocks)
        return alone and all(part.rows_single for part in self.blocks.values())

    @property
    def columns_single(self) -> bool:
        """Whether no block column has two maps, and each map has single columns."""
        alone = len({j for _, j in self.blocks}) == len(self.blocks)
        return alone and all(part.columns_single for part in self.blocks.values())

    @property
    def nonnegative(self) -> bool:
        """Whether every map is nonnegative."""
        return all(part.nonnegative for part in self.blocks.values())

    def row(
        self, i: int, x: Float[Tensor, "batch columns"]
    ) -> Float[Tensor, "batch rows"] | None:
        """Return part i of the result, or nothing where it is zero."""
        total: Tensor | None = None
        for (row, j), part in self.blocks.items():
            if row != i:
                continue
            start, stop = self.column_offsets[j : j + 2]
            argument = x[:, start:stop].reshape(x.shape[0], *part.in_shape)
            value = part.apply(argument).reshape(x.shape[0], part.out_size)
            total = value if total is None else total + value
        return total

    def column(
        self, j: int, y: Float[Tensor, "batch rows"]
    ) -> Float[Tensor, "batch columns"] | None:
        """Return part j of the transposed map's value, or nothing where it is zero."""
        total: Tensor | None = None
        for (i, column), part in self.blocks.items():
            if column != j:
                continue
            start, stop = self.row_offsets[i : i + 2]
            weights = y[:, start:stop].reshape(y.shape[0], *part.out_shape)
            value = part.adjoint(weights).reshape(y.shape[0], part.in_size)
            total = value if total is None else total + value
        return total

    def apply(self, x: Tensor) -> Tensor:
        """Return the matrix times every argument."""
        parts = [self.row(i, x) for i in range(self.row_count)]
        return _joined(x, parts, self.row_offsets)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the transposed matrix times every result."""
        parts = [self.column(j, y) for j in range(self.column_count)]
        return _joined(y, parts, self.column_offsets)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the matrix of the maps' absolute maps."""
        parts = {k: part.absolute(limit=limit) for k, part in self.blocks.items()}
        maps = {key: part.map for key, part in parts.items()}
        exact = all(part.exact for part in parts.values())
        return Absolute(
            BlockMatrix(maps, self.row_offsets, self.column_offsets), exact=exact
        )

    def entries(self) -> int:
        """Return the sum of the maps' entries."""
        return sum(part.entries() for part in self.blocks.values())

    def fans(self) -> tuple[int, int]:
        """Return the largest sums of the maps' fans along a block row and column."""
        rows, columns = [0] * self.row_count, [0] * self.column_count
        for (i, j), part in self.blocks.items():
            along, down = part.fans()
            rows[i] += along
            columns[j] += down
        return max(rows, default=0), max(columns, default=0)

    def _sparse(self, limit: int) -> csr_array:
        rows, columns = self.out_size, self.in_size
        made: dict[tuple[int, int], csr_array] = {}
        entries = 0
        for key in sorted(self.blocks):
            made[key] = self.blocks[key].to_sparse(limit=limit)
            entries += made[key].nnz
            check_sparse(rows, columns, entries, limit)
        return _assembled(made, self.row_offsets, self.column_offsets)

    def to(self, dtype: torch.dtype, device: torch.device) -> "BlockMatrix":
        """Return the matrix of the converted maps."""
        maps = {key: part.to(dtype, device) for key, part in self.blocks.items()}
        return BlockMatrix(maps, self.row_offsets, self.column_offsets)


def _joined(
    like: Tensor, parts: Sequence[Tensor | None], offsets: Sequence[int]
) -> Tensor:
    """Return the parts side by side, zeros where there is nothing."""
    sizes = [stop - start for start, stop in pairwise(offsets)]
    whole = [
        like.new_zeros((like.shape[0], size)) if part is None else part
        for part, size in zip(parts, sizes, strict=True)
    ]
    if len(whole) == 1:
        return whole[0]
    if not whole:
        return like.new_zeros((like.shape[0], 0))
    return torch.cat(whole, 1)


def _assembled(
    parts: dict[tuple[int, int], csr_array],
    row_offsets: Sequence[int],
    column_offsets: Sequence[int],
) -> csr_array:
    """Return one matrix with every part at its place; the parts are used up.

    The arrays of the result are filled once: the parts and the result are all that is
    in memory.
    """
    rows, columns = row_offsets[-1], column_offsets[-1]
    counts = np.zeros(rows, dtype=np.int64)
    for (i, _), part in parts.items():
        counts[row_offsets[i] : row_offsets[i + 1]] += np.diff(part.indptr)
    pointers = np.concatenate([[0], np.cumsum(counts)])
    entries = int(pointers[-1])
    wide = max(entries, columns) > np.iinfo(np.int32).max
    kind = np.int64 if wide else np.int32
    data, indices = np.empty(entries), np.empty(entries, dtype=kind)
    free = pointers[:-1].copy()
    strips = [i for i, _ in parts]
    for i, j in sorted(parts):
        part = parts.pop((i, j))
        first, last = row_offsets[i : i + 2]
        if strips.count(i) == 1:
            place = slice(int(pointers[first]), int(pointers[last]))
        else:
            lengths = np.diff(part.indptr)
            shift = free[first:last] - part.indptr[:-1]
            place = np.repeat(shift, lengths) + np.arange(part.nnz)
            free[first:last] += lengths
        data[place] = part.data
        indices[place] = part.indices + kind(column_offsets[j])
    return csr_array((data, indices, pointers.astype(kind)), shape=(rows, columns))
