"""A map given by a diagram of maps, for affine nodes that split and meet again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from scipy.sparse import csr_array, eye_array
from torch import Tensor

from relulens.errors import MemoryLimitError
from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape
from relulens.graph.maps.combine import added, composed
from relulens.graph.maps.sparse import SparseMatrix
from relulens.graph.maps.sparse_product import product, total

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class Arrow:
    """One map of a diagram.

    Attributes:
        source: Place that is read.
        target: Place that the map's value is added to, after ``source``.
        map: The map.
    """

    source: int
    target: int
    map: LinearMap


@dataclass(frozen=True, slots=True, eq=False)
class Diagram(LinearMap):
    """Maps between places 0 to n: values are summed where arrows meet.

    Every arrow is followed once, so the cost is that of the maps however many paths
    there are.

    Attributes:
        arrows: Sorted by target; the argument stands at place 0, the result at the
            last target, and every place is reached and read.
    """

    arrows: tuple[Arrow, ...]

    @property
    def in_shape(self) -> Shape:
        """What the arrows from place 0 read."""
        return next(arrow.map.in_shape for arrow in self.arrows if arrow.source == 0)

    @property
    def out_shape(self) -> Shape:
        """What the arrows to the last place give."""
        return self.arrows[-1].map.out_shape

    @property
    def rows_single(self) -> bool:
        """False: arrows meet."""
        return False

    @property
    def columns_single(self) -> bool:
        """False: arrows part."""
        return False

    @property
    def nonnegative(self) -> bool:
        """Whether every map is nonnegative, which is enough."""
        return all(arrow.map.nonnegative for arrow in self.arrows)

    def apply(self, x: Tensor) -> Tensor:
        """Return the value at the last place."""
        return _collected(
            self._forward(), x, lambda arrow, value: arrow.map.apply(value), torch.add
        )

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the value at place 0 of the diagram run backwards."""
        return _collected(
            self._backward(),
            y,
            lambda arrow, value: arrow.map.adjoint(value),
            torch.add,
        )

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the absolute sparse matrix, or the diagram of absolute maps."""
        parts = [arrow.map.absolute(limit=limit) for arrow in self.arrows]
        arrows = zip(self.arrows, parts, strict=True)
        separate = Diagram(
            tuple(Arrow(arrow.source, arrow.target, part.map) for arrow, part in arrows)
        )
        if self.nonnegative:
            return Absolute(separate, all(part.exact for part in parts))
        try:
            matrix = self.to_sparse(limit=limit)
        except MemoryLimitError:
            return Absolute(separate, exact=False)
        made = SparseMatrix(csr_array(abs(matrix)), self.in_shape, self.out_shape)
        return Absolute(made, exact=True)

    def entries(self) -> int:
        """Return the most entries the matrix can have, by counting paths."""
        rows, columns = self.fans()
        return min(rows * self.out_size, columns * self.in_size)

    def fans(self) -> tuple[int, int]:
        """Return the numbers of paths, capped by the sizes."""
        rows = _collected(
            self._forward(), 1, lambda arrow, fan: arrow.map.fans()[0] * fan, _plus
        )
        columns = _collected(
            self._backward(), 1, lambda arrow, fan: arrow.map.fans()[1] * fan, _plus
        )
        return min(rows, self.in_size), min(columns, self.out_size)

    def _sparse(self, limit: int) -> csr_array:
        width = self.in_size
        return _collected(
            self._forward(),
            csr_array(eye_array(width, format="csr")),
            lambda arrow, matrix: product(
                arrow.map.to_sparse(limit=limit), matrix, width, limit
            ),
            lambda left, right: total(left, right, width, limit),
        )

    def to(self, dtype: torch.dtype, device: torch.device) -> "Diagram":
        """Return the diagram of the converted maps."""
        return Diagram(
            tuple(
                Arrow(arrow.source, arrow.target, arrow.map.to(dtype, device))
                for arrow in self.arrows
            )
        )

    def _forward(self) -> Iterator[tuple[int, int, Arrow]]:
        return ((arrow.source, arrow.target, arrow) for arrow in self.arrows)

    def _backward(self) -> Iterator[tuple[int, int, Arrow]]:
        arrows = sorted(self.arrows, key=lambda arrow: arrow.source, reverse=True)
        return ((arrow.target, arrow.source, arrow) for arrow in arrows)


def _plus(left: int, right: int) -> int:
    return left + right


def _collected(
    steps: Iterator[tuple[int, int, Arrow]],
    start: _T,
    step: Callable[[Arrow, _T], _T],
    join: Callable[[_T, _T], _T],
) -> _T:
    """Follow arrows in order, join what meets, and return the value at the end."""
    values: dict[int, _T] = {}
    end = -1
    for source, end, arrow in steps:
        value = step(arrow, values.get(source, start))
        values[end] = join(values[end], value) if end in values else value
    return values[end]


def diagram(arrows: Sequence[Arrow]) -> LinearMap:
    """Return the map of a diagram in its plainest form.

    Args:
        arrows: As ``Diagram`` has them.

    Returns:
        Sums of products where no value between the ends is read twice, else a diagram.
    """
    inner = [arrow.source for arrow in arrows if arrow.source != 0]
    if len(set(inner)) < len(inner):
        return Diagram(tuple(arrows))
    made: dict[int, LinearMap] = {}
    for place in sorted({arrow.target for arrow in arrows}):
        meeting = [arrow for arrow in arrows if arrow.target == place]
        made[place] = added([
            composed(made[arrow.source], arrow.map) if arrow.source else arrow.map
            for arrow in meeting
        ])
    return made[arrows[-1].target]
