"""The matrices of an implicit model from arrays, sparse matrices, maps or blocks."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.arrays import tensor_of
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import Adjoint, AlongAxis, Slice, SparseMatrix, composed
from relulens.graph.maps.block_matrix import BlockMatrix

MatrixLike: TypeAlias = object
"""An array [rows, columns], a scipy sparse matrix, a LinearMap, or a table of them with
None for zeros."""


def as_block_matrix(letter: str, given: MatrixLike) -> BlockMatrix:
    """Return a matrix as blocks; one block where no table of blocks is given.

    Raises:
        InvalidArgumentError: It is not a matrix, or its blocks do not line up.
        NotFiniteError: A coefficient is NaN or infinite.
    """
    if isinstance(given, BlockMatrix):
        return given
    if isinstance(given, Sequence) and _is_table(given):
        return _from_table(letter, given)
    made = as_map(letter, given)
    return BlockMatrix({(0, 0): made}, (0, made.out_size), (0, made.in_size))


def as_map(letter: str, given: MatrixLike) -> LinearMap:
    """Return one matrix as a linear map.

    Raises:
        InvalidArgumentError: It has not two axes.
        NotFiniteError: A coefficient is NaN or infinite.
    """
    if isinstance(given, LinearMap):
        return given
    if issparse(given):
        matrix = csr_array(given, dtype=np.float64)
        _check_finite(letter, bool(np.isfinite(matrix.data).all()))
        rows, columns = matrix.shape
        return SparseMatrix(matrix, (columns,), (rows,))
    array = as_real(given, subject=letter)
    # What is proved of the model must not change with the caller's tensor.
    array = array.clone() if isinstance(given, Tensor) else array
    if array.ndim != 2:
        raise InvalidArgumentError(
            f"cannot make an implicit model: {letter} is {list(array.shape)}, and a"
            " matrix has 2 axes. Reshape it."
        )
    _check_finite(letter, bool(torch.isfinite(array).all()))
    return AlongAxis(array, (array.shape[1],), 0)


def as_real(given: object, *, subject: str) -> Tensor:
    """Return an array as a tensor of real numbers, float64 unless it has a type.

    Raises:
        InvalidArgumentError: It holds something else than real numbers.
    """
    array = tensor_of(given, subject=subject)
    if not isinstance(given, Tensor):
        array = array.clone(memory_format=torch.contiguous_format)
    return array if array.is_floating_point() else array.double()


def _check_finite(letter: str, finite: bool) -> None:
    if not finite:
        raise NotFiniteError(
            f"cannot make an implicit model: {letter} has numbers that are NaN or"
            " infinite. Check how the model was trained or read."
        )


def _is_table(given: Sequence[object]) -> bool:
    entries = [x for row in given if isinstance(row, Sequence) for x in row]
    return any(
        x is None or isinstance(x, LinearMap) or issparse(x) or _has_rows(x)
        for x in entries
    )


def _has_rows(given: object) -> bool:
    """Tell whether something is a matrix, or rows of which some are too long."""
    if isinstance(given, Tensor):
        return given.ndim == 2
    try:
        return np.asarray(given).ndim == 2
    except ValueError:
        return True


def _from_table(letter: str, table: Sequence[Any]) -> BlockMatrix:
    for place, row in enumerate(table):
        if not isinstance(row, Sequence):
            raise InvalidArgumentError(
                f"cannot make an implicit model: row {place} of the table {letter} is a"
                f" {type(row).__name__}, and a list of blocks is needed. Put it in a"
                " list."
            )
    maps = {
        (i, j): as_map(f"{letter}[{i}][{j}]", entry)
        for i, row in enumerate(table)
        for j, entry in enumerate(row)
        if entry is not None
    }
    rows = _sizes(
        letter, "row", len(table), [(i, m.out_size) for (i, _), m in maps.items()]
    )
    width = max(len(row) for row in table)
    columns = _sizes(
        letter, "column", width, [(j, m.in_size) for (_, j), m in maps.items()]
    )
    return BlockMatrix(maps, rows, columns)


def _sizes(
    letter: str, word: str, count: int, found: Sequence[tuple[int, int]]
) -> tuple[int, ...]:
    sizes: list[int] = []
    for place in range(count):
        known = {size for index, size in found if index == place}
        if len(known) != 1:
            what = f"sizes {sorted(known)}" if known else "no block that says its size"
            raise InvalidArgumentError(
                f"cannot make an implicit model: block {word} {place} of {letter} has"
                f" {what}, and 1 size is needed. Correct the table, or put a matrix of"
                " zeros there."
            )
        sizes.append(known.pop())
    return tuple(accumulate(sizes, initial=0))


def on_grid(
    matrix: BlockMatrix, rows: tuple[int, ...], columns: tuple[int, ...]
) -> BlockMatrix:
    """Return the matrix cut along other borders; parts that are zero are left out."""
    if (matrix.row_offsets, matrix.column_offsets) == (rows, columns):
        return matrix
    fine_rows = tuple(sorted({*matrix.row_offsets, *rows}))
    fine_columns = tuple(sorted({*matrix.column_offsets, *columns}))
    return _merged(_refined(matrix, fine_rows, fine_columns), rows, columns)


def _merged(
    matrix: BlockMatrix, rows: tuple[int, ...], columns: tuple[int, ...]
) -> BlockMatrix:
    """Return the matrix on a coarser grid; parts that share a place are nested."""
    height = np.searchsorted(rows, matrix.row_offsets[:-1], side="right") - 1
    width = np.searchsorted(columns, matrix.column_offsets[:-1], side="right") - 1
    groups: dict[tuple[int, int], dict[tuple[int, int], LinearMap]] = {}
    for (i, j), part in matrix.blocks.items():
        place = int(height[i]), int(width[j])
        inside = i - int(np.argmax(height == place[0]))
        along = j - int(np.argmax(width == place[1]))
        groups.setdefault(place, {})[inside, along] = part
    maps: dict[tuple[int, int], LinearMap] = {}
    for (i, j), parts in groups.items():
        top, bottom = rows[i : i + 2]
        left, right = columns[j : j + 2]
        down = tuple(x - top for x in matrix.row_offsets if top <= x <= bottom)
        across = tuple(x - left for x in matrix.column_offsets if left <= x <= right)
        only = parts.get((0, 0)) if len(down) == len(across) == 2 else None
        maps[i, j] = BlockMatrix(parts, down, across) if only is None else only
    return BlockMatrix(maps, rows, columns)


def _refined(
    matrix: BlockMatrix, rows: tuple[int, ...], columns: tuple[int, ...]
) -> BlockMatrix:
    maps: dict[tuple[int, int], LinearMap] = {}
    for (i, j), part in matrix.blocks.items():
        top, bottom = matrix.row_offsets[i : i + 2]
        left, right = matrix.column_offsets[j : j + 2]
        for k, (first, last) in enumerate(pairwise(rows)):
            for m, (start, stop) in enumerate(pairwise(columns)):
                inside = top <= first and last <= bottom and left <= start
                if inside and stop <= right and first < last and start < stop:
                    ranges = (first - top, last - top), (start - left, stop - left)
                    cut = _cut(part, *ranges)
                    if cut is not None:
                        maps[k, m] = cut
    return BlockMatrix(maps, rows, columns)


def _cut(
    part: LinearMap, rows: tuple[int, int], columns: tuple[int, int]
) -> LinearMap | None:
    """Return some rows and columns of a map, or nothing if they are zero."""
    if rows == (0, part.out_size) and columns == (0, part.in_size):
        return part
    match part:
        case AlongAxis(matrix=matrix) if len(part.in_shape) == 1:
            piece = matrix[slice(*rows), slice(*columns)]
            return AlongAxis(piece, (piece.shape[1],), 0) if bool(piece.any()) else None
        case SparseMatrix(matrix=matrix):
            piece = csr_array(matrix[slice(*rows), slice(*columns)])
            height, width = piece.shape
            return SparseMatrix(piece, (width,), (height,)) if piece.nnz else None
        case _ if len(part.in_shape) == 1 and len(part.out_shape) == 1:
            spread = Adjoint(Slice((part.in_size,), ((*columns, 1),)))
            return composed(spread, part, Slice((part.out_size,), ((*rows, 1),)))
        case _:
            made = part.to_sparse()
            flat = SparseMatrix(made, (part.in_size,), (part.out_size,))
            return _cut(flat, rows, columns)
