"""An order of the state in which a model has no loops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from scipy.sparse import csr_array
from torch import Tensor

from relulens.certificates.verification import Verification, accepted, refused
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps.block_matrix import BlockMatrix


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BlockOrder:
    """Every block of the state reads earlier blocks only.

    Attributes:
        A: The matrix by blocks.
        owners: The block of the state that reads each block row of A.
        order: Place of each block of the state; a block reads lower places.
    """

    A: BlockMatrix
    owners: Sequence[int]
    order: Sequence[int]

    def verify(self) -> Verification:
        """Check the order against the blocks that are there."""
        if len(self.order) != self.A.column_count:
            return refused(
                f"there are {self.A.column_count} blocks and not as many places"
            )
        if len(self.owners) != self.A.row_count:
            return refused("the rows of A do not belong to blocks")
        wrong = [
            (i, j)
            for i, j in self.A.blocks
            if not self.order[self.owners[i]] > self.order[j]
        ]
        if wrong:
            return refused(
                f"block {self.owners[wrong[0][0]]} reads block {wrong[0][1]}"
            )
        return accepted("every block reads earlier blocks only", 1.0)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EntryOrder:
    """Every entry of the state reads entries of lower levels only.

    Attributes:
        A: The matrix [m, n].
        gain: Map [n, m] that is zero where phi does not depend; or nothing for
            elementwise phi.
        levels: Level of every entry of the state.
    """

    A: LinearMap
    gain: LinearMap | None
    levels: Int64[Tensor, " n"]

    def verify(self) -> Verification:
        """Check the levels against the nonzero entries."""
        levels = self.levels.cpu().numpy()
        if levels.shape != (self.A.in_size,):
            return refused("there is not one level an entry of the state")
        read = pattern(self.A)
        if self.gain is not None:
            read = csr_array(pattern(self.gain) @ read)
        rows, columns = read.nonzero()
        if not bool((levels[rows] > levels[columns]).all()):
            return refused("an entry reads one of its own or a higher level")
        return accepted("every entry reads entries of lower levels only", 1.0)


def pattern(map_: LinearMap) -> csr_array:
    """Return ones where a map's matrix is not zero."""
    matrix = map_.to_sparse()
    matrix.eliminate_zeros()
    matrix.data = np.ones_like(matrix.data)
    return matrix
