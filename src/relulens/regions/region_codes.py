"""Codes of many regions at once: by layer, and how many differ."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.network import Layer
from relulens.graph.nodes import TwoSlope
from relulens.graph.polyhedral import Polyhedral

Codes = Mapping[int, NDArray[np.int64]]
"""For every nonlinear node, the codes [regions, size]."""


def distinct(region: Polyhedral, codes: Codes, cells: int) -> NDArray[np.int64]:
    """Return which pattern each cell has, numbered as they come first.

    Args:
        region: The network.
        codes: Codes of the cells.
        cells: How many there are.
    """
    nodes = [region.nodes[i] for i in codes]
    if all(isinstance(node, TwoSlope) for node in nodes):
        return np.arange(cells)
    return same_rows([*codes.values()], cells)


def same_rows(tables: list[NDArray[np.int64]], cells: int) -> NDArray[np.int64]:
    """Return a number for every row of tables side by side, equal where rows are."""
    table = np.concatenate([np.zeros((cells, 1), int), *tables], axis=1)
    packed = np.ascontiguousarray(table.astype(np.int32))
    rows = packed.view(np.dtype((np.void, packed.dtype.itemsize * packed.shape[1])))
    _, first, owner = np.unique(rows.ravel(), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[owner.reshape(-1)]


def layer_codes(
    region: Polyhedral, codes: Codes, first: NDArray[np.int64], device: torch.device
) -> dict[str, Tensor]:
    """Return the codes of layers, as ``activation_pattern`` gives them.

    Args:
        region: The network.
        codes: Codes of the cells; layers whose nodes are missing are left out.
        first: The cells to take, one a region.
        device: Where to.
    """
    found: dict[str, Tensor] = {}
    for layer in region.network.layers:
        if layer.nodes and all(node in codes for node in layer.nodes):
            found[layer.name] = _code(layer, region, codes, first).to(device)
    return found


def _code(
    layer: Layer, region: Polyhedral, codes: Codes, first: NDArray[np.int64]
) -> Tensor:
    head, *rest = (codes[node][first] for node in layer.nodes)
    node = region.nodes[layer.nodes[0]]
    total = head + sum((1 - code for code in rest), np.zeros_like(head))
    kind = torch.int8 if isinstance(node, TwoSlope) else torch.int32
    return torch.from_numpy(total).to(kind)
