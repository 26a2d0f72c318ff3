"""Codes at points in whole numbers, where float64 may round a zero to a sign."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from relulens.graph.nodes import TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.regions.exact import ExactValues, whole_numbers
from relulens.regions.region_codes import layer_codes


def exact_codes(
    region: Polyhedral, points: NDArray[np.float64]
) -> dict[str, torch.Tensor]:
    """Return the codes of layers at points, without rounding.

    Args:
        region: The network, in float64 on the CPU.
        points: Points [k, inputs], taken as they are.
    """
    exact = ExactValues(region)
    found: dict[int, NDArray[np.int64]] = {}
    wholes = [whole_numbers([*point.tolist(), 1.0])[0] for point in points]
    for index, node in region.nonlinear():
        rows = [exact.at(point, node.source)[0] for point in wholes]
        if isinstance(node, TwoSlope):
            bends = (node.positive != node.negative).expand(node.shape).flatten()
            code = [[int(z > 0) for z in row] for row in rows]
            found[index] = np.array(code, np.int64) * bends.numpy()
            continue
        ragged = node.groups.ragged
        members = ragged.index.tolist()
        groups = [members[a:b] for a, b in pairwise(ragged.pointers.tolist())]
        # The first of the largest wins, as max returns the first one.
        code = [[max(group, key=row.__getitem__) for group in groups] for row in rows]
        found[index] = np.array(code, np.int64)
    every = np.arange(len(points))
    return layer_codes(region, found, every, torch.device("cpu"))
