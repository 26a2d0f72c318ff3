"""Maps made of maps: the adjoint, the product and the sum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.errors import InvalidArgumentError, MemoryLimitError
from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape
from relulens.graph.maps.indexing import Reshape
from relulens.graph.maps.scaling import Identity
from relulens.graph.maps.sparse import SparseMatrix
from relulens.graph.maps.sparse_product import product, total


@dataclass(frozen=True, slots=True, eq=False)
class Adjoint(LinearMap):
    """The transpose of a map, such as the transposed convolution of a convolution."""

    map: LinearMap

    @property
    def in_shape(self) -> Shape:
        """The result's shape of the map."""
        return self.map.out_shape

    @property
    def out_shape(self) -> Shape:
        """The argument's shape of the map."""
        return self.map.in_shape

    @property
    def rows_single(self) -> bool:
        """Whether the map's columns are single."""
        return self.map.columns_single

    @property
    def columns_single(self) -> bool:
        """Whether the map's rows are single."""
        return self.map.rows_single

    @property
    def nonnegative(self) -> bool:
        """Whether the map is nonnegative."""
        return self.map.nonnegative

    def apply(self, x: Tensor) -> Tensor:
        """Return the map's adjoint."""
        return self.map.adjoint(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the map's value."""
        return self.map.apply(y)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the transpose of the map's absolute map."""
        inner = self.map.absolute(limit=limit)
        return Absolute(Adjoint(inner.map), inner.exact)

    def entries(self) -> int:
        """Return the map's entries."""
        return self.map.entries()

    def fans(self) -> tuple[int, int]:
        """Return the map's, swapped."""
        rows, columns = self.map.fans()
        return columns, rows

    def _sparse(self, limit: int) -> csr_array:
        return csr_array(self.map.to_sparse(limit=limit).T)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Adjoint":
        """Return the adjoint of the converted map."""
        return Adjoint(self.map.to(dtype, device))


@dataclass(frozen=True, slots=True, eq=False)
class Composed(LinearMap):
    """Maps one after another, the first applied first.

    Attributes:
        maps: At least one map; each reads what the one before it gives.
    """

    maps: tuple[LinearMap, ...]

    def __post_init__(self) -> None:
        """Check that neighbours fit.

        Raises:
            InvalidArgumentError: A map reads another shape than the one before gives.
        """
        for first, second in zip(self.maps, self.maps[1:], strict=False):
            if first.out_shape != second.in_shape:
                raise InvalidArgumentError(
                    f"cannot compose linear maps: the first gives {first.out_shape},"
                    f" and the second reads {second.in_shape}. Reshape between them."
                )

    @property
    def in_shape(self) -> Shape:
        """The first map's argument."""
        return self.maps[0].in_shape

    @property
    def out_shape(self) -> Shape:
        """The last map's result."""
        return self.maps[-1].out_shape

    @property
    def rows_single(self) -> bool:
        """Whether every part has single rows, which is enough."""
        return all(part.rows_single for part in self.maps)

    @property
    def columns_single(self) -> bool:
        """Whether every part has single columns, which is enough."""
        return all(part.columns_single for part in self.maps)

    @property
    def nonnegative(self) -> bool:
        """Whether every part is nonnegative, which is enough."""
        return all(part.nonnegative for part in self.maps)

    def apply(self, x: Tensor) -> Tensor:
        """Return the parts applied in turn."""
        return reduce(lambda value, part: part.apply(value), self.maps, x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the parts' adjoints applied from the last to the first."""
        return reduce(lambda value, part: part.adjoint(value), reversed(self.maps), y)

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the product's absolute map, or the product of the absolute maps.

        Entries of a product do not cancel where all factors but one move entries
        without adding them, or where all are nonnegative; otherwise the product is made
        as a sparse matrix within the limit, and past it a dominating map is returned.
        """
        parts = [part.absolute(limit=limit) for part in self.maps]
        separate = Absolute(
            Composed(tuple(part.map for part in parts)),
            all(part.exact for part in parts),
        )
        if self.nonnegative or _never_cancels(self.maps):
            return separate
        try:
            matrix = self.to_sparse(limit=limit)
        except MemoryLimitError:
            return Absolute(separate.map, exact=False)
        return Absolute(_as_map(csr_array(abs(matrix)), self), exact=True)

    def entries(self) -> int:
        """Return the most entries the product can have, by counting paths."""
        rows, columns = self.fans()
        return min(rows * self.out_size, columns * self.in_size)

    def fans(self) -> tuple[int, int]:
        """Return the products of the parts' fans, capped by the sizes."""
        fans = [part.fans() for part in self.maps]
        rows, columns = (math.prod(column) for column in zip(*fans, strict=True))
        return min(rows, self.in_size), min(columns, self.out_size)

    def _sparse(self, limit: int) -> csr_array:
        matrices = [part.to_sparse(limit=limit) for part in self.maps]
        return reduce(lambda x, y: product(y, x, self.in_size, limit), matrices)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Composed":
        """Return the converted maps composed."""
        return Composed(tuple(part.to(dtype, device) for part in self.maps))


@dataclass(frozen=True, slots=True, eq=False)
class Added(LinearMap):
    """The sum of maps with the same argument and result.

    Attributes:
        maps: At least one map.
    """

    maps: tuple[LinearMap, ...]

    def __post_init__(self) -> None:
        """Check that the shapes agree.

        Raises:
            InvalidArgumentError: Two maps have different shapes.
        """
        if len({(part.in_shape, part.out_shape) for part in self.maps}) > 1:
            shapes = [(part.in_shape, part.out_shape) for part in self.maps]
            raise InvalidArgumentError(
                f"cannot add linear maps: their shapes are {shapes}, and must be one."
                " Reshape before adding."
            )

    @property
    def in_shape(self) -> Shape:
        """The argument's shape of all of them."""
        return self.maps[0].in_shape

    @property
    def out_shape(self) -> Shape:
        """The result's shape of all of them."""
        return self.maps[0].out_shape

    @property
    def rows_single(self) -> bool:
        """Whether there is only one map, with single rows."""
        return len(self.maps) == 1 and self.maps[0].rows_single

    @property
    def columns_single(self) -> bool:
        """Whether there is only one map, with single columns."""
        return len(self.maps) == 1 and self.maps[0].columns_single

    @property
    def nonnegative(self) -> bool:
        """Whether every map is nonnegative, which is enough."""
        return all(part.nonnegative for part in self.maps)

    def apply(self, x: Tensor) -> Tensor:
        """Return the sum of the values."""
        return reduce(torch.add, (part.apply(x) for part in self.maps))

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the sum of the adjoints."""
        return reduce(torch.add, (part.adjoint(y) for part in self.maps))

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the sum's absolute map, or the sum of the absolute maps."""
        parts = [part.absolute(limit=limit) for part in self.maps]
        separate = Added(tuple(part.map for part in parts))
        if self.nonnegative or len(self.maps) == 1:
            return Absolute(separate, all(part.exact for part in parts))
        try:
            matrix = self.to_sparse(limit=limit)
        except MemoryLimitError:
            return Absolute(separate, exact=False)
        return Absolute(_as_map(csr_array(abs(matrix)), self), exact=True)

    def entries(self) -> int:
        """Return the sum of the maps' entries."""
        return sum(part.entries() for part in self.maps)

    def fans(self) -> tuple[int, int]:
        """Return the sums of the maps' fans, capped by the sizes."""
        fans = [part.fans() for part in self.maps]
        rows, columns = (sum(column) for column in zip(*fans, strict=True))
        return min(rows, self.in_size), min(columns, self.out_size)

    def _sparse(self, limit: int) -> csr_array:
        matrices = (part.to_sparse(limit=limit) for part in self.maps)
        return reduce(lambda x, y: total(x, y, self.in_size, limit), matrices)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Added":
        """Return the sum of the converted maps."""
        return Added(tuple(part.to(dtype, device) for part in self.maps))


def _never_cancels(maps: Sequence[LinearMap]) -> bool:
    """Tell whether no entry of the product is a sum of two products.

    That holds if around one map all later ones have single rows and all earlier ones
    single columns.
    """
    last_adding = max(
        (i for i, part in enumerate(maps) if not part.rows_single), default=-1
    )
    return last_adding < 0 or all(part.columns_single for part in maps[:last_adding])


def _as_map(matrix: csr_array, like: LinearMap) -> SparseMatrix:
    return SparseMatrix(matrix, like.in_shape, like.out_shape)


def composed(*maps: LinearMap) -> LinearMap:
    """Return the maps one after another, nested products and identities left out."""
    flat: list[LinearMap] = []
    for part in maps:
        flat.extend(part.maps if isinstance(part, Composed) else [part])
    kept = [part for part in flat if not _is_trivial(part)]
    if not kept:
        return flat[0]
    return kept[0] if len(kept) == 1 else Composed(tuple(kept))


def _is_trivial(part: LinearMap) -> bool:
    return isinstance(part, Identity) or (
        isinstance(part, Reshape) and part.in_shape == part.out_shape
    )


def added(maps: Sequence[LinearMap]) -> LinearMap:
    """Return the sum of the maps, nested sums flattened."""
    flat: list[LinearMap] = []
    for part in maps:
        flat.extend(part.maps if isinstance(part, Added) else [part])
    return flat[0] if len(flat) == 1 else Added(tuple(flat))
