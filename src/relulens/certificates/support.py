"""Which rows of a subject can read some coordinates at all, told from paths alone."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.certificates.composite import affine_sums, differences, path_sums
from relulens.certificates.reading import affine_between
from relulens.certificates.subjects import (
    GivenMatrix,
    LayerMap,
    RegionMap,
    Subject,
    Weights,
)
from relulens.certificates.system import Indices, Rows, take
from relulens.graph.freeze import freeze
from relulens.graph.nodes import Affine, Maximum, TwoSlope, sources

_LARGE = 2.0**900
"""Paths start with it so that tiny weights do not underflow; overflow counts as met."""


def reads(
    subject: Subject,
    weights: Weights,
    rows: Rows,
    columns: Indices,
    still: Indices | None = None,
) -> NDArray[np.bool_]:
    """Return which rows may have an entry that is not zero in some columns.

    A product of weights is known to rounding only; but where no path of nonzero weights
    leads from a coordinate to a row, the entry is exactly zero. Nor does a row change
    along a direction if all paths to it pass units whose own argument does not.

    Args:
        subject: Where the rows are.
        weights: The rows as numbers.
        rows: The rows asked about.
        columns: The coordinates.
        still: Rows of the weights that are exactly zero along the direction meant.

    Cost:
        One pass through the layers that the rows pass.
    """
    taken = take(weights, rows)
    part = taken.matrix[:, columns]
    met = np.asarray(abs(part).sum(1)).reshape(-1) > 0
    rounded = np.flatnonzero(taken.radius > 0)
    if rounded.size:
        touched = _touched(subject, weights, columns, still)
        there = touched[rows.index.numpy()[rounded]]
        met[rounded] = there if isinstance(subject, RegionMap) else met[rounded] | there
    return met


def _touched(
    subject: Subject, weights: Weights, columns: Indices, still: Indices | None
) -> NDArray[np.bool_]:
    start = torch.zeros(weights.ins, dtype=torch.float64)
    start[torch.from_numpy(columns)] = _LARGE
    match subject:
        case GivenMatrix():
            return np.ones(weights.outs, dtype=bool)
        case LayerMap():
            return _by_layer(subject, start)
        case RegionMap():
            return _by_region(subject, weights, start, still)


def _by_layer(subject: LayerMap, start: Tensor) -> NDArray[np.bool_]:
    network = subject.network
    leaves, nodes = affine_between(network, subject.node)
    values: dict[int, Tensor] = {}
    used = 0
    for index in leaves:
        shape = network.nodes[index].shape
        size = int(np.prod(shape))
        values[index] = start[used : used + size].reshape(1, *shape)
        used += size
    for index in nodes:
        node = network.nodes[index]
        if isinstance(node, Affine) and index not in values:
            values[index] = affine_sums(node, values, biased=False)
    return values[subject.node].reshape(-1).numpy() != 0


def _by_region(
    subject: RegionMap, weights: Weights, start: Tensor, still: Indices | None
) -> NDArray[np.bool_]:
    network, end = subject.network, subject.node
    needed = sorted(network.ancestors(end))
    inner = [i for i in needed if isinstance(network.nodes[i], TwoSlope | Maximum)]
    arguments = sorted({end, *(sources(network.nodes[i])[0] for i in inner)})
    frozen = freeze(network, subject.x, end, keep=arguments)
    begun = start.reshape(1, *network.input_shape)
    halted: dict[int, Tensor] = {}
    for index in inner:
        node = network.nodes[index]
        if still is not None and isinstance(node, TwoSlope):
            size = int(np.prod(node.shape))
            places = still - weights.blocks[index]
            flat = torch.zeros(size, dtype=torch.bool)
            flat[torch.from_numpy(places[(places >= 0) & (places < size)])] = True
            halted[index] = flat.reshape(node.shape)
    sums = path_sums(frozen, needed, begun, biased=False, still=halted)
    parts: list[Tensor] = []
    for index in inner:
        node = network.nodes[index]
        flat = sums[sources(node)[0]].reshape(-1)
        if isinstance(node, Maximum):
            entry, winner = differences(node, frozen.gates[index])
            flat = flat[entry] + flat[winner]
        parts.append(flat)
    parts.append(sums[end].reshape(-1))
    return torch.cat(parts).numpy() != 0
