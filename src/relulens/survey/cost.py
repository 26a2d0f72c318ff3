"""What work on a network costs, from its shapes alone."""

import math

from relulens.graph.network import Network
from relulens.graph.nodes import Affine

WORKING_BYTES = 256 << 20
"""Bytes of values that one batch may hold at a time."""

SHARD_OPERATIONS = 4e10
"""Multiplications after which a shard should end, a few seconds' worth."""


def multiplications(network: Network, end: int | None = None) -> int:
    """Return the multiplications of one forward pass up to a node, at most.

    Args:
        network: The network.
        end: Index of the node; the output by default.
    """
    needed = network.ancestors(network.output if end is None else end)
    nodes = (network.nodes[index] for index in needed)
    return sum(
        term.map.entries()
        for node in nodes
        if isinstance(node, Affine)
        for term in node.terms
    )


def value_bytes(network: Network) -> int:
    """Return the bytes of all values of one forward pass."""
    needed = network.ancestors(network.output)
    size = sum(math.prod(network.nodes[index].shape) for index in needed)
    return size * network.dtype.itemsize


def rows_within(bytes_each: float, operations_each: float, most: int) -> int:
    """Return how many rows a shard holds.

    Args:
        bytes_each: Bytes that one row needs at a time.
        operations_each: Multiplications that one row takes.
        most: The largest answer.
    """
    by_bytes = WORKING_BYTES // max(1.0, bytes_each)
    by_work = SHARD_OPERATIONS // max(1.0, operations_each)
    return max(1, min(most, int(by_bytes), int(by_work)))
