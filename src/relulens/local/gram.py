"""Singular values by the Gram matrix: fast, and blind below its rounding."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import get_blas_funcs
from torch import Tensor

from relulens.local.blocks import Block

_SYRK = get_blas_funcs("syrk", dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GramValues:
    """Singular values by the eigenvalues of the smaller Gram matrix.

    Attributes:
        values: The singular values, descending.
        error_bound: A bound on the rounding error of each one.
        blind: Below this a value may as well be zero.
    """

    values: Float[Tensor, " k"]
    error_bound: Float[Tensor, " k"]
    blind: float


def gram_by_columns(
    blocks: Iterable[Block], width: int
) -> tuple[Float[np.ndarray, "n n"], int]:
    """Return ``J^T J`` (upper triangle) and the most terms that an entry adds up."""
    total = np.zeros((width, width), order="F")
    terms = torch.zeros(width, dtype=torch.int64)
    for block in blocks:
        columns, matrix = block.columns.numpy(), block.matrix.numpy()
        terms[block.columns] += len(matrix)
        if len(columns) == width:
            # dsyrk wants the transposed matrix in Fortran order, which this is.
            total += _SYRK(1.0, np.ascontiguousarray(matrix).T)
            continue
        product = matrix.T @ matrix
        first, last = int(columns[0]), int(columns[-1])
        if last - first + 1 == len(columns):
            total[first : last + 1, first : last + 1] += product
        else:
            total[np.ix_(columns, columns)] += product
    return total, int(terms.max()) if width else 0


def gram_by_rows(
    matrix: Float[Tensor, "rows columns"],
) -> tuple[Float[np.ndarray, "n n"], int]:
    """Return ``J J^T`` (upper triangle) and the number of terms of an entry."""
    dense = np.ascontiguousarray(matrix.numpy())
    return _SYRK(1.0, dense.T, trans=1), dense.shape[1]


def gram_values(gram: Float[np.ndarray, "n n"], terms: int) -> GramValues:
    """Return singular values from a Gram matrix, whose rounding they are told by.

    The computed matrix is off by at most ``terms eps |J|^T |J|``, in norm by ``terms
    eps trace``, and its eigenvalues by that and a few ``n eps`` times the largest.

    Args:
        gram: The matrix; only its upper triangle is read.
        terms: How many products an entry adds up.
    """
    size = gram.shape[0]
    if size == 0:
        none = torch.zeros(0, dtype=torch.float64)
        return GramValues(values=none, error_bound=none, blind=0.0)
    whole = torch.from_numpy(np.ascontiguousarray(gram.T))
    found = torch.linalg.eigvalsh(whole, UPLO="L").flip(0)
    unit = torch.finfo(torch.float64).eps
    trace = float(np.trace(gram))
    wrong = unit * (terms * trace + size * float(found[0]))
    values = found.clamp(min=0).sqrt()
    bound = torch.minimum(
        torch.full_like(values, wrong**0.5), wrong / values.clamp(min=1e-300)
    )
    # What is seen in practice is far below the bound: sizes do not add up in phase.
    blind = (4 * unit * size**0.5 * float(found[0])) ** 0.5
    return GramValues(values=values, error_bound=bound, blind=blind)
