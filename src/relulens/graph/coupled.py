"""Vector maps with a Jacobian and no componentwise slope."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class CoupledFunction(ABC):
    """A differentiable map of one or two arrays, entry of the batch by entry.

    ``tangent`` and ``adjoint`` take ``copies`` directions for every point: point arrays
    are [N, 1, *shape], direction arrays [N, copies, *shape], and broadcasting does the
    rest.
    """

    name: str

    @abstractmethod
    def value(self, *inputs: Tensor) -> Tensor:
        """Return the value at arguments [N, *shape]."""

    @abstractmethod
    def tangent(self, inputs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
        """Return the Jacobian times the directions."""

    @abstractmethod
    def adjoint(self, inputs: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        """Return the transposed Jacobian times the weights, one array an argument."""

    @abstractmethod
    def to(self, dtype: torch.dtype, device: torch.device) -> "CoupledFunction":
        """Return the map with its numbers in another type or on another device."""


@dataclass(frozen=True, slots=True, eq=False)
class Product(CoupledFunction):
    """The entrywise product of two arrays of one shape."""

    name = "product"

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the product."""
        return inputs[0] * inputs[1]

    def tangent(self, inputs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
        """Return the product rule's sum."""
        return directions[0] * inputs[1] + inputs[0] * directions[1]

    def adjoint(self, inputs: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        """Return the weights times the other factor."""
        return weights * inputs[1], weights * inputs[0]

    def to(self, dtype: torch.dtype, device: torch.device) -> "Product":
        """Return the map itself, which holds no arrays."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Quotient(CoupledFunction):
    """The entrywise quotient of two arrays of one shape."""

    name = "quotient"

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the quotient."""
        return inputs[0] / inputs[1]

    def tangent(self, inputs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
        """Return the quotient rule's sum."""
        above, below = inputs
        return directions[0] / below - directions[1] * above / below**2

    def adjoint(self, inputs: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        """Return the transposed quotient rule."""
        above, below = inputs
        return weights / below, -weights * above / below**2

    def to(self, dtype: torch.dtype, device: torch.device) -> "Quotient":
        """Return the map itself, which holds no arrays."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class MatrixProduct(CoupledFunction):
    """The product of two stacks of matrices, [*stack, a, b] times [*stack, b, c]."""

    name = "matrix product"

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the products."""
        return inputs[0] @ inputs[1]

    def tangent(self, inputs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
        """Return the product rule's sum."""
        return directions[0] @ inputs[1] + inputs[0] @ directions[1]

    def adjoint(self, inputs: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        """Return the weights times the other factor transposed."""
        return weights @ inputs[1].mT, inputs[0].mT @ weights

    def to(self, dtype: torch.dtype, device: torch.device) -> "MatrixProduct":
        """Return the map itself, which holds no arrays."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(CoupledFunction):
    """Softmax along one axis, of the argument plus a fixed mask.

    Attributes:
        axis: The axis counted from the end, negative.
        mask: Zeros, and minus infinity where an entry takes no part; or nothing.
    """

    axis: int
    mask: Tensor | None = None

    name = "softmax"

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the softmax; all zeros where everything is masked."""
        if self.mask is None:
            return torch.softmax(inputs[0], self.axis)
        return torch.softmax(inputs[0] + self.mask, self.axis).nan_to_num(nan=0.0)

    def tangent(self, inputs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
        """Return ``p (v - <p, v>)`` with the softmax p."""
        p = self.value(inputs[0])
        return p * (directions[0] - (p * directions[0]).sum(self.axis, keepdim=True))

    def adjoint(self, inputs: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        """Return the tangent, as the Jacobian is symmetric."""
        return (self.tangent(inputs, (weights,)),)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Softmax":
        """Return the map with its mask converted."""
        if self.mask is None:
            return self
        return Softmax(self.axis, self.mask.to(device, dtype))


@dataclass(frozen=True, slots=True, eq=False)
class LogSumExp(CoupledFunction):
    """The logarithm of the sum of exponentials along one axis, which stays.

    Attributes:
        axis: The axis counted from the end, negative.
    """

    axis: int

    name = "logsumexp"

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the logarithm of the sum."""
        return torch.logsumexp(inputs[0], self.axis, keepdim=True)

    def tangent(self, inputs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
        """Return the softmax average of the directions."""
        p = torch.softmax(inputs[0], self.axis)
        return (p * directions[0]).sum(self.axis, keepdim=True)

    def adjoint(self, inputs: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        """Return the weights spread by the softmax."""
        return (torch.softmax(inputs[0], self.axis) * weights,)

    def to(self, dtype: torch.dtype, device: torch.device) -> "LogSumExp":
        """Return the map itself, which holds no arrays."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Normalise(CoupledFunction):
    """``(z - mean) / sqrt(mean square deviation + epsilon)`` over the last axes.

    Layer, instance and group normalisation reshape to this; root-mean-square
    normalisation leaves out the mean.

    Attributes:
        axes: How many of the last axes are normalised together.
        epsilon: Added to the variance.
        centred: Whether the mean is subtracted.
    """

    axes: int
    epsilon: float
    centred: bool = True

    name = "normalise"

    def _parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        dims = list(range(-self.axes, 0))
        centre = z - z.mean(dims, keepdim=True) if self.centred else z
        scale = torch.rsqrt((centre * centre).mean(dims, keepdim=True) + self.epsilon)
        return centre * scale, scale

    def value(self, *inputs: Tensor) -> Tensor:
        """Return the normalised array."""
        return self._parts(inputs[0])[0]

    def tangent(self, inputs: Sequence[Tensor], directions: Sequence[Tensor]) -> Tensor:
        """Return the Jacobian ``scale (P - y y^T / size)`` times the directions."""
        dims = list(range(-self.axes, 0))
        y, scale = self._parts(inputs[0])
        v = directions[0]
        if self.centred:
            v = v - v.mean(dims, keepdim=True)
        return scale * (v - y * (y * v).mean(dims, keepdim=True))

    def adjoint(self, inputs: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        """Return the tangent, as the Jacobian is symmetric."""
        return (self.tangent(inputs, (weights,)),)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Normalise":
        """Return the map itself, which holds no arrays."""
        return self
