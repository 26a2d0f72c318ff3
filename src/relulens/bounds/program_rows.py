"""The rows of a linear program that holds a network's state on a box.

Unknowns are the input u, the state x and the arguments z, in this order, and after
them one whole number between 0 and 1 for every choice that an exact answer makes.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, hstack, vstack

from relulens.bounds.lines import maximum_lines, two_slope_lines
from relulens.bounds.rounding import UNIT
from relulens.bounds.state_form import Operation, StateBox, StateForm
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.numerics.bounded_programs import Program

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(slots=True)
class _Rows:
    """Rows under construction: entries by row, column and value, and their bounds."""

    count: int = 0
    places: list[Indices] = field(default_factory=list)
    columns: list[Indices] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    low: list[Array] = field(default_factory=list)
    high: list[Array] = field(default_factory=list)

    def add(self, parts: list[tuple[Indices, Array]], low: Array, high: Array) -> None:
        """Add one row an entry: coefficients by column, and bounds."""
        rows = np.arange(self.count, self.count + low.size)
        for column, value in parts:
            self.places.append(rows)
            self.columns.append(column)
            self.values.append(np.broadcast_to(value, column.shape))
        self.low.append(low)
        self.high.append(high)
        self.count += low.size

    def matrix(self, width: int) -> csr_array:
        """Return the rows as one matrix."""
        if not self.places:
            return csr_array((self.count, width), dtype=np.float64)
        parts = (np.concatenate(self.places), np.concatenate(self.columns))
        data = np.concatenate(self.values)
        return csr_array((data, parts), shape=(self.count, width))


def program(form: StateForm, box: StateBox, *, exact: bool) -> Program:
    """Return the program whose points are all states on a box, or more than these.

    Args:
        form: The network, loops allowed.
        box: Bounds of everything for one box of inputs.
        exact: Whether whole numbers tie every unit to one of its pieces; without, a
            unit may lie anywhere in its triangle.
    """
    m, n = form.A.shape
    p = form.B.shape[1]
    rows, choices = _Rows(), _Choices(first=p + n + m)
    for operation in form.operations:
        match operation.node:
            case TwoSlope():
                _two_slope(rows, choices, operation, operation.node, box, p, n, exact)
            case Maximum():
                _maximum(rows, choices, operation, operation.node, box, p, n, exact)
    width = p + n + m + choices.count
    link = hstack([-form.B, -form.A, eye_array(m), csr_array((m, choices.count))])
    whole = np.zeros(width, dtype=bool)
    whole[p + n + m :] = True
    ends = [(box.u[i], box.x[i], box.z[i]) for i in (0, 1)]
    return Program(
        rows=csr_array(vstack([link, rows.matrix(width)], format="csr")),
        row_low=np.concatenate([form.a - box.argument_slack, *rows.low]),
        row_high=np.concatenate([form.a + box.argument_slack, *rows.high]),
        low=np.concatenate([*ends[0], np.zeros(choices.count)]),
        high=np.concatenate([*ends[1], np.ones(choices.count)]),
        whole=whole,
    )


@dataclass(slots=True)
class _Choices:
    """Columns of the whole numbers."""

    first: int
    count: int = 0

    def take(self, count: int) -> Indices:
        """Return new columns."""
        start = self.first + self.count
        self.count += count
        return np.arange(start, start + count)


def _sided(value: Array, convex: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return bounds of rows that are at most ``value``; at least, where not convex."""
    low = np.where(convex, -np.inf, value)
    return low, np.where(convex, value, np.inf)


def _two_slope(
    rows: _Rows,
    choices: _Choices,
    operation: Operation,
    node: TwoSlope,
    box: StateBox,
    p: int,
    n: int,
    exact: bool,
) -> None:
    first, last = operation.argument
    low, high = box.z[0][first:last], box.z[1][first:last]
    z = np.arange(first, last) + p + n
    x = np.arange(*operation.state) + p
    flat = [
        slope.expand(node.shape).reshape(-1).numpy(force=True)
        for slope in (node.positive, node.negative)
    ]
    positive, negative = flat
    ones = np.ones(1)
    open_ = (low < 0) & (high > 0) & (positive != negative)
    own = np.where(low >= 0, positive, negative)[~open_]
    zero = np.zeros(own.size)
    rows.add([(x[~open_], ones), (z[~open_], -own)], zero, zero)
    at, x, z = open_.nonzero()[0], x[open_], z[open_]
    above, below = positive[at], negative[at]
    convex = above > below
    zero = np.zeros(at.size)
    for slope in (above, below):
        # Below the kink's branches nothing lies; above them where it is concave.
        rows.add([(x, ones), (z, -slope)], *_sided(zero, ~convex))
    shape = (1, *node.shape)
    bounds = tuple(torch.from_numpy(end).reshape(shape) for end in (low, high))
    lines = two_slope_lines(node, (bounds[0], bounds[1]))
    steep = torch.where(
        node.positive >= node.negative, lines.above_slope, lines.below_slope
    )
    offset = torch.where(node.positive >= node.negative, lines.above, lines.below)
    steep, offset = (part.reshape(-1).numpy()[at] for part in (steep, offset))
    rows.add([(x, ones), (z, -steep)], *_sided(offset, convex))
    if exact:
        ends, slopes = (low[at], high[at]), (above, below)
        _one_side(rows, choices.take(at.size), (x, z), ends, slopes)


def _one_side(
    rows: _Rows,
    chosen: Indices,
    columns: tuple[Indices, Indices],
    ends: tuple[Array, Array],
    slopes: tuple[Array, Array],
) -> None:
    """Tie units to the branch above zero where a number is 1, below where it is 0."""
    (x, z), (low, high), (above, below) = columns, ends, slopes
    convex, ones = above > below, np.ones(1)
    gap = above - below
    left, right = gap * low, gap * high
    room = np.where(convex, 1, -1) * 4 * UNIT * np.abs(left)
    parts = [(x, ones), (z, -above), (chosen, -left)]
    rows.add(parts, *_sided(room - left, convex))
    zero = np.zeros(left.size)
    rows.add([(x, ones), (z, -below), (chosen, -right)], *_sided(zero, convex))


def _maximum(
    rows: _Rows,
    choices: _Choices,
    operation: Operation,
    node: Maximum,
    box: StateBox,
    p: int,
    n: int,
    exact: bool,
) -> None:
    first, last = operation.argument
    shape = (1, *node.groups.in_shape)
    low, high = (torch.from_numpy(end[first:last]).reshape(shape) for end in box.z)
    lines = maximum_lines(node, (low, high))
    table, real = (part.numpy() for part in node.groups.ragged.padded())
    least, most = low.reshape(-1).numpy()[table], high.reshape(-1).numpy()[table]
    floor = np.where(real, least, -np.inf).max(1, keepdims=True)
    x = np.arange(*operation.state) + p
    group, entry = real.nonzero()
    z = table[group, entry] + first + p + n
    ones, zero = np.ones(1), np.zeros(group.size)
    rows.add([(x[group], ones), (z, -ones)], zero, np.full(group.size, np.inf))
    slopes = lines.slopes[0].numpy()
    constant = lines.constant.reshape(-1).numpy()
    parts = [(x, ones)]
    for column in range(table.shape[1]):
        place = np.where(real[:, column], table[:, column], table[:, 0])
        weight = np.where(real[:, column], slopes[:, column], 0.0)
        parts.append((place + first + p + n, -weight))
    rows.add(parts, np.full(x.size, -np.inf), constant)
    if exact:
        wins = (real & (most >= floor))[group, entry]
        group, entry, z = group[wins], entry[wins], z[wins]
        chosen = choices.take(group.size)
        top = np.where(real, most, -np.inf).max(1)[group]
        gap = (top - least[group, entry]) * (1 + 4 * UNIT)
        parts = [(x[group], ones), (z, -ones), (chosen, gap)]
        rows.add(parts, np.full(group.size, -np.inf), gap)
        _one_of_each(rows, group, chosen, x.size)


def _one_of_each(rows: _Rows, group: Indices, chosen: Indices, count: int) -> None:
    """Add rows that say that one entry of every group is chosen."""
    rows.places.append(rows.count + group)
    rows.columns.append(chosen)
    rows.values.append(np.ones(group.size))
    rows.low.append(np.ones(count))
    rows.high.append(np.ones(count))
    rows.count += count
