"""What a node reads: its argument as one affine map of the values before it."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array

from relulens.certificates.rounding import Array, gamma
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap, check_bytes
from relulens.graph.maps import Composed
from relulens.graph.network import Network
from relulens.graph.nodes import Affine


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A running product of affine maps, with a bound on what rounding did to it."""

    matrix: csr_array
    size: csr_array
    terms: int
    exact: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reading:
    """A node's value as an affine map of values that are not affine.

    Attributes:
        leaves: Indices of the nodes read, in order: the input, or nonlinear nodes.
        matrix: Coefficients [size, sum of the leaves' sizes].
        offset: Constant part [size].
        radius: The exact row differs from each row by at most this, in the 1-norm.
        offset_radius: Likewise for the constant part.
    """

    leaves: tuple[int, ...]
    matrix: csr_array
    offset: Array
    radius: Array
    offset_radius: Array


def _moves_only(matrix: csr_array) -> bool:
    """Tell whether rows and columns have one entry at most, all of size one."""
    rows = np.diff(matrix.indptr)
    columns = np.bincount(matrix.indices, minlength=matrix.shape[1])
    ones = bool((np.abs(matrix.data) == 1).all())
    return ones and bool((rows <= 1).all()) and bool((columns <= 1).all())


def _factors(map_: LinearMap) -> tuple[LinearMap, ...]:
    return map_.maps if isinstance(map_, Composed) else (map_,)


def _applied(map_: LinearMap, part: _Part) -> _Part:
    for factor in _factors(map_):
        matrix = factor.to_sparse()
        product = csr_array(matrix @ part.matrix)
        size = csr_array(abs(matrix) @ part.size)
        check_bytes(
            f"the matrix [{product.shape[0]}, {product.shape[1]}] that a layer reads",
            32 * product.nnz,
            BYTE_LIMIT,
            "Ask about a layer with fewer connections.",
        )
        widest = int(np.diff(matrix.indptr).max()) if matrix.shape[0] else 0
        kept = _moves_only(matrix) or _moves_only(part.matrix)
        part = _Part(
            product, size, part.terms + (0 if kept else widest), part.exact and kept
        )
    return part


def _added(parts: list[_Part]) -> _Part:
    first = parts[0]
    for other in parts[1:]:
        overlap = first.size.multiply(other.size).nnz > 0
        first = _Part(
            csr_array(first.matrix + other.matrix),
            csr_array(first.size + other.size),
            max(first.terms, other.terms) + 1,
            first.exact and other.exact and not overlap,
        )
    return first


def _identity(size: int) -> _Part:
    eye = csr_array(
        (np.ones(size), np.arange(size), np.arange(size + 1)), shape=(size, size)
    )
    return _Part(eye, eye, 0, exact=True)


def _constants(network: Network, nodes: list[int]) -> dict[int, tuple[Array, Array]]:
    """Return each affine node's constant part, and a bound on its rounding."""
    values: dict[int, tuple[Array, Array]] = {}
    for index in nodes:
        node = network.nodes[index]
        if not isinstance(node, Affine):
            continue
        size = int(np.prod(node.shape))
        total, error = np.zeros(size), np.zeros(size)
        if node.bias is not None:
            bias = node.bias.to(torch.float64).expand(node.shape)
            total = bias.reshape(-1).numpy().copy()
        for term in node.terms:
            if term.source not in values:
                continue
            before, bound = values[term.source]
            if not before.any() and not bound.any():
                continue
            matrix = term.map.to_sparse()
            moved, magnitude = matrix @ before, abs(matrix) @ np.abs(before)
            widest = int(np.diff(matrix.indptr).max()) if matrix.shape[0] else 0
            error = error + abs(matrix) @ bound * (1 + 1e-12)
            error = error + gamma(widest + 2) * (magnitude + np.abs(total))
            total = total + moved
        values[index] = (total, error)
    return values


def _linear_parts(
    network: Network, nodes: list[int], leaves: tuple[int, ...]
) -> dict[int, dict[int, _Part]]:
    parts: dict[int, dict[int, _Part]] = {}
    for index in nodes:
        node = network.nodes[index]
        if index in leaves:
            parts[index] = {index: _identity(int(np.prod(node.shape)))}
        elif isinstance(node, Affine):
            found: dict[int, list[_Part]] = {}
            for term in node.terms:
                for leaf, part in parts[term.source].items():
                    found.setdefault(leaf, []).append(_applied(term.map, part))
            parts[index] = {leaf: _added(several) for leaf, several in found.items()}
    return parts


def leaves_of(network: Network, node: int) -> tuple[int, ...]:
    """Return the nodes, not affine, that a node reads through affine ones."""
    return affine_between(network, node)[0]


def affine_between(network: Network, node: int) -> tuple[tuple[int, ...], list[int]]:
    """Return these nodes, and with them all affine ones on the way, in order."""
    found: set[int] = set()
    seen, open_ = {node}, [node]
    while open_:
        index = open_.pop()
        current = network.nodes[index]
        if not isinstance(current, Affine):
            found.add(index)
            continue
        for term in current.terms:
            if term.source not in seen:
                seen.add(term.source)
                open_.append(term.source)
    return tuple(sorted(found)), sorted(seen)


def reading(network: Network, node: int) -> Reading:
    """Return a node's value as an affine map of all that it reads, concatenated.

    Raises:
        MemoryLimitError: The sparse matrix is over the limit.
    """
    leaves, nodes = affine_between(network, node)
    parts = _linear_parts(network, nodes, leaves)[node]
    size = int(np.prod(network.nodes[node].shape))
    blocks = []
    radius = np.zeros(size)
    for leaf in leaves:
        width = int(np.prod(network.nodes[leaf].shape))
        empty = csr_array((size, width))
        part = parts.get(leaf, _Part(empty, empty, 0, exact=True))
        blocks.append(part.matrix)
        if not part.exact:
            ones = np.ones(width)
            radius += gamma(part.terms + 2) * (part.size @ ones) * (1 + 1e-12)
    offset, error = _constants(network, nodes).get(
        node, (np.zeros(size), np.zeros(size))
    )
    return Reading(
        leaves=leaves,
        matrix=_beside(blocks, size),
        offset=offset,
        radius=radius,
        offset_radius=error,
    )


def _beside(blocks: list[csr_array], size: int) -> csr_array:
    if len(blocks) == 1:
        return blocks[0]
    starts = np.cumsum([0, *(block.shape[1] for block in blocks)])
    table = [block.tocoo() for block in blocks]
    rows = np.concatenate([block.coords[0] for block in table])
    columns = np.concatenate([
        block.coords[1] + start for block, start in zip(table, starts, strict=False)
    ])
    data = np.concatenate([block.data for block in table])
    return csr_array((data, (rows, columns)), shape=(size, int(starts[-1])))
