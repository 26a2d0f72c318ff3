"""A hash of the weights that a certificate is about."""

import hashlib
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from relulens.certificates.subjects import GivenMatrix, LayerMap, RegionMap, Subject
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


def _add(state: "hashlib._Hash", values: object) -> None:
    array: NDArray[np.generic] = np.ascontiguousarray(values)
    state.update(f"{array.dtype.str}{array.shape}".encode())
    state.update(array.tobytes())


def _add_affine(state: "hashlib._Hash", node: Affine) -> None:
    for term in node.terms:
        matrix = term.map.to_sparse()
        matrix.sort_indices()
        for part in (matrix.indptr, matrix.indices):
            _add(state, part.astype(np.int64))
        _add(state, matrix.data)
    if node.bias is not None:
        _add(state, node.bias.to(torch.float64).cpu().numpy())


def _add_node(state: "hashlib._Hash", node: Node) -> None:
    state.update(f"{type(node).__name__}{node.shape}{sources(node)}".encode())
    match node:
        case Input():
            return
        case Affine():
            _add_affine(state, node)
        case TwoSlope():
            _add(state, node.negative.to(torch.float64).cpu().numpy())
            _add(state, node.positive.to(torch.float64).cpu().numpy())
        case Maximum():
            _add(state, node.groups.ragged.index.numpy())
            _add(state, node.groups.ragged.pointers.numpy())
        case Smooth() | Coupled():
            state.update(node.function.name.encode())
        case _:
            assert_never(node)


def network_digest(network: Network, node: int) -> str:
    """Return a SHA-256 of all that a node's value depends on, in hexadecimal.

    Cost:
        Every linear map before the node is made sparse once.
    """
    state = hashlib.sha256(b"relulens weights 1")
    for index in sorted(network.ancestors(node)):
        state.update(str(index).encode())
        _add_node(state, network.nodes[index])
    return state.hexdigest()


def digest(subject: Subject) -> str:
    """Return a SHA-256 of the raw weights of a subject, in hexadecimal."""
    match subject:
        case GivenMatrix(matrix=matrix):
            state = hashlib.sha256(b"relulens matrix 1")
            if isinstance(matrix, torch.Tensor):
                _add(state, matrix.numpy())
            else:
                for part in (matrix.indptr, matrix.indices):
                    _add(state, part.astype(np.int64))
                _add(state, matrix.data)
                _add(state, np.array(matrix.shape))
            return state.hexdigest()
        case LayerMap() | RegionMap():
            return network_digest(subject.network, subject.node)
