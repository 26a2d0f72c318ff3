"""Homogeneous systems: which rows of the raw weights are zero, which nonpositive."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.certificates.subjects import Matrix, Subject, Weights

Indices: TypeAlias = NDArray[np.int64]


def numpy_of(values: Tensor) -> NDArray[np.float64]:
    """Return a tensor's numbers as float64."""
    return values.detach().cpu().numpy().astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a subject with signs.

    Attributes:
        index: Row of the weights below ``outs``; ``outs + j`` is the j-th coordinate,
            ``outs + ins + r`` the r-th row of a polytope domain.
        sign: Plus or minus one, the factor of each row.
    """

    index: Int64[Tensor, " rows"]
    sign: Float[Tensor, " rows"]

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self.index.shape[0])

    def at(self, positions: NDArray[np.int64]) -> "Rows":
        """Return some of the rows."""
        place = torch.from_numpy(np.asarray(positions, dtype=np.int64))
        return Rows(self.index[place], self.sign[place])

    def with_rows(self, other: "Rows") -> "Rows":
        """Return these rows and then those of another selection."""
        return Rows(
            torch.cat([self.index, other.index]), torch.cat([self.sign, other.sign])
        )

    def sound(self, weights: Weights) -> bool:
        """Tell whether every row exists and every sign is one or minus one."""
        total = weights.outs + weights.ins + weights.domain_rows
        inside = bool(((self.index >= 0) & (self.index < total)).all())
        signs = bool((self.sign.abs() == 1).all())
        return inside and signs and self.index.shape == self.sign.shape


def rows_of(index: Indices, sign: Array | float = 1.0) -> Rows:
    """Return a selection from indices and signs."""
    signs = np.broadcast_to(np.asarray(sign, dtype=np.float64), index.shape)
    return Rows(
        torch.from_numpy(np.asarray(index, dtype=np.int64).copy()),
        torch.from_numpy(signs.copy()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """Rows as numbers.

    Attributes:
        matrix: The rows [r, n].
        radius: The exact row differs from each by at most this, in the 1-norm.
    """

    matrix: Matrix
    radius: Array


def take(weights: Weights, rows: Rows) -> Taken:
    """Return the rows as numbers; signs are exact. All rows are not copied."""
    index, sign = rows.index.numpy(), numpy_of(rows.sign)
    plain = index < weights.outs
    radius = np.zeros(index.shape)
    radius[plain] = weights.radius[index[plain]]
    if weights.sparse:
        return Taken(weights.stacked()[index].multiply(sign[:, None]).tocsr(), radius)
    everything = np.array_equal(index, np.arange(weights.outs))
    if everything and bool((sign == 1).all()):
        return Taken(weights.matrix, radius)
    if bool(plain.all()):
        matrix = weights.matrix[index]
    else:
        matrix = np.zeros((index.size, weights.ins))
        matrix[plain] = weights.matrix[index[plain]]
        unit = ~plain & (index < weights.outs + weights.ins)
        matrix[np.flatnonzero(unit), index[unit] - weights.outs] = 1.0
        rest = ~plain & ~unit
        if rest.any():
            matrix[rest] = weights.domain[index[rest] - weights.outs - weights.ins]
    if not bool((sign == 1).all()):
        matrix *= sign[:, None]
    return Taken(matrix, radius)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class System:
    """The cone of directions d with ``E d = 0`` and ``I d <= 0``.

    Attributes:
        subject: Where the weights are.
        equal: The rows of E.
        below: The rows of I.
    """

    subject: Subject
    equal: Rows
    below: Rows

    def sound(self, weights: Weights) -> bool:
        """Tell whether all rows exist."""
        return self.equal.sound(weights) and self.below.sound(weights)
