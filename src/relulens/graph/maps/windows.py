"""Sliding windows: sizes of their results and the entries each one covers."""

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from relulens.graph.linear_map import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows that slide over the last axes of an array.

    Attributes:
        size: Length of the window along every spatial axis.
        stride: Step along every spatial axis.
        padding: Entries added before and after every spatial axis.
        dilation: Distance of neighbouring window entries along every spatial axis.
        ceil_mode: Whether a last window may hang over the end.
    """

    size: Shape
    stride: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    ceil_mode: bool = False

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def symmetric(self) -> bool:
        """Whether every axis is padded alike before and after."""
        return all(before == after for before, after in self.padding)

    def out_lengths(self, lengths: Shape) -> Shape:
        """Return the number of windows along every spatial axis.

        With ``ceil_mode`` a window must start inside the axis or its left padding.
        """
        return tuple(self._count(axis, n) for axis, n in enumerate(lengths))

    def _count(self, axis: int, length: int) -> int:
        before, after = self.padding[axis]
        stride, reach = self.stride[axis], self.dilation[axis] * (self.size[axis] - 1)
        free = length + before + after - reach - 1
        if not self.ceil_mode:
            return free // stride + 1
        count = -(-free // stride) + 1
        return count - 1 if (count - 1) * stride >= length + before else count

    def positions(self, lengths: Shape) -> np.ndarray:
        """Return the entries each window covers, -1 where it covers padding.

        Args:
            lengths: Lengths of the spatial axes.

        Returns:
            Flat spatial positions [windows, entries of a window], row-major in both.
        """
        axes = [self._axis_positions(axis, n) for axis, n in enumerate(lengths)]

        def outer(left: np.ndarray, step: tuple[int, np.ndarray]) -> np.ndarray:
            length, right = step
            joint = left[:, None, :, None] * length + right[None, :, None, :]
            inside = (left[:, None, :, None] >= 0) & (right[None, :, None, :] >= 0)
            joint = np.where(inside, joint, -1)
            return joint.reshape(
                left.shape[0] * right.shape[0], left.shape[1] * right.shape[1]
            )

        start = np.zeros((1, 1), dtype=np.int64)
        return reduce(outer, zip(lengths, axes, strict=True), start)

    def _axis_positions(self, axis: int, length: int) -> np.ndarray:
        starts = np.arange(self._count(axis, length)) * self.stride[axis]
        offsets = np.arange(self.size[axis]) * self.dilation[axis]
        places = starts[:, None] + offsets[None, :] - self.padding[axis][0]
        return np.where((places >= 0) & (places < length), places, -1)

    def empty(self, lengths: Shape) -> int:
        """Return how many windows cover padding only."""
        axes = [self._axis_positions(axis, n) for axis, n in enumerate(lengths)]
        real = math.prod(int((places >= 0).any(1).sum()) for places in axes)
        return math.prod(len(places) for places in axes) - real

    def overlap(self) -> int:
        """Return the most windows that can share an entry.

        Along an axis these are the k below the size with ``k * dilation`` in one class
        modulo the stride: every ``stride / gcd(stride, dilation)``-th.
        """
        counts = (
            -(-size * math.gcd(stride, dilation) // stride)
            for size, stride, dilation in zip(
                self.size, self.stride, self.dilation, strict=True
            )
        )
        return math.prod(counts)

    def volume(self) -> int:
        """Return the number of entries of a window."""
        return math.prod(self.size)
