"""Gains: how far a change of a nonlinear node's argument can carry, at most."""

from typing import assert_never

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.errors import OffendingNode, UnboundedError
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.coupled_gains import coupled_gains
from relulens.graph.groups import Groups
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import Scale, SparseMatrix
from relulens.graph.network import Network
from relulens.graph.nodes import Coupled, Maximum, Nonlinear, Smooth, TwoSlope
from relulens.graph.polyhedral import source_name


def group_gain(groups: Groups) -> SparseMatrix:
    """Return ones over each group: a maximum moves at most as far as its entries."""
    index = groups.ragged.index.cpu().numpy()
    pointers = groups.ragged.pointers.cpu().numpy()
    size = int(np.prod(groups.in_shape))
    matrix = csr_array(
        (np.ones(index.size), index, pointers), shape=(pointers.size - 1, size)
    )
    return SparseMatrix(matrix, groups.in_shape, groups.out_shape)


def _steepest(node: TwoSlope) -> Tensor:
    return torch.maximum(node.positive.abs(), node.negative.abs())


def _smooth_gain(node: Smooth, boxes: tuple[Bounds, ...] | None) -> Scale | None:
    if boxes is None:
        slope = torch.tensor(node.function.gain(), dtype=torch.float64)
    else:
        slope = node.function.gain_between(*boxes[0])[0]
    finite = bool(torch.isfinite(slope).all())
    return Scale(slope, node.shape) if finite else None


def node_gains(
    node: Nonlinear, boxes: tuple[Bounds, ...] | None = None
) -> tuple[LinearMap, ...] | None:
    """Return nonnegative maps that bound how a node carries changes of its arguments.

    With these maps Γ, ``|phi(z) - phi(z')| <= sum of Γ |z - z'|`` over the arguments.

    Args:
        node: The node.
        boxes: Bounds [1, *shape] of every argument, or nothing for all arguments.

    Returns:
        One map an argument, or nothing where there is no finite gain.
    """
    match node:
        case TwoSlope():
            return (Scale(_steepest(node), node.shape),)
        case Maximum():
            return (group_gain(node.groups),)
        case Smooth():
            gain = _smooth_gain(node, boxes)
            return None if gain is None else (gain,)
        case Coupled():
            return coupled_gains(node.function, boxes)
        case _:
            assert_never(node)


def gains(
    network: Network, index: int, boxes: tuple[Bounds, ...] | None = None
) -> tuple[LinearMap, ...]:
    """Return the gains of one nonlinear node of a network.

    Args:
        network: The network.
        index: Index of the node.
        boxes: Bounds [1, *shape] of every argument, or nothing for all arguments.

    Raises:
        UnboundedError: The node has no finite gain; the message names it.
    """
    nonlinear = dict(network.nonlinear())
    node = nonlinear[index]
    found = node_gains(node, boxes)
    if found is None:
        where = "anywhere" if boxes is None else "on its box"
        operation = (
            node.function.name
            if isinstance(node, Smooth | Coupled)
            else type(node).__name__
        )
        offending = OffendingNode(
            name=source_name(network, index),
            operation=operation,
            reason=f"no finite gain {where}",
        )
        raise UnboundedError("the network's gain", [offending])
    return found
