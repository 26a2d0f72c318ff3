"""Values and slopes in the middle of every cell of a slice, for pictures."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.graph.freeze import freeze
from relulens.graph.pieces import row_ranges
from relulens.graph.tangent import tangent
from relulens.regions.partition import Partition

_BYTES = 1 << 28
"""Bytes of the gates that are kept at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CellValues:
    """What the network does in the middle of every cell.

    Attributes:
        output: The outputs at the cells' centres [cells, out].
        prediction: The largest output there, the first of equals [cells]; a boundary
            between predictions may cross a cell.
        slope_norm: Spectral norm of the slope along the plane [cells]: the fastest
            change of the outputs (Euclidean) for a unit step within the plane, in units
            of the input.
    """

    output: Float[Tensor, "cells out"]
    prediction: Int[Tensor, " cells"]
    slope_norm: Float[Tensor, " cells"]


def cell_values(partition: Partition) -> CellValues:
    """Return outputs and slope norms in the middle of every cell.

    They are evaluated at the float64 centre, so a cell narrower than the rounding of
    its centre may show a neighbour's.

    Args:
        partition: The cells.

    Cost:
        Three forward passes a cell, in batches.
    """
    network, plane = partition.network, partition.plane
    flat = plane.directions.flatten(1)
    unit, _ = torch.linalg.qr(flat.T)
    pair = unit.T.reshape(2, *plane.origin.shape).to(network.device, network.dtype)
    outputs = [torch.zeros(0, network.output_size, dtype=torch.float64)]
    norms = [torch.zeros(0, dtype=torch.float64)]
    rows_at_most = max(1, _BYTES // max(network.state_size, 1))
    for rows in row_ranges(partition.count, rows_at_most):
        x = plane.points(partition.centres[rows]).to(network.device, network.dtype)
        frozen = freeze(network, x, network.output)
        outputs.append(frozen.values[network.output].flatten(1).double())
        pushed = tangent(frozen, pair.repeat(len(x), *([1] * (pair.ndim - 1))))
        slopes = pushed.flatten(1).double().reshape(len(x), 2, -1)
        norms.append(_largest(slopes))
    output = torch.cat(outputs)
    return CellValues(
        output=output, prediction=output.argmax(1), slope_norm=torch.cat(norms)
    )


def _largest(slopes: Float[Tensor, "cells 2 out"]) -> Float[Tensor, " cells"]:
    """Return the largest singular value of two rows a cell."""
    gram = slopes @ slopes.mT
    return torch.linalg.eigvalsh(gram)[:, -1].clamp(min=0).sqrt()
