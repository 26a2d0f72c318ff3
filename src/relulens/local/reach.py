"""Which positions of the input each position of a node can depend on.

A node of shape ``(channels, *lengths)`` has ``prod(lengths)`` positions, and a flat one
has one. Convolutions and pooling read few of them, so that columns of a Jacobian which
no position of a node reads together can be pushed through the network together.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from relulens.graph.groups import Groups
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import (
    AlongAxis,
    AveragePool,
    Composed,
    Convolution,
    Identity,
    Scale,
)
from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
    sources,
)

MOST = 1 << 24
"""Entries of the largest table of reach that is worth making."""


def positions(shape: Shape) -> int:
    """Return the number of positions of a node of this shape."""
    return math.prod(shape[1:]) if len(shape) > 1 else 1


def channels(shape: Shape) -> int:
    """Return the number of entries at one position."""
    return shape[0] if shape else 1


def reaches(
    network: Network, start: int, wanted: Iterable[int]
) -> dict[int, Bool[Tensor, "node input"]] | None:
    """Return which positions of ``start`` each position of other nodes may depend on.

    Args:
        network: The network.
        start: Index of the node that is varied.
        wanted: Indices of the nodes asked about.

    Returns:
        A table for every wanted node that depends on ``start``; never too few ones.
        Nothing if a table would have more than ``MOST`` entries.
    """
    keep = set(wanted)
    needed = frozenset[int]().union(*(network.ancestors(i) for i in keep))
    own = positions(network.nodes[start].shape)
    sizes = [positions(network.nodes[i].shape) for i in needed if i >= start]
    if own * max(sizes, default=1) > MOST:
        return None
    found = {start: torch.eye(own, dtype=torch.bool)}
    for index in sorted(i for i in needed if i > start):
        if any(i in found for i in sources(network.nodes[index])):
            found[index] = _node_reach(network, index, found)
    return {index: found[index] for index in keep if index in found}


def _node_reach(network: Network, index: int, found: Mapping[int, Tensor]) -> Tensor:
    node = network.nodes[index]
    width = next(iter(found.values())).shape[1]
    total = torch.zeros((positions(node.shape), width), dtype=torch.bool)
    for part in _read(node, found):
        total |= part
    return total


def _read(node: Node, found: Mapping[int, Tensor]) -> list[Tensor]:
    """Return what each value that a node reads lets through."""
    match node:
        case Affine(terms=terms):
            given = [term for term in terms if term.source in found]
            return [_through(term.map, found[term.source]) for term in given]
        case TwoSlope() | Smooth():
            return [found[node.source]]
        case Maximum():
            return [_through_groups(node.groups, found[node.source])]
        case Coupled() | Input():
            return [found[i].any(0) for i in sources(node) if i in found]


def _through(map_: LinearMap, reach: Tensor) -> Tensor:
    match map_:
        case Identity() | Scale():
            return reach
        case Composed():
            for part in map_.maps:
                reach = _through(part, reach)
            return reach
        case AlongAxis(axis=0):
            return reach
        case Convolution() | AveragePool():
            return _windowed(map_.windows.positions(map_.in_shape[1:]), reach)
        case _ if 1 in (positions(map_.out_shape), reach.shape[0]):
            return reach.any(0).expand(positions(map_.out_shape), -1)
        case _:
            matrix = map_.to_sparse().tocoo()
            rows = torch.from_numpy(matrix.row % positions(map_.out_shape))
            columns = torch.from_numpy(matrix.col % reach.shape[0])
            return _linked(rows, columns, positions(map_.out_shape), reach)


def _through_groups(groups: Groups, reach: Tensor) -> Tensor:
    if groups.windows is not None:
        return _windowed(groups.windows.positions(groups.in_shape[1:]), reach)
    if groups.axis == 0:
        # One channel less: a position of the result is the same entry of every channel.
        return reach.any(0).expand(positions(groups.out_shape), -1)
    ragged = groups.ragged
    lengths = ragged.pointers.diff()
    place = torch.arange(len(lengths)) % positions(groups.out_shape)
    rows = place.repeat_interleave(lengths.cpu())
    columns = ragged.index.cpu() % reach.shape[0]
    return _linked(rows, columns, positions(groups.out_shape), reach)


def _linked(rows: Tensor, columns: Tensor, count: int, reach: Tensor) -> Tensor:
    link = torch.zeros((count, reach.shape[0]))
    link[rows.long(), columns.long()] = 1.0
    return link @ reach.float() > 0


def _windowed(places: np.ndarray, reach: Tensor) -> Tensor:
    """Return the union of the reach over every window's entries, -1 left out."""
    padded = torch.cat([reach, torch.zeros((1, reach.shape[1]), dtype=torch.bool)])
    table = torch.from_numpy(places)
    total = padded[table[:, 0]]
    for column in range(1, table.shape[1]):
        total |= padded[table[:, column]]
    return total


def conflicts(table: Bool[Tensor, "_ input"]) -> Bool[Tensor, "input input"]:
    """Return which input positions some position of a node reads together."""
    dense = table.float()
    return dense.T @ dense > 0


def coloured(conflict: Bool[Tensor, "input input"]) -> Int[Tensor, " input"]:
    """Return colours such that no two input positions of one colour are in conflict.

    Returns:
        A colour from zero up for every input position, by first fit in order.
    """
    count = conflict.shape[0]
    if bool(conflict.all()):
        return torch.arange(count)
    clashes = conflict.numpy()
    colour = np.full(count, -1)
    for place in range(count):
        used = colour[:place][clashes[place, :place]]
        taken = np.zeros(place + 1, dtype=bool)
        taken[used] = True
        colour[place] = int(np.argmin(taken))
    return torch.from_numpy(colour)
