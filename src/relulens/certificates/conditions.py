"""The conditions that a layer's features put on what the layer reads, at a point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relulens.certificates.rounding import Array, exact_dot, gamma
from relulens.certificates.subjects import Weights
from relulens.certificates.system import Indices
from relulens.graph.groups import Groups


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Arguments:
    """A layer's arguments at a point, with the sign of each.

    Attributes:
        value: The arguments [units].
        sign: 1, 0 or -1; 0 where the argument is zero to rounding.
        settled: Where ``sign`` is 0, the exact sign if it is known, else 2; where it is
            not 0, the sign.
    """

    value: Array
    sign: NDArray[np.int8]
    settled: NDArray[np.int8]


def arguments_at(weights: Weights, rows: slice, point: Array, tol: float) -> Arguments:
    """Return the values of some rows at a point, their signs settled where possible.

    Args:
        weights: The rows, with offsets.
        rows: Which of the weights' rows.
        point: The variable [ins].
        tol: A value counts as zero to rounding below ``tol`` times the sum of absolute
            values of its terms.
    """
    matrix, offset = weights.matrix[rows], weights.offset[rows]
    value = np.asarray(matrix @ point) + offset
    reach = np.asarray(abs(matrix) @ np.abs(point)) + np.abs(offset)
    radius = weights.radius[rows] * np.abs(point).max(initial=0.0)
    loose = radius + weights.offset_radius[rows]
    doubt = np.maximum(tol, gamma(point.size + 1)) * reach + loose
    sign = np.where(np.abs(value) <= doubt, 0, np.sign(value)).astype(np.int8)
    settled = sign.copy()
    for i in np.flatnonzero(sign == 0):
        if loose[i] > 0:
            settled[i] = 2
            continue
        row = matrix[[i]]
        dense = (row if isinstance(row, np.ndarray) else row.toarray())[0]
        exact = exact_dot(dense, point, plus=(float(offset[i]),))
        settled[i] = int(np.sign(exact))
    return Arguments(value=value, sign=sign, settled=settled)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Conditions:
    """Conditions on rows: equalities, inequalities with their slack, tight ones.

    Attributes:
        equal: Rows held with equality.
        below: Rows of inequalities ``sign * row <= ...``.
        sign: The sign of each.
        slack: How far each is from equality, zero where it is tight.
        one_of_many: Whether these describe one piece of a union.
    """

    equal: Indices
    below: Indices
    sign: Array
    slack: Array
    one_of_many: bool = False


def joined(parts: list[Conditions]) -> Conditions:
    """Return all conditions together."""
    return Conditions(
        equal=np.concatenate([part.equal for part in parts]),
        below=np.concatenate([part.below for part in parts]),
        sign=np.concatenate([part.sign for part in parts]),
        slack=np.concatenate([part.slack for part in parts]),
        one_of_many=any(part.one_of_many for part in parts),
    )


def fixed(count: int) -> Conditions:
    """Return equality of every row: an affine or strictly monotone layer."""
    none = np.zeros(0)
    return Conditions(
        equal=np.arange(count), below=none.astype(np.int64), sign=none, slack=none
    )


def two_slopes(
    value: Array, sign: NDArray[np.int8], negative: Array, positive: Array
) -> Conditions:
    """Return the conditions of ``positive * max(z, 0) + negative * min(z, 0) = y``.

    Args:
        value: Arguments z [units] at the point.
        sign: Their signs, as they are to be read.
        negative: Slope below zero [units].
        positive: Slope above zero [units].
    """
    slope = np.where(sign > 0, positive, negative)
    monotone = negative * positive > 0
    zero = (sign == 0) & (negative != 0) & (positive != 0)
    equal = monotone | zero | ((sign != 0) & (slope != 0))
    off = np.where(positive != 0, 1.0, -1.0)
    direction = np.where(sign == 0, off, -sign.astype(np.float64))
    inactive = ~equal & ((negative != 0) | (positive != 0))
    below = np.flatnonzero(inactive)
    return Conditions(
        equal=np.flatnonzero(equal),
        below=below,
        sign=direction[below],
        slack=np.where(sign[below] == 0, 0.0, np.abs(value[below])),
        one_of_many=bool((equal & (negative * positive < 0) & (sign != 0)).any()),
    )


def one_side(value: Array, sign: NDArray[np.int8]) -> Conditions:
    """Return the inequalities that keep every argument on its side of zero."""
    direction = np.where(sign > 0, -1.0, 1.0)
    return Conditions(
        equal=np.zeros(0, dtype=np.int64),
        below=np.arange(value.size),
        sign=direction,
        slack=np.where(sign == 0, 0.0, np.abs(value)),
    )


def clamped(
    value: Array, sign: NDArray[np.int8], width: Array, upper: NDArray[np.int8]
) -> Conditions:
    """Return the conditions of ``min(max(z, 0), width) = y``.

    Args:
        value: Arguments z [units], the lower bound subtracted.
        sign: Their signs.
        width: Distance of the two bounds [units].
        upper: Signs of ``width - z`` [units].
    """
    inside = (sign > 0) & (upper > 0)
    outside = np.flatnonzero(~inside)
    high = (upper <= 0)[outside]
    slack = np.where(high, value[outside] - width[outside], -value[outside])
    tight = np.where(high, upper[outside] == 0, sign[outside] == 0)
    return Conditions(
        equal=np.flatnonzero(inside),
        below=outside,
        sign=np.where(high, -1.0, 1.0),
        slack=np.where(tight, 0.0, np.abs(slack)),
    )


def maxima(value: Array, groups: Groups, winners: Indices, tol: Array) -> Conditions:
    """Return the conditions of x's piece of a maximum: each winner has its value.

    Args:
        value: Arguments z [entries] at the point.
        groups: The groups.
        winners: The entry that each group takes [groups].
        tol: Differences below this count as zero [entries].
    """
    ragged = groups.ragged
    index, lengths = ragged.index.numpy(), ragged.pointers.diff().numpy()
    best = np.repeat(value[winners], lengths)
    slack = np.full(value.size, np.inf)
    np.minimum.at(slack, index, best - value[index])
    fixed_ = np.zeros(value.size, dtype=bool)
    fixed_[winners] = True
    below = np.flatnonzero(~fixed_ & np.isfinite(slack))
    left = np.where(slack[below] <= tol[below], 0.0, slack[below])
    return Conditions(
        equal=np.flatnonzero(fixed_),
        below=below,
        sign=np.ones(below.size),
        slack=left,
        one_of_many=bool((lengths > 1).any()),
    )
