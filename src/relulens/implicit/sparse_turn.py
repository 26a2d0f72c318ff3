"""Turns round a loop whose matrix has few entries.

States are stored entry by entry, all inputs of the batch side by side: tensors [N, n]
whose first axis is the contiguous one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.maps import AlongAxis, SparseMatrix
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.activation import Activation

DENSITY = 0.12
"""Share of entries below which they are multiplied one by one."""

SMALLEST = 64
"""Rows below which a dense product is as fast."""

BATCH = 8
"""Inputs below which a dense product is as fast."""


@dataclass(frozen=True, slots=True, eq=False)
class SparseTurn:
    """Rows of a matrix, compressed, and what is done with them for a batch.

    Attributes:
        pointers: Where each row's entries start [rows + 1].
        columns: Column of every entry.
        values: The entries, in the type in which is computed.
        size: Rows and columns.
    """

    pointers: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.floating]
    size: tuple[int, int]

    @property
    def T(self) -> "SparseTurn":
        """The transposed matrix."""
        from relulens.numerics.kernels import sparse_rows

        over = np.zeros(self.size[1] + 1, dtype=np.int64)
        rows, found = np.empty_like(self.columns), np.empty_like(self.values)
        sparse_rows.transpose(
            self.pointers, self.columns, self.values, over, rows, found
        )
        return SparseTurn(over, rows, found, self.size[::-1])

    def turn(self, state: Tensor, base: Tensor, phi: Activation) -> Tensor:
        """Return ``phi(A x + b)``."""
        if not phi.all_relu:
            return along_batch(phi.value(self.affine(state, base)))
        from relulens.numerics.kernels import sparse_rows

        out = base.new_empty((self.size[0], base.shape[0]))
        given = (side_by_side(base), side_by_side(state), out.numpy())
        sparse_rows.rectified(self.pointers, self.columns, self.values, *given)
        return out.T

    def affine(self, state: Tensor, base: Tensor) -> Tensor:
        """Return ``A x + b``."""
        from relulens.numerics.kernels import sparse_rows

        out = base.new_empty((self.size[0], base.shape[0]))
        given = (side_by_side(base), side_by_side(state), out.numpy())
        sparse_rows.affine(self.pointers, self.columns, self.values, *given)
        return out.T

    def sloped(self, state: Tensor, base: Tensor, slope: Tensor) -> Tensor:
        """Return ``b + s (A x)``."""
        from relulens.numerics.kernels import sparse_rows

        out = base.new_empty((self.size[0], base.shape[0]))
        parts = side_by_side(base), side_by_side(slope), side_by_side(state)
        entries = self.pointers, self.columns, self.values
        sparse_rows.sloped(*entries, *parts, out.numpy())
        return out.T


def along_batch(state: Tensor) -> Tensor:
    """Return a tensor [N, n] stored entry by entry."""
    return state.T.contiguous().T


def side_by_side(state: Tensor) -> NDArray[np.floating]:
    """Return a tensor [N, n] as an array [n, N] in row-major order."""
    return state.detach().T.contiguous().numpy()


def worthwhile(rows: int, batch: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Tell whether few entries would be an advantage."""
    known = dtype in {torch.float32, torch.float64} and device.type == "cpu"
    return known and rows >= SMALLEST and batch >= BATCH


def of_dense(matrix: Tensor, batch: int) -> SparseTurn | None:
    """Return the rows of a dense matrix, if most of its entries are zero."""
    if not worthwhile(matrix.shape[0], batch, matrix.dtype, matrix.device):
        return None
    from relulens.numerics.kernels import sparse_rows

    dense = matrix.detach().contiguous().numpy()
    most = DENSITY * dense.size
    entries = sparse_rows.count(dense, most)
    if entries > most:
        return None
    pointers = np.zeros(dense.shape[0] + 1, dtype=np.int64)
    columns = np.empty(entries, dtype=np.int64)
    values = np.empty(entries, dtype=dense.dtype)
    sparse_rows.compress(dense, pointers, columns, values)
    return SparseTurn(pointers, columns, values, dense.shape)


def of_blocks(
    matrix: BlockMatrix, batch: int, dtype: torch.dtype, device: torch.device
) -> SparseTurn | None:
    """Return the rows of a matrix that is one block, dense or sparse, if few."""
    only = matrix.blocks.get((0, 0)) if len(matrix.blocks) == 1 else None
    if not matrix.row_count == matrix.column_count == 1:
        return None
    match only:
        case AlongAxis(matrix=dense) if len(only.in_shape) == 1:
            return of_dense(dense, batch)
        case SparseMatrix(matrix=rows):
            few = rows.nnz <= DENSITY * only.in_size * only.out_size
            if not few or not worthwhile(only.out_size, batch, dtype, device):
                return None
            kind = np.float32 if dtype == torch.float32 else np.float64
            return SparseTurn(
                rows.indptr.astype(np.int64),
                rows.indices.astype(np.int64),
                rows.data.astype(kind),
                (only.out_size, only.in_size),
            )
        case _:
            return None
