"""Where the weights of a statement are: a matrix, a layer's own map, a region's map."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from relulens.certificates.composite import composite
from relulens.certificates.reading import reading
from relulens.certificates.rounding import Array
from relulens.graph.network import Network

Matrix: TypeAlias = Array | csr_array

DENSE_BYTES = 1 << 26
"""A matrix up to this size is held dense."""


@dataclass(slots=True, eq=False, kw_only=True)
class Weights:
    """The rows that a statement is about, as numbers.

    Attributes:
        matrix: Rows [outs, ins], dense or sparse.
        offset: Constant parts [outs].
        radius: The exact row differs from each by at most this, in the 1-norm.
        offset_radius: Likewise for the constant parts.
        domain: Rows [domain_rows, ins] of a polytope that bounds the variable.
        blocks: Where the rows of each node start, for a region's map.
    """

    matrix: Matrix
    offset: Array
    radius: Array
    offset_radius: Array
    domain: Array
    blocks: Mapping[int, int] = field(default_factory=dict)
    _stacked: csr_array | None = field(default=None)

    @property
    def outs(self) -> int:
        """Number of rows of the weights."""
        return int(self.matrix.shape[0])

    @property
    def ins(self) -> int:
        """Number of coordinates of the variable."""
        return int(self.matrix.shape[1])

    @property
    def domain_rows(self) -> int:
        """Number of rows of the polytope domain."""
        return int(self.domain.shape[0])

    @property
    def sparse(self) -> bool:
        """Whether the matrix is sparse."""
        return not isinstance(self.matrix, np.ndarray)

    def stacked(self) -> csr_array:
        """Return weights, coordinates and domain rows in one sparse matrix."""
        if self._stacked is None:
            weights = csr_array(self.matrix).tocoo()
            extra = csr_array(self.domain).tocoo()
            eye = np.arange(self.ins)
            below = self.outs + self.ins + extra.coords[0]
            rows = np.concatenate([weights.coords[0], eye + self.outs, below])
            columns = np.concatenate([weights.coords[1], eye, extra.coords[1]])
            data = np.concatenate([weights.data, np.ones(self.ins), extra.data])
            shape = (self.outs + self.ins + self.domain_rows, self.ins)
            self._stacked = csr_array((data, (rows, columns)), shape=shape)
        return self._stacked


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GivenMatrix:
    """Rows that were passed as an array.

    Attributes:
        matrix: The rows [outs, ins], an array or a sparse matrix.
    """

    matrix: Float[Tensor, "outs ins"] | csr_array


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LayerMap:
    """The affine map that a layer applies to everything it reads.

    Attributes:
        network: The network, float64.
        node: Index of the node whose value is the layer's argument.
        domain: Rows of a polytope that bounds the variable, if any.
    """

    network: Network
    node: int
    domain: Float[Tensor, "rows ins"] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RegionMap:
    """The affine maps of all arguments up to a layer's, on the region of an input.

    Attributes:
        network: The network, float64.
        node: Index of the node whose value is the layer's argument.
        x: The input [1, *input_shape].
        domain: Rows of a polytope that bounds the input, if any.
    """

    network: Network
    node: int
    x: Tensor
    domain: Float[Tensor, "rows ins"] | None = None


Subject: TypeAlias = GivenMatrix | LayerMap | RegionMap


def weights_of(subject: Subject) -> Weights:
    """Return a subject's rows as numbers, made from the raw weights.

    Raises:
        MemoryLimitError: The matrix is over the limit.
    """
    match subject:
        case GivenMatrix(matrix=matrix):
            held = matrix.numpy() if isinstance(matrix, Tensor) else matrix
            zeros = np.zeros(held.shape[0])
            return _weights(held, zeros, zeros, zeros, None)
        case LayerMap(network=network, node=node):
            read = reading(network, node)
            small = 8 * read.matrix.shape[0] * read.matrix.shape[1] <= DENSE_BYTES
            rows: Matrix = (
                np.ascontiguousarray(read.matrix.toarray()) if small else read.matrix
            )
            return _weights(
                rows, read.offset, read.radius, read.offset_radius, subject.domain
            )
        case RegionMap(network=network, node=node, x=x):
            all_ = composite(network, x, node)
            return _weights(
                all_.matrix,
                all_.offset,
                all_.radius,
                all_.offset_radius,
                subject.domain,
                all_.blocks,
            )


def _weights(
    matrix: Matrix,
    offset: Array,
    radius: Array,
    offset_radius: Array,
    domain: Tensor | None,
    blocks: Mapping[int, int] | None = None,
) -> Weights:
    rows = np.zeros((0, matrix.shape[1])) if domain is None else domain.numpy()
    return Weights(
        matrix=matrix,
        offset=offset,
        radius=radius,
        offset_radius=offset_radius,
        domain=rows,
        blocks=blocks or {},
    )
