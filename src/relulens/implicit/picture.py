"""What a picture of A's sparsity needs: blocks with their names, sizes and entries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relulens.errors import MemoryLimitError
from relulens.implicit.model import ImplicitModel


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BlockPicture:
    """One block of A.

    Attributes:
        row: Name of the block of the state that reads.
        column: Name of the block that is read.
        rows: First and last entry of z, the last excluded.
        columns: First and last entry of the state, the last excluded.
        entries: Nonzero entries, or an upper bound where the block is too large.
        counts: Nonzero entries in a coarse grid over the block; nothing if too large.
    """

    row: str
    column: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    entries: int
    counts: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SparsityPicture:
    """The sparsity of A by blocks.

    Attributes:
        blocks: The blocks that are not zero.
        names: Names of the blocks of the state.
        borders: First entry of each block of the state, and their number.
        argument_borders: The same of z.
    """

    blocks: tuple[BlockPicture, ...]
    names: tuple[str, ...]
    borders: tuple[int, ...]
    argument_borders: tuple[int, ...]


def sparsity_picture(model: ImplicitModel, /, *, cells: int = 64) -> SparsityPicture:
    """Return where A has nonzero entries, block by block and never all at once.

    Args:
        model: The model.
        cells: Rows and columns of the grid over each block.

    Cost:
        The sparse matrix of one block at a time.
    """
    names = tuple(block.name for block in model.phi.blocks)
    owners = model.phi.owners
    found: list[BlockPicture] = []
    for (i, j), part in sorted(model.A.blocks.items()):
        top, bottom = model.A.row_offsets[i : i + 2]
        left, right = model.A.column_offsets[j : j + 2]
        try:
            matrix = part.to_sparse()
            matrix.eliminate_zeros()
            lines, across = matrix.nonzero()
            high, wide = min(cells, bottom - top), min(cells, right - left)
            counts, _, _ = np.histogram2d(
                lines,
                across,
                bins=(high, wide),
                range=((0, bottom - top), (0, right - left)),
            )
            entries, grid = matrix.nnz, counts.astype(np.int64)
        except MemoryLimitError:
            entries, grid = part.entries(), None
        found.append(
            BlockPicture(
                row=names[owners[i]],
                column=names[j],
                rows=(top, bottom),
                columns=(left, right),
                entries=int(entries),
                counts=grid,
            )
        )
    return SparsityPicture(
        blocks=tuple(found),
        names=names,
        borders=model.phi.state_offsets,
        argument_borders=model.phi.argument_offsets,
    )
