"""``P = Γ |A|``: how far a change of the state carries in one turn."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from relulens.graph.linear_map import BYTE_LIMIT, LinearMap
from relulens.graph.maps import AlongAxis, Scale
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.model import ImplicitModel

DENSE = 3000
"""Largest state for which P is made as a dense matrix."""


def gain_matrix(
    model: ImplicitModel, gain: LinearMap
) -> NDArray[np.float64] | csr_array:
    """Return P as a matrix: dense for small states, else sparse.

    Raises:
        MemoryLimitError: It would be too large.
    """
    A = model.A.to(torch.float64, torch.device("cpu"))
    if model.n <= DENSE:
        return dense_of(gain, magnitude=True) @ dense_of(A, magnitude=True)
    scales = gain.to_sparse()
    return csr_array(scales @ abs(A.to_sparse(limit=BYTE_LIMIT)))


def dense_of(map_: LinearMap, *, magnitude: bool = False) -> NDArray[np.float64]:
    """Return a map's matrix, or its absolute values, as a float64 array."""
    match map_:
        case AlongAxis(matrix=matrix) if len(map_.in_shape) == 1:
            made = matrix.detach().cpu().double().numpy()
        case BlockMatrix(blocks=blocks):
            made = np.zeros((map_.out_size, map_.in_size))
            for (i, j), part in blocks.items():
                rows = slice(*map_.row_offsets[i : i + 2])
                columns = slice(*map_.column_offsets[j : j + 2])
                made[rows, columns] = dense_of(part)
        case Scale(factor=factor):
            values = factor.detach().cpu().double().expand(map_.in_shape)
            made = np.diag(values.reshape(-1).numpy())
        case _:
            made = map_.to_sparse().toarray()
    return np.abs(made) if magnitude else made
