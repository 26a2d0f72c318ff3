"""The local constant: the operator norm of the slope at every input."""

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.convert import converted
from relulens.graph.network import Network
from relulens.graph.polyhedral import polyhedral
from relulens.local.affine_map import local_affine_map
from relulens.robustness.lipschitz.operator_norms import (
    Norm,
    checked_norm,
    operator_norms,
)

ENTRIES = 1 << 24
"""Entries of the slopes that are held at once."""


def local_lipschitz(
    network: Network, x: object, /, norm: Norm | float = 2
) -> Float[Tensor, " batch"]:
    r"""Return the Lipschitz constant of the network near every input.

    It is :math:`\max_v \|J v\|_p / \|v\|_p` for the slope J of the input's region, with
    one norm p for input and output. For a single output it is the dual norm of the
    gradient: for ``norm="inf"`` the sum of the absolute partial derivatives.

    Args:
        network: A piecewise-affine network.
        x: Inputs [N, *input_shape]; on a boundary the slope is the tie convention's.
        norm: 1, 2 or ``"inf"``: of the input, and of the output.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.
        NotPolyhedralError: A node is not piecewise affine; all are named.
        InvalidArgumentError: The norm is none of the three.

    Cost:
        As many passes as the smaller of the two sizes.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0, 2.0]], None), ([[3.0]], None)])
        >>> local_lipschitz(network, [[1.0, 1.0], [-1.0, -1.0]], norm="inf").tolist()
        [9.0, 0.0]
    """
    p = checked_norm(norm)
    polyhedral(network, network.output, question="local_lipschitz")
    wide = converted(network, torch.float64)
    point = wide.as_input(x)
    size = max(1, wide.input_size * wide.output_size)
    parts = [
        operator_norms(local_affine_map(wide, part).slope, p)
        for part in point.split(max(1, ENTRIES // size))
    ]
    return torch.cat([point.new_zeros(0), *parts])
