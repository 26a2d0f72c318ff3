"""A network and its domain as the arrays that the kernel of linear programs reads."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.numerics.kernels import region_programs as kernel
from relulens.numerics.linear_programs import Inequalities
from relulens.regions.half_spaces import HalfSpaces

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROUND = 2.0**-53


@dataclass(slots=True, eq=False, kw_only=True)
class Tables:
    """Nodes one after another, each with its entries and what they read.

    Attributes:
        middle: Centre of the box that the domain lies in [n].
        half: Half its sides [n]; the kernel's cube is scaled by them.
        kind: Kinds of the nodes, as the kernel names them.
        offset: First entry of every node.
        length: Its number of entries.
        source: First entry of the node that a nonlinear one reads.
        node: The network's node, -1 for those of the domain.
        rows: What every entry reads, with weights.
        bias: Of every entry.
        negative: Slope of every entry below zero.
        positive: Slope above.
    """

    middle: Floats
    half: Floats
    kind: list[int]
    offset: list[int]
    length: list[int]
    source: list[int]
    node: list[int]
    rows: list[tuple[Integers, Integers, Floats]]
    bias: list[Floats]
    negative: list[Floats]
    positive: list[Floats]

    @property
    def total(self) -> int:
        """Entries of all nodes."""
        return self.offset[-1] + self.length[-1]

    def add(
        self,
        kind: int,
        node: int,
        size: int,
        *,
        source: int = 0,
        rows: tuple[Integers, Integers, Floats] | None = None,
        bias: Floats | None = None,
        slopes: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Add a node; rows are counts, columns and weights of its entries."""
        first = self.offset[-1] + self.length[-1] if self.kind else 0
        none = (np.zeros(size, np.int64), np.zeros(0, np.int64), np.zeros(0))
        zero = np.zeros(size)
        self.kind.append(kind)
        self.offset.append(first)
        self.length.append(size)
        self.source.append(source)
        self.node.append(node)
        self.rows.append(none if rows is None else rows)
        self.bias.append(zero if bias is None else bias)
        self.negative.append(zero if slopes is None else slopes[0])
        self.positive.append(zero if slopes is None else slopes[1])

    def arrays(self) -> tuple[NDArray[np.int64] | Floats, ...]:
        """Return what the kernel calls the net."""
        counts = np.concatenate([part[0] for part in self.rows])
        return (
            *(np.array(part) for part in (self.kind, self.offset)),
            *(np.array(part) for part in (self.length, self.source)),
            np.concatenate([[0], np.cumsum(counts)]),
            np.concatenate([part[1] for part in self.rows]),
            np.concatenate([part[2] for part in self.rows]),
            np.concatenate(self.bias),
            np.concatenate(self.negative),
            np.concatenate(self.positive),
        )

    @property
    def unsure(self) -> float:
        """What rounding may move a point by, in sides of the cube."""
        return 8 * _ROUND * float((np.abs(self.middle) / self.half).max() + 1.0)


def tables(region: Polyhedral, space: HalfSpaces) -> Tables:
    """Return the arrays of a network over a bounded domain.

    Args:
        region: The network, in float64 on the CPU.
        space: The domain.

    Raises:
        InvalidArgumentError: The domain is unbounded or empty.
        MemoryLimitError: A sparse matrix of an affine node is too large.
    """
    low, high = space.box if space.box is not None else _around(space)
    if not np.isfinite(np.concatenate([low, high])).all():
        endless = int(np.isinf(low).sum() + np.isinf(high).sum())
        raise InvalidArgumentError(
            f"cannot enumerate regions: {endless} of the box' {2 * len(low)} sides"
            " are infinite, and linear programs need finite ones. Pass finite sides, or"
            " method='vertices'."
        )
    half = high / 2 - low / 2
    made = Tables(
        middle=low + half, half=half, kind=[], offset=[], length=[], source=[],
        node=[], rows=[], bias=[], negative=[], positive=[],
    )  # fmt: skip
    last = max((index for index, _ in region.nonlinear()), default=-1)
    place: dict[int, int] = {}
    for index in sorted(region.nodes):
        node = region.nodes[index]
        if isinstance(node, Input):
            made.add(kernel.INPUT, index, math.prod(node.shape))
            if space.box is None:
                _add_clips(made, space)
        elif index > last:
            break
        else:
            _add(made, index, node, place)
        place[index] = made.offset[0] if isinstance(node, Input) else made.offset[-1]
    return made


def _add(
    made: Tables,
    index: int,
    node: Affine | TwoSlope | Maximum,
    place: dict[int, int],
) -> None:
    size = math.prod(node.shape)
    if isinstance(node, Affine):
        parts = [(term.map.to_sparse(), place[term.source]) for term in node.terms]
        bias = None if node.bias is None else _flat(node.bias, node.shape)
        made.add(kernel.AFFINE, index, size, rows=_joined(parts, size), bias=bias)
    elif isinstance(node, TwoSlope):
        slopes = (_flat(node.negative, node.shape), _flat(node.positive, node.shape))
        source = place[node.source]
        made.add(kernel.TWO_SLOPE, index, size, source=source, slopes=slopes)
    else:
        ragged = node.groups.ragged
        counts = np.diff(ragged.pointers.numpy()).astype(np.int64)
        source = place[node.source]
        columns = ragged.index.numpy().astype(np.int64) + source
        rows = (counts, columns, np.ones(len(columns)))
        made.add(kernel.MAXIMUM, index, size, source=source, rows=rows)


def _joined(
    parts: list[tuple[csr_array, int]], size: int
) -> tuple[Integers, Integers, Floats]:
    """Return counts, columns and weights of the rows of maps side by side."""
    if not parts:
        return np.zeros(size, np.int64), np.zeros(0, np.int64), np.zeros(0)
    shifts = np.concatenate([
        np.arange(matrix.shape[1]) + first for matrix, first in parts
    ])
    whole = csr_array(hstack([matrix for matrix, _ in parts], format="csr"))
    counts = np.diff(whole.indptr).astype(np.int64)
    return counts, shifts[whole.indices].astype(np.int64), whole.data.astype(float)


def _add_clips(made: Tables, space: HalfSpaces) -> None:
    """Add ``right - rows x``, of which only the positive side is kept."""
    first = made.offset[-1] + made.length[-1]
    rows = _joined([(csr_array(-space.rows), 0)], len(space.rows))
    made.add(kernel.AFFINE, -1, len(space.rows), rows=rows, bias=space.right)
    made.add(kernel.CLIP, -1, len(space.rows), source=first)


def _around(space: HalfSpaces) -> tuple[Floats, Floats]:
    """Return a box that holds a polytope, a little too large."""
    program = Inequalities(space.rows, space.right)
    unit = np.eye(space.rows.shape[1])
    found = [(program.maximise(-e), program.maximise(e)) for e in unit]
    ends = np.array([(-a.value, b.value) for a, b in found])
    if any(a.status == "infeasible" for a, _ in found):
        raise InvalidArgumentError(
            f"cannot enumerate regions: the domain's {len(space.right)} inequalities"
            " leave no interior. Pass a domain with one."
        )
    wide = np.ptp(ends, axis=1)
    if not np.isfinite(wide).all():
        raise InvalidArgumentError(
            f"cannot enumerate regions: the polytope is unbounded along"
            f" {int((~np.isfinite(wide)).sum())} of {len(wide)} axes, and linear"
            " programs need a bounded one. Add bounds, or use method='vertices'."
        )
    room = 1e-3 * np.maximum(wide, 1e-6 * (1 + np.abs(ends).max(axis=1)))
    return ends[:, 0] - room, ends[:, 1] + room


def _flat(value: Tensor, shape: tuple[int, ...]) -> Floats:
    return value.double().expand(shape).flatten().numpy().copy()
