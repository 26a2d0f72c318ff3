"""Bounds on a linear map's absolute values times a vector, rounding included."""

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.rounding import UNIT, Array, gamma
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import (
    Added,
    Adjoint,
    Arrow,
    Composed,
    Diagram,
    added,
    composed,
    diagram,
)
from relulens.graph.maps.block_matrix import BlockMatrix


def dominating(map_: LinearMap) -> tuple[LinearMap, int]:
    """Return a product of absolute maps above a map, and terms summed on the way.

    Sums that could cancel are not formed, so that every number of the result is a sum
    of nonnegative products and has a small relative error.
    """
    match map_:
        case Composed(maps=maps):
            parts = [dominating(part) for part in maps]
            return composed(*(m for m, _ in parts)), sum(t for _, t in parts)
        case Added(maps=maps):
            parts = [dominating(part) for part in maps]
            return added([m for m, _ in parts]), max(t for _, t in parts) + len(parts)
        case Adjoint(map=inner):
            found, _ = dominating(inner)
            return Adjoint(found), _depth(map_)
        case Diagram(arrows=arrows):
            pairs = [(arrow, dominating(arrow.map)) for arrow in arrows]
            made = [Arrow(arrow.source, arrow.target, m) for arrow, (m, _) in pairs]
            return diagram(made), sum(t + 1 for _, (_, t) in pairs)
        case BlockMatrix(blocks=blocks):
            found = {key: dominating(part) for key, part in blocks.items()}
            maps = {key: m for key, (m, _) in found.items()}
            whole = BlockMatrix(maps, map_.row_offsets, map_.column_offsets)
            terms = max((t for _, t in found.values()), default=0)
            return whole, terms + map_.column_count
        case _:
            return map_.absolute().map, _depth(map_)


def _depth(map_: LinearMap) -> int:
    return max(map_.fans())


def _apply(map_: LinearMap, vector: Array) -> Array:
    argument: Tensor = torch.from_numpy(np.ascontiguousarray(vector))
    value = map_.apply(argument.reshape(1, *map_.in_shape))
    return value.reshape(-1).numpy()


def magnitude_product(map_: LinearMap, vector: Array) -> Array:
    """Return an upper bound on ``|K| v`` for v >= 0, entry by entry.

    The map's own absolute map is used where it is exact; its rounding is bounded by a
    product of absolute maps that cannot cancel.

    Args:
        map_: The map K, float64.
        vector: The vector v, nonnegative.
    """
    loose, terms = dominating(map_)
    above = _apply(loose, vector)
    close = _apply(map_.absolute().map, vector)
    slack = 2 * gamma(terms + _depth(map_)) * above
    return np.minimum(close + slack, above * (1 + gamma(terms))) * (1 + 4 * UNIT)
