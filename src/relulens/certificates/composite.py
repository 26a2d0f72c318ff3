"""All arguments up to a layer's as affine maps of the input, on one region."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.rounding import Array, gamma
from relulens.graph.freeze import Frozen, freeze
from relulens.graph.linear_map import check_bytes
from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Smooth,
    TwoSlope,
    sources,
)
from relulens.graph.tangent import tangent_walk

COMPOSITE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Composite:
    """Rows of every argument, node after node; a maximum gives its differences first.

    Attributes:
        blocks: For every nonlinear node before the layer, and for the layer's argument
            under its own index, where its rows start.
        matrix: The rows [rows, ins].
        offset: Their constant parts.
        radius: The exact row differs from each by at most this, in the 1-norm.
        offset_radius: Likewise for the constant parts.
        values: The rows' values at the input [rows].
    """

    blocks: dict[int, int]
    matrix: Array
    offset: Array
    radius: Array
    offset_radius: Array
    values: Array


def _steps(network: Network, needed: list[int]) -> int:
    """Return how many terms any sum on the way may add up, all levels together."""
    total = 0
    for index in needed:
        node = network.nodes[index]
        if isinstance(node, Affine):
            fans = [t.map.entries() / max(t.map.out_size, 1) for t in node.terms]
            total += int(sum(fans)) + len(fans) + 1
    return total


def affine_sums(node: Affine, values: dict[int, Tensor], *, biased: bool) -> Tensor:
    """Return an affine node's sum of absolute values, with or without its bias."""
    total = torch.zeros((1, *node.shape), dtype=torch.float64)
    if node.bias is not None and biased:
        total = total + node.bias.abs()
    for term in node.terms:
        part = term.map.absolute().map.to(torch.float64, total.device)
        total = total + part.apply(values[term.source])
    return total


def path_sums(
    frozen: Frozen,
    needed: list[int],
    start: Tensor,
    *,
    biased: bool,
    still: Mapping[int, Tensor] | None = None,
) -> dict[int, Tensor]:
    """Return sums of absolute values of all paths, with ``start`` at the input.

    Paths through units that are ``still``, by node and unit, do not count.
    """
    values: dict[int, Tensor] = {}
    for index in needed:
        node = frozen.network.nodes[index]
        match node:
            case Input():
                values[index] = start
            case Affine():
                values[index] = affine_sums(node, values, biased=biased)
            case TwoSlope():
                slope = torch.where(frozen.gates[index], node.positive, node.negative)
                values[index] = values[node.source] * slope.abs()
                if still is not None and index in still:
                    values[index] = values[index].masked_fill(still[index], 0.0)
            case Maximum():
                winner = frozen.gates[index].flatten(1)
                taken = values[node.source].flatten(1).gather(1, winner)
                values[index] = taken.reshape(1, *node.shape)
            case Smooth() | Coupled():
                raise ValueError("not polyhedral")
            case _:
                assert_never(node)
    return values


def differences(node: Maximum, winner: Tensor) -> tuple[Tensor, Tensor]:
    """Return for every entry of every group its place and the group's winner's."""
    ragged = node.groups.ragged
    lengths = ragged.pointers.diff()
    return ragged.index, winner.reshape(-1).repeat_interleave(lengths)


def composite(network: Network, x: Tensor, end: int) -> Composite:
    """Return all arguments up to a node as affine maps on the region of one input.

    Args:
        network: The network, float64.
        x: One input [1, *input_shape].
        end: Index of the node whose value is the layer's argument.

    Raises:
        MemoryLimitError: The matrix would take more than one GiB.
    """
    needed = sorted(network.ancestors(end))
    inner = [i for i in needed if isinstance(network.nodes[i], TwoSlope | Maximum)]
    arguments = sorted({end, *(sources(network.nodes[i])[0] for i in inner)})
    size = sum(int(np.prod(network.nodes[i].shape)) for i in arguments)
    check_bytes(
        f"the maps [{size}, {network.input_size}] of all units on a region",
        8 * size * network.input_size,
        COMPOSITE_BYTES,
        "Ask about an earlier layer, or use scope='layer'.",
    )
    frozen = freeze(network, x, end, keep=arguments)
    eye = torch.eye(network.input_size, dtype=torch.float64)
    pushed = tangent_walk(
        frozen, eye.reshape(-1, *network.input_shape), start=0, keep=arguments
    )
    ones = torch.ones((1, *network.input_shape), dtype=torch.float64)
    most = path_sums(frozen, needed, ones, biased=False)
    reach = path_sums(frozen, needed, x.abs(), biased=True)
    return _assembled(frozen, inner, end, pushed, most, reach, _steps(network, needed))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows of one node: the maps, their values, and bounds on both."""

    matrix: Tensor
    value: Tensor
    most: Tensor
    reach: Tensor


def _block(
    frozen: Frozen,
    index: int,
    end: int,
    pushed: dict[int, Tensor],
    most: dict[int, Tensor],
    reach: dict[int, Tensor],
) -> _Block:
    network, node = frozen.network, frozen.network.nodes[index]
    source = end if index == end else sources(node)[0]
    size = int(np.prod(network.nodes[source].shape))
    matrix = torch.zeros((size, network.input_size), dtype=torch.float64)
    if source in pushed:
        matrix = pushed[source].reshape(network.input_size, -1).T
    found = _Block(
        matrix,
        frozen.values[source].reshape(-1),
        most[source].reshape(-1),
        reach[source].reshape(-1),
    )
    if not isinstance(node, Maximum) or index == end:
        return found
    entry, winner = differences(node, frozen.gates[index])
    return _Block(
        found.matrix[entry] - found.matrix[winner],
        found.value[entry] - found.value[winner],
        found.most[entry] + found.most[winner],
        found.reach[entry] + found.reach[winner],
    )


def _assembled(
    frozen: Frozen,
    inner: list[int],
    end: int,
    pushed: dict[int, Tensor],
    most: dict[int, Tensor],
    reach: dict[int, Tensor],
    steps: int,
) -> Composite:
    order = [*inner, end]
    found = [_block(frozen, index, end, pushed, most, reach) for index in order]
    starts = np.cumsum([0, *(block.matrix.shape[0] for block in found)])
    table = np.ascontiguousarray(torch.cat([block.matrix for block in found]).numpy())
    at = torch.cat([block.value for block in found]).numpy()
    rounding = gamma(steps + frozen.network.input_size)
    bounds = torch.cat([block.most for block in found]).numpy()
    errors = torch.cat([block.reach for block in found]).numpy()
    return Composite(
        blocks=dict(zip(order, starts.tolist(), strict=False)),
        matrix=table,
        offset=at - table @ frozen.x.reshape(-1).numpy(),
        radius=rounding * bounds if steps else np.zeros(at.size),
        offset_radius=2 * rounding * errors,
        values=at,
    )
