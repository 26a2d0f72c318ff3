"""Products and sums of the blocks of matrices, dense ones multiplied out."""

from typing import TypeGuard

import torch

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis, Reshape, added, composed
from relulens.graph.maps.block_matrix import BlockMatrix


def products(
    outer: BlockMatrix, inner: BlockMatrix
) -> dict[tuple[int, int], LinearMap]:
    """Return the blocks of ``outer inner``; dense factors are multiplied out."""
    made: dict[tuple[int, int], LinearMap] = {}
    for (i, k), left in outer.blocks.items():
        for (row, j), right in inner.blocks.items():
            if row == k:
                part = _product(left, right)
                made[i, j] = total(made[i, j], part) if (i, j) in made else part
    return made


def total(first: LinearMap, second: LinearMap) -> LinearMap:
    """Return the sum of two maps of the same sizes; dense ones are added up."""
    if _is_matrix(first) and _is_matrix(second):
        return AlongAxis(first.matrix + second.matrix, first.in_shape, 0)
    same = first.in_shape == second.in_shape and first.out_shape == second.out_shape
    return added([first, second] if same else [flat_map(first), flat_map(second)])


def flat_map(map_: LinearMap) -> LinearMap:
    """Return a map from vectors to vectors, with the same matrix."""
    inside = Reshape((map_.in_size,), map_.in_shape)
    return composed(inside, map_, Reshape(map_.out_shape, (map_.out_size,)))


def _product(left: LinearMap, right: LinearMap) -> LinearMap:
    if _is_matrix(left) and _is_matrix(right):
        kind = torch.promote_types(left.matrix.dtype, right.matrix.dtype)
        matrix = left.matrix.to(kind) @ right.matrix.to(kind)
        return AlongAxis(matrix, right.in_shape, 0)
    if left.in_shape == right.out_shape:
        return composed(right, left)
    return composed(right, Reshape(right.out_shape, left.in_shape), left)


def _is_matrix(map_: LinearMap) -> TypeGuard[AlongAxis]:
    return isinstance(map_, AlongAxis) and len(map_.in_shape) == 1
