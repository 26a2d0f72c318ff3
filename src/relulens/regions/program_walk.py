"""All linear regions over a bounded domain of many dimensions, by linear programs."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from relulens.graph.linear_map import BYTE_LIMIT, check_bytes
from relulens.graph.polyhedral import Polyhedral
from relulens.numerics.kernels import region_programs as kernel
from relulens.regions.half_spaces import HalfSpaces
from relulens.regions.program_exact import ExactSigns
from relulens.regions.program_tables import Tables, tables

State: TypeAlias = tuple[Any, ...]
"""The kernel's arrays; numba infers their types."""

_KNOWN = 64
"""Most vertices of a region that are remembered."""

_NOTES, _NUMBERS = 20_000, 4_000_000
"""Most signs to decide in rational numbers at a time, and numbers of their codes."""

_ROOM = 4096
"""Regions that the kernel finds before it is called again."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Listed:
    """Regions that were found.

    Attributes:
        codes: Codes [regions, size] of every nonlinear node.
        points: A point inside each region [regions, inputs].
        complete: Whether these are all.
        decided: Signs within rounding of zero that rational numbers settled.
        undecided: Signs or regions within rounding of nothing, which were left out.
        programs: Linear programs solved.
        pivots: Their steps.
    """

    codes: dict[int, NDArray[np.int64]]
    points: NDArray[np.float64]
    complete: bool
    decided: int
    undecided: int
    programs: int
    pivots: int


def listed(region: Polyhedral, space: HalfSpaces, budget: int) -> Listed:
    """Return the regions of a network that meet the interior of a bounded domain.

    Args:
        region: The network, in float64 on the CPU.
        space: The domain.
        budget: Most regions.

    Raises:
        InvalidArgumentError: The domain is unbounded.
        MemoryLimitError: A matrix of an affine node, or what the walk keeps, is too
            large.
    """
    made = tables(region, space)
    total, n = made.total, len(made.half)
    net = made.arrays()
    value = np.zeros((total, n + 1))
    value[:n, :n], value[:n, n] = np.diag(made.half), made.middle
    blank = np.zeros(total), np.abs(value).sum(1), np.zeros(total, np.int64)
    tasks, most = _tasks(made)
    state = _state(made, most)
    height = state[4][0].shape[1]
    work = (np.empty(height), np.empty(height), np.empty((4, n)))
    counters = np.zeros(7, np.int64)
    decided = 0
    codes: list[NDArray[np.int32]] = []
    points: list[NDArray[np.float64]] = []
    signs = ExactSigns(made, space)
    room = max(64, min(_NOTES, _NUMBERS // total))
    doubts = (np.empty((room, 3 + 3 * n), np.int64), np.empty((room, total), np.int64))
    left, status = budget, kernel.FULL
    while status == kernel.FULL and left > 0:
        size = min(_ROOM, left)
        out = (np.empty((size, total), np.int32), np.empty((size, n)))
        counters[kernel.FOUND] = 0
        status = kernel.enumerate_regions(
            net,
            (value, *blank),
            tasks,
            state,
            work,
            counters,
            made.unsure * np.sqrt(n),
            out,
            doubts,
        )
        found = int(counters[kernel.FOUND])
        codes.append(out[0][:found])
        points.append(made.middle + made.half * out[1][:found])
        left -= found
        decided += signs.decided(*(part[: counters[kernel.NOTED]] for part in doubts))
        counters[kernel.NOTED] = 0
    return Listed(
        codes=_by_node(made, np.concatenate(codes)),
        points=np.concatenate(points),
        complete=status == kernel.DONE,
        decided=decided,
        undecided=int(counters[kernel.OPEN] + counters[kernel.THIN]) - decided,
        programs=int(counters[kernel.PROGRAMS]),
        pivots=int(counters[kernel.PIVOTS]),
    )


def _tasks(made: Tables) -> tuple[tuple[NDArray[np.int64], ...], int]:
    """Return room for every node's tasks, and how many there can be."""
    sizes = [
        int((part[0] - 1).clip(0).sum())
        if kind == kernel.MAXIMUM
        else (size if kind in {kernel.TWO_SLOPE, kernel.CLIP} else 0)
        for kind, size, part in zip(made.kind, made.length, made.rows, strict=True)
    ]
    most = sum(sizes)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    room = [np.zeros(most + 1, np.int64) for _ in range(2)]
    return (*room, first, np.zeros(len(sizes), np.int64)), most


def _state(made: Tables, most: int) -> State:
    """Return frames, vertices and inequalities, with the cube as the first region."""
    n = len(made.half)
    depth, height = most + 2, 2 * n + most + 1
    frames = np.zeros((depth, 8), np.int64)
    frames[0, kernel.CURSOR], frames[0, kernel.ROWS] = -1, 2 * n
    frames[0, kernel.POOL], frames[0, kernel.TOP] = 2, 2
    pools = np.zeros((depth, _KNOWN), np.int64)
    pools[0, 1] = 1
    room = 4 * most + 2 * n + 64
    check_bytes(
        f"{room:,} inverses [{n}, {n}] of the walk over regions",
        8 * room * n * n,
        BYTE_LIMIT,
        "Ask about fewer inputs, or use slice_partition or regions_in_ball.",
    )
    x = np.zeros((room, n))
    basis = np.zeros((room, n), np.int64)
    inverse = np.zeros((room, n, n))
    for corner, sign in enumerate((1.0, -1.0)):
        x[corner] = sign
        basis[corner] = np.arange(n) + corner * n
        inverse[corner] = sign * np.eye(n)
    rt = np.zeros((n, height))
    rt[:, :n], rt[:, n : 2 * n] = np.eye(n), -np.eye(n)
    right, errors = np.ones(height), np.full(height, made.unsure)
    # A side of the cube is its place and no entry.
    makers = np.full((height, 3), -1, np.int64)
    makers[: 2 * n, 0] = np.arange(2 * n)
    makers[: 2 * n, 2] = 0
    inners = np.zeros((depth, n))
    return frames, pools, inners, (x, basis, inverse), (rt, right, errors, makers)


def _by_node(made: Tables, table: NDArray[np.int32]) -> dict[int, NDArray[np.int64]]:
    found: dict[int, NDArray[np.int64]] = {}
    for place, kind in enumerate(made.kind):
        if kind in {kernel.TWO_SLOPE, kernel.MAXIMUM}:
            first = made.offset[place]
            part = table[:, first : first + made.length[place]].astype(np.int64)
            if kind == kernel.MAXIMUM:
                part -= made.source[place]
            found[made.node[place]] = part
    return found
