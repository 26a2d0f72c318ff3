"""The entries of a map's matrix with bounds on their rounding."""

import numpy as np
import torch

from relulens.certificates.magnitude import dominating
from relulens.certificates.rounding import Array, gamma
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis, Scale, SparseMatrix
from relulens.graph.maps.block_matrix import BlockMatrix


def entries_of(map_: LinearMap) -> tuple[Array, Array]:
    """Return a map's matrix and how far each entry may be off, both dense float64.

    Maps that hold their coefficients are exact; products of maps are not.
    """
    wide = map_.to(torch.float64, torch.device("cpu"))
    matrix = wide.to_dense().numpy()
    if _plain(wide):
        return matrix, np.zeros_like(matrix)
    loose, terms = dominating(wide)
    return matrix, 2 * gamma(terms) * loose.to_dense().numpy()


def _plain(map_: LinearMap) -> bool:
    if isinstance(map_, BlockMatrix):
        return all(_plain(part) for part in map_.blocks.values())
    return isinstance(map_, AlongAxis | SparseMatrix | Scale)
