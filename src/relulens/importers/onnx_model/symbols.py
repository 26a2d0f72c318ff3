"""What a name in an ONNX graph stands for while the graph is read."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from torch import Tensor

from relulens.importers.registry import RefusedError
from relulens.importers.values import Value


@dataclass(frozen=True, slots=True)
class Multiple:
    """The length ``factor * N`` of an axis that holds the batch, N its unknown size.

    It takes part in the arithmetic of shapes; what is no multiple of N is refused.
    """

    factor: int

    def __mul__(self, other: object) -> "Multiple | int":
        """Return the product with a whole number."""
        number = _whole(other)
        return Multiple(self.factor * number) if number else 0

    __rmul__ = __mul__

    def __floordiv__(self, other: object) -> "Multiple | int":
        """Return the quotient by a whole number or a multiple, if there is one."""
        divisor = other.factor if isinstance(other, Multiple) else _whole(other)
        if divisor == 0 or self.factor % divisor:
            raise RefusedError(f"it divides {self.factor} N by {divisor}")
        quotient = self.factor // divisor
        return quotient if isinstance(other, Multiple) else Multiple(quotient)

    def __add__(self, other: object) -> "Multiple":
        """Return the sum with another multiple or zero."""
        if isinstance(other, Multiple):
            return Multiple(self.factor + other.factor)
        if _whole(other) != 0:
            raise RefusedError(f"it adds {other} to {self.factor} N")
        return self

    __radd__ = __add__

    def __neg__(self) -> "Multiple":
        """Return the negative, for subtractions."""
        return Multiple(-self.factor)

    def __sub__(self, other: object) -> "Multiple | int":
        """Return the difference with another multiple or zero."""
        if isinstance(other, Multiple) and other.factor == self.factor:
            return 0
        return self + (-other if isinstance(other, Multiple) else _whole(other))

    def __rsub__(self, other: object) -> "Multiple":
        """Return the difference of zero and this."""
        return -self + other


def _whole(number: object) -> int:
    if isinstance(number, (int, np.integer)):
        return int(number)
    if isinstance(number, (float, np.floating)) and float(number).is_integer():
        return int(number)
    raise RefusedError(f"it combines the batch size with {number}")


@dataclass(frozen=True, slots=True, eq=False)
class PerSample:
    """A constant that the source repeats for every entry of the batch.

    Attributes:
        array: Its value for a batch of one.
    """

    array: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """A value with minus infinity added to some entries; a softmax takes it.

    Attributes:
        value: The finite part.
        mask: Zeros and minus infinities, broadcast against the source's axes.
    """

    value: Value
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Unknown:
    """The result of a node that could not be imported."""


Entry: TypeAlias = Value | np.ndarray | PerSample | Masked | Unknown
"""A value, a constant (of objects where it holds multiples), or one of the above."""


def is_symbolic(entry: object) -> bool:
    """Tell whether an entry is an array of whole numbers with multiples of N."""
    return isinstance(entry, np.ndarray) and entry.dtype == object


def is_constant(entry: object) -> bool:
    """Tell whether an entry does not depend on the input's numbers."""
    return entry is None or isinstance(entry, (np.ndarray, PerSample))


def for_one(entry: "np.ndarray | PerSample") -> np.ndarray:
    """Return a constant as it is for a batch of one."""
    if isinstance(entry, PerSample):
        return entry.array
    if not is_symbolic(entry):
        return entry
    single = [e.factor if isinstance(e, Multiple) else e for e in entry.reshape(-1)]
    return np.array(single, dtype=np.int64).reshape(entry.shape)


def settled(array: np.ndarray) -> np.ndarray:
    """Return an array of objects as integers, if no multiple of N is left in it."""
    if array.dtype != object:
        return array
    if any(isinstance(entry, Multiple) for entry in array.reshape(-1)):
        return array
    return array.astype(np.int64)
