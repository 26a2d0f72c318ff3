"""Which entries can win the groups of a maximum, and in which pairs they meet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relulens.graph.nodes import Maximum
from relulens.numerics.kernels import planar
from relulens.regions.slice_basis import Combined
from relulens.regions.slice_mesh import Integers
from relulens.regions.slice_stage import State

_PAIRS = 256
"""Pairs that few cells are cut by together."""


@dataclass(slots=True, eq=False, kw_only=True)
class Contest:
    """Groups with several entries that can win, and all pairs of these.

    Attributes:
        code: Winner of every group, as if the first one in doubt won everywhere.
        varied: The groups.
        entries: Flat positions of their entries, group after group.
        groups: Where each group starts in ``entries``.
        first: First entry of every pair, as a place in ``entries``.
        second: Second one.
        pairs: Where each group starts among the pairs.
    """

    code: Integers
    varied: Integers
    entries: Integers
    groups: Integers
    first: Integers
    second: Integers
    pairs: Integers

    def until(self, start: int, cells: int) -> int:
        """Return where the groups end that cells are cut by together."""
        last = self.pairs[start] + _PAIRS + cells // 4
        stop = int(np.searchsorted(self.pairs, last, side="right")) - 1
        return min(max(stop, start + 1), len(self.varied))

    def among(self, chosen: NDArray[np.bool_]) -> "Contest":
        """Return some of the groups, by a mask of all groups of the node."""
        kept = chosen[self.varied]
        sizes, counts = np.diff(self.groups), np.diff(self.pairs)
        entries, pairs = np.repeat(kept, sizes), np.repeat(kept, counts)
        # Places of the entries that stay among themselves.
        place = np.cumsum(entries) - 1
        return Contest(
            code=self.code,
            varied=self.varied[kept],
            entries=self.entries[entries],
            groups=np.concatenate([[0], np.cumsum(sizes[kept])]),
            first=place[self.first[pairs]],
            second=place[self.second[pairs]],
            pairs=np.concatenate([[0], np.cumsum(counts[kept])]),
        )

    def part(self, start: int, stop: int) -> "Contest":
        """Return some of the groups."""
        entries, pairs = self.groups[start], self.pairs[start]
        some = slice(self.pairs[start], self.pairs[stop])
        return Contest(
            code=self.code,
            varied=self.varied[start:stop],
            entries=self.entries[entries : self.groups[stop]],
            groups=self.groups[start : stop + 1] - entries,
            first=self.first[some] - entries,
            second=self.second[some] - entries,
            pairs=self.pairs[start : stop + 1] - pairs,
        )


def contest_of(
    state: State, node: Maximum, read: Combined, z: np.ndarray, limits: np.ndarray
) -> Contest:
    """Return the groups that several entries can win."""
    slack = float(state.mesh.errors.max())
    margin = limits[0] + slack * limits[1]
    ranges = planar.column_ranges(z)
    low, high = ranges[0] - margin, ranges[1] + margin
    table, real = (part.numpy() for part in node.groups.ragged.padded())
    floor = np.where(real, low[table], -np.inf).max(1)
    able = real & (high[table] >= floor[:, None])
    _drop_copies(read, table, able)
    counts = able.sum(1)
    code = table[np.arange(len(table)), able.argmax(1)]
    varied = np.flatnonzero(counts > 1)
    sizes = counts[varied]
    groups = np.concatenate([[0], np.cumsum(sizes)])
    pairs = np.concatenate([[0], np.cumsum(sizes * (sizes - 1) // 2)])
    first: list[Integers] = []
    second: list[Integers] = []
    for start, size in zip(groups[:-1], sizes, strict=True):
        a, b = np.triu_indices(int(size), 1)
        first.append(start + a)
        second.append(start + b)
    none = np.zeros(0, np.int64)
    return Contest(
        code=code,
        varied=varied,
        entries=table[varied][able[varied]],
        groups=groups,
        first=np.concatenate([none, *first]),
        second=np.concatenate([none, *second]),
        pairs=pairs,
    )


def _drop_copies(read: Combined, table: np.ndarray, able: np.ndarray) -> None:
    """Take out entries with the same coefficients as an earlier one of their group."""
    parts = read.parts.flatten(1).numpy()
    several = np.flatnonzero(able.sum(1) > 1)
    for b in range(1, table.shape[1]):
        for a in range(b):
            rows = several[able[several, a] & able[several, b]]
            if not len(rows):
                continue
            same = (parts[:, table[rows, a]] == parts[:, table[rows, b]]).all(0)
            able[rows[same], b] = False
