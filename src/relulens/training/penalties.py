"""Penalties of rows that make weights zero: value, proximal map and conjugate.

Each is a function g of the rows of a matrix [rows, columns]. ``prox(v, step)`` returns
``argmin 1/2 |x - v|^2 + step g(x)``; with a multiplier of a weighted l1 ball the
minimiser is ``prox(soft(v, tau w), step)``, as every g here grows with each |x_j|.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError


def soft(v: Tensor, threshold: Tensor) -> Tensor:
    """Return ``sign(v) max(|v| - threshold, 0)``."""
    return torch.sign(v) * (v.abs() - threshold).clamp(min=0)


def _check_positive(name: str, **numbers: float) -> None:
    for word, number in numbers.items():
        if not (number > 0 and math.isfinite(number)):
            raise InvalidArgumentError(
                f"cannot use the penalty {name}: {word} is {number}, and it must exceed"
                " 0 and be finite. Pass a small number for almost no penalty."
            )


@dataclass(frozen=True, slots=True, eq=False)
class L1:
    """``weight * sum of |x_j|``.

    Attributes:
        weight: Its weight, positive.
    """

    weight: float

    def __post_init__(self) -> None:
        """Refuse a weight that is not positive."""
        _check_positive("L1", weight=self.weight)

    def value(self, x: Tensor) -> Tensor:
        """Return the penalty of every row [rows]."""
        return self.weight * x.abs().sum(1)

    def prox(self, v: Tensor, step: Tensor) -> Tensor:
        """Return the proximal map, a step a row [rows, 1]."""
        return soft(v, step * self.weight)

    def conjugate(self, r: Tensor) -> Tensor:
        """Return the conjugate where it is finite: zero."""
        return r.new_zeros(r.shape[0])

    def scale(self, r: Tensor) -> Tensor:
        """Return the largest factor up to 1 that makes the conjugate finite [rows]."""
        return (self.weight / _largest(r).clamp(min=1e-300)).clamp(max=1)

    def grow(self, r: Tensor, weights: Tensor, radius: Tensor) -> Tensor:
        """Say which rows need a larger multiplier of the ball [rows]."""
        return _largest(r) > self.weight


@dataclass(frozen=True, slots=True, eq=False)
class BerHu:
    r"""The perspective relaxation of ``ridge * x^2 + count * [x != 0]``, entrywise.

    :math:`2\sqrt{\rho\mu}|x|` up to :math:`\sqrt{\mu/\rho}`, and
    :math:`\rho x^2 + \mu` beyond: the reversed Huber function.

    Attributes:
        ridge: Weight rho of the squares, positive.
        count: Price mu of an entry that is not zero, positive.
    """

    ridge: float
    count: float

    def __post_init__(self) -> None:
        """Refuse weights that are not positive."""
        _check_positive("BerHu", ridge=self.ridge, count=self.count)

    @property
    def slope(self) -> float:
        """Slope at zero."""
        return 2 * math.sqrt(self.ridge * self.count)

    @property
    def knot(self) -> float:
        """Size beyond which the penalty is quadratic."""
        return math.sqrt(self.count / self.ridge)

    def value(self, x: Tensor) -> Tensor:
        """Return the penalty of every row [rows]."""
        size = x.abs()
        far = self.ridge * size.square() + self.count
        return torch.where(size <= self.knot, self.slope * size, far).sum(1)

    def prox(self, v: Tensor, step: Tensor) -> Tensor:
        """Return the proximal map, a step a row [rows, 1]."""
        near = soft(v, step * self.slope)
        far = v / (1 + 2 * step * self.ridge)
        return torch.where(near.abs() <= self.knot, near, far)

    def conjugate(self, r: Tensor) -> Tensor:
        """Return the conjugate of every row [rows]."""
        return (r.square() / (4 * self.ridge) - self.count).clamp(min=0).sum(1)

    def scale(self, r: Tensor) -> Tensor:
        """Return 1 for every row: the conjugate is finite everywhere."""
        return r.new_ones(r.shape[0])

    def grow(self, r: Tensor, weights: Tensor, radius: Tensor) -> Tensor:
        """Say which rows need a larger multiplier of the ball [rows]."""
        size = torch.where(r.abs() > self.slope, r.abs() / (2 * self.ridge), 0.0)
        return (size * weights).sum(1) > radius


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    r"""``weight * sum over groups of sqrt(size) * l2 norm``: groups leave together.

    Attributes:
        weight: Its weight, positive.
        labels: The group of every column, numbered from 0.
    """

    weight: float
    labels: Tensor

    def __post_init__(self) -> None:
        """Refuse a weight that is not positive."""
        _check_positive("Groups", weight=self.weight)

    def _norms(self, x: Tensor) -> Tensor:
        total = x.new_zeros((x.shape[0], int(self.labels.max()) + 1))
        return total.index_add_(1, self.labels, x.square()).sqrt()

    def _limits(self, like: Tensor) -> Tensor:
        size = torch.bincount(self.labels).to(like.dtype)
        return self.weight * size.sqrt()

    def value(self, x: Tensor) -> Tensor:
        """Return the penalty of every row [rows]."""
        return self._norms(x) @ self._limits(x)

    def prox(self, v: Tensor, step: Tensor) -> Tensor:
        """Return the proximal map, a step a row [rows, 1]."""
        norms = self._norms(v)
        keep = (1 - step * self._limits(v) / norms.clamp(min=1e-300)).clamp(min=0)
        return v * keep[:, self.labels]

    def conjugate(self, r: Tensor) -> Tensor:
        """Return the conjugate where it is finite: zero."""
        return r.new_zeros(r.shape[0])

    def scale(self, r: Tensor) -> Tensor:
        """Return the largest factor up to 1 that makes the conjugate finite [rows]."""
        ratio = self._limits(r) / self._norms(r).clamp(min=1e-300)
        return ratio.min(1).values.clamp(max=1)

    def grow(self, r: Tensor, weights: Tensor, radius: Tensor) -> Tensor:
        """Say which rows need a larger multiplier of the ball [rows]."""
        return (self._norms(r) > self._limits(r)).any(1)


Penalty: TypeAlias = L1 | BerHu | Groups


def _largest(r: Tensor) -> Tensor:
    return r.abs().amax(1) if r.shape[1] else r.new_zeros(r.shape[0])
