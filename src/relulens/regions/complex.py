"""A complex of convex cells that share vertices, cut pass by pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from relulens.errors import SolverError
from relulens.numerics.kernels import subdivision as kernel
from relulens.regions.exact import Whole, between
from relulens.regions.start import Start

ROUND = 2.0**-52

State: TypeAlias = tuple[Any, ...]
"""The kernel's arrays; numba infers their types."""


@dataclass(slots=True, eq=False, kw_only=True)
class Complex:
    """Cells with shared vertices; the only mutable thing of an enumeration.

    Attributes:
        dimension: Dimension of the cells.
        rows: For every vertex the homogeneous coordinates and what is carried along.
        errors: Bound on the rounding error of each row's entries.
        origin: For every vertex the edge it was made on and the function that made it,
            as places in ``passes``; -1 for a vertex of the start.
        head: Where each cell lies in the pools, and its sizes.
        ints: Vertices, facet labels and edges of the cells.
        words: Facets of each vertex of each cell, as bits.
        width: Words that one bitset takes.
        exact: Homogeneous coordinates as whole numbers, where they were needed.
        values: For every pass, gives the exact value of one of its functions.
        decided: Signs that were decided in whole numbers.
    """

    dimension: int
    rows: NDArray[np.float64]
    errors: NDArray[np.float64]
    origin: NDArray[np.int32]
    head: NDArray[np.int64]
    ints: NDArray[np.int32]
    words: NDArray[np.uint64]
    width: int
    exact: dict[int, list[int]]
    values: list[Callable[[list[int], int], Whole]] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    decided: int = 0

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.head.shape[0]

    def point(self, vertex: int) -> list[int]:
        """Return the exact homogeneous coordinates of a vertex."""
        open_ = [vertex]
        while open_:
            v = open_[-1]
            if v in self.exact:
                open_.pop()
                continue
            u, w, unit = (int(i) for i in self.origin[v])
            missing = [i for i in (u, w) if i not in self.exact]
            if missing:
                open_ += missing
                continue
            step = int(np.searchsorted(self.firsts, v, side="right")) - 1
            value = self.values[step]
            a, b = self.exact[u], self.exact[w]
            self.exact[v] = between(a, b, value(a, unit), value(b, unit))
        return self.exact[vertex]

    def cut(
        self,
        columns: NDArray[np.int64],
        errors: NDArray[np.float64],
        value: Callable[[list[int], int], Whole],
        *,
        label: int,
        clip: bool,
        budget: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64], bool]:
        """Cut every cell by functions that are affine on it.

        Args:
            columns: Place of each function's values in the rows.
            errors: Bounds on their errors [vertices, functions].
            value: Gives a function's exact value at a homogeneous point.
            label: Label of the facets that the first function cuts.
            clip: Whether only the positive side stays.
            budget: Most cells.

        Returns:
            The cell that each new one lies in, the words of the functions positive on
            it, and whether every cell was cut; if not, only finished cells are left.

        Raises:
            SolverError: A cell has too many facets for its bitset.
        """
        self.values.append(value)
        self.firsts.append(self.rows.shape[0])
        positive, negative = self._signs(columns, errors, value)
        before = self.rows.shape[0]
        size = max(1024, 1 << int(4 * before).bit_length())
        state: State = (
            (self.rows, self.errors, positive, negative, self.origin),
            (np.full(size, -1, np.int64), np.empty(size, np.int32)),
            (
                np.empty((64, 7), np.int64),
                np.empty(4096, np.int32),
                np.empty(4096, np.uint64),
            ),
            (
                np.empty((max(64, 2 * self.count), 7), np.int64),
                np.empty(max(1024, 2 * self.ints.size), np.int32),
                np.empty(max(1024, 2 * self.words.size), np.uint64),
            ),
            np.empty((max(64, 2 * self.count), positive.shape[1]), np.uint64),
            np.empty((256, 2), np.int64),
        )
        counters = np.zeros(9, np.int64)
        counters[kernel.VERTICES] = before
        counters[8] = self.width
        given = (self.head, self.ints, self.words)
        while True:
            points, table, stack, made, codes, doubts = state
            answer: State = kernel.subdivide(
                counters, points, table, given, stack, made, codes, doubts,
                columns, self.dimension, label, clip, budget,
            )  # fmt: skip
            status, state = answer[0], answer[1:]
            if status != kernel.DOUBT:
                break
            self.rows, self.errors, positive, negative, self.origin = state[0]
            self._decide(state[5][: counters[kernel.DOUBTS]], positive, negative, value)
            counters[kernel.DOUBTS] = 0
        if status == kernel.FACETS:
            raise SolverError(
                f"cannot cut a cell: it has more than {64 * self.width} facets or"
                " 32,768 vertices. Ask about a smaller domain or fewer dimensions."
            )
        return self._kept(state, counters, status == kernel.DONE)

    def _kept(
        self, state: State, counters: NDArray[np.int64], done: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64], bool]:
        (rows, errors, _, _, origin), _, _, (head, ints, words), codes, _ = state
        vertices, made = counters[kernel.VERTICES], counters[kernel.MADE]
        self.rows, self.errors = rows[:vertices], errors[:vertices]
        self.origin = origin[:vertices]
        self.head = head[:made].copy()
        self.ints, self.words = ints[: counters[4]], words[: counters[5]]
        return self.head[:, kernel.PARENT].copy(), codes[:made], done

    def _signs(
        self,
        columns: NDArray[np.int64],
        errors: NDArray[np.float64],
        value: Callable[[list[int], int], Whole],
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        numbers = self.rows[:, columns]
        above, below = numbers > errors, numbers < -errors
        open_ = ~(above | below) & ~((numbers == 0) & (errors == 0))
        pos, neg = _packed(above), _packed(below)
        self._decide(np.argwhere(open_), pos, neg, value)
        return pos, neg

    def _decide(
        self,
        doubts: NDArray[np.int64],
        positive: NDArray[np.uint64],
        negative: NDArray[np.uint64],
        value: Callable[[list[int], int], Whole],
    ) -> None:
        """Settle signs in whole numbers."""
        for v, unit in doubts.tolist():
            number = value(self.point(v), unit)[0][0]
            bit = np.uint64(1 << unit % 64)
            if number > 0:
                positive[v, unit // 64] |= bit
            elif number < 0:
                negative[v, unit // 64] |= bit
            self.decided += 1


def _packed(table: NDArray[np.bool_]) -> NDArray[np.uint64]:
    words = max(1, -(-table.shape[1] // 64))
    wide = np.zeros((table.shape[0], 64 * words), np.uint8)
    wide[:, : table.shape[1]] = table
    return np.packbits(wide, axis=1, bitorder="little").view(np.uint64)


def started(start: Start, dimension: int, width: int) -> Complex:
    """Return the complex of the cells that an enumeration starts from.

    Args:
        start: The cells.
        dimension: Their dimension.
        width: Words of a bitset of facets.
    """
    rows = np.array([_floats(point) for point in start.points])
    ints: list[int] = []
    words: list[int] = []
    head = np.zeros((len(start.cells), 7), np.int64)
    parts = zip(start.cells, start.incidence, start.labels, start.edges, strict=True)
    for place, (cell, incidence, labels, edges) in enumerate(parts):
        head[place, :5] = (len(ints), len(words), len(cell), len(labels), len(edges))
        ints += [*cell, *labels, *((i << 16) | j for i, j in edges)]
        mask = (1 << 64) - 1
        words += [bits >> 64 * k & mask for bits in incidence for k in range(width)]
    return Complex(
        dimension=dimension,
        rows=rows,
        errors=ROUND * np.abs(rows).max(axis=1),
        origin=np.full((len(rows), 3), -1, np.int32),
        head=head,
        ints=np.array(ints, np.int32),
        words=np.array(words, np.uint64),
        width=width,
        exact=dict(enumerate(start.points)),
    )


def _floats(point: list[int]) -> list[float]:
    scale = point[-1] or max(abs(value) for value in point)
    return [float(Fraction(value, scale)) for value in point]
