"""One turn round a model's loop, for a batch of inputs, as fast as it can be made."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.maps import AlongAxis
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.model import ImplicitModel
from relulens.implicit.sparse_turn import (
    SparseTurn,
    along_batch,
    of_blocks,
    worthwhile,
)


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """``x -> phi(A x + b)`` for one batch of ``b = B u + a``.

    Attributes:
        model: The model.
        base: The constants b [N, m].
        transposed: A^T as one dense matrix, if A is one.
        entries: The entries of A, where they are few; the base is then stored entry by
            entry.
    """

    model: ImplicitModel
    base: Float[Tensor, "batch m"]
    transposed: Tensor | None
    entries: SparseTurn | None = None

    def argument(self, state: Float[Tensor, "batch n"]) -> Float[Tensor, "batch m"]:
        """Return ``A x + b``."""
        if self.entries is not None:
            return self.entries.affine(state, self.base)
        if self.transposed is not None:
            return torch.addmm(self.base, state, self.transposed)
        return self.model.A.apply(state) + self.base

    def turn(self, state: Float[Tensor, "batch n"]) -> Float[Tensor, "batch n"]:
        """Return ``phi(A x + b)``."""
        if self.entries is not None:
            return self.entries.turn(state, self.base, self.model.phi)
        z = self.argument(state)
        return z.relu_() if self.model.phi.all_relu else self.model.phi.value(z)


def loop_of(model: ImplicitModel, x: Float[Tensor, "batch p"]) -> Loop:
    """Return the loop for inputs of the model's type."""
    matrix, given = dense_matrix(model.A), dense_matrix(model.B)
    if given is not None:
        base = torch.addmm(model.a, x, given.T)
    else:
        base = model.B.apply(x) + model.a
    few = worthwhile(model.n, x.shape[0], model.dtype, model.device)
    entries = None
    if few:
        entries = model.remembered(
            "entries", lambda: of_blocks(model.A, x.shape[0], model.dtype, model.device)
        )
    if entries is not None:
        return Loop(model, along_batch(base), None, entries)
    return Loop(model, base, None if matrix is None else matrix.T)


def dense_matrix(matrix: BlockMatrix) -> Tensor | None:
    """Return the matrix [rows, columns] if it is one dense block."""
    only = matrix.blocks.get((0, 0)) if len(matrix.blocks) == 1 else None
    whole = matrix.row_count == matrix.column_count == 1
    if whole and isinstance(only, AlongAxis) and len(only.in_shape) == 1:
        return only.matrix
    return None
