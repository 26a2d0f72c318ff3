"""Average pooling with every border convention."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import pad

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape
from relulens.graph.maps.windows import Windows


@dataclass(frozen=True, eq=False)
class AveragePool(LinearMap):
    """Weighted sums over windows, each channel by itself.

    Attributes:
        in_shape: ``(channels, *lengths)``.
        windows: The windows, without dilation.
        count_padding: Whether padded zeros count in the divisor.
    """

    in_shape: Shape
    windows: Windows
    count_padding: bool = False

    def __post_init__(self) -> None:
        """Check the windows.

        Raises:
            InvalidArgumentError: They are dilated, or some cover padding only.
        """
        if any(step != 1 for step in self.windows.dilation):
            raise InvalidArgumentError(
                f"cannot make an average pool: its dilation is {self.windows.dilation},"
                " and must be 1 along every axis. Use a convolution."
            )
        empty = self.windows.empty(self.in_shape[1:])
        if empty and not self.count_padding:
            raise InvalidArgumentError(
                f"cannot make an average pool: {empty} of its windows cover padding"
                " only, and have no average. Use less padding."
            )

    @property
    def out_shape(self) -> Shape:
        """``(channels, *windows along each axis)``."""
        return (self.in_shape[0], *self.windows.out_lengths(self.in_shape[1:]))

    rows_single = False
    nonnegative = True

    @property
    def columns_single(self) -> bool:
        """Whether the windows do not overlap."""
        return self.windows.overlap() == 1

    def divisors(self) -> np.ndarray:
        """Return what each window's sum is divided by, flat over the windows."""
        return self._divisors

    @cached_property
    def _divisors(self) -> np.ndarray:
        lengths = self.in_shape[1:]
        if not self.count_padding:
            return (self.windows.positions(lengths) >= 0).sum(1)
        # Entries past the right padding, which only ceil_mode reaches, never count.
        padded = tuple(
            n + before + after
            for n, (before, after) in zip(lengths, self.windows.padding, strict=True)
        )
        bare = Windows(
            self.windows.size,
            self.windows.stride,
            ((0, 0),) * self.windows.rank,
            self.windows.dilation,
            self.windows.ceil_mode,
        )
        counts = (bare.positions(padded) >= 0).sum(1).reshape(bare.out_lengths(padded))
        wanted = self.windows.out_lengths(lengths)
        return counts[tuple(slice(n) for n in wanted)].reshape(-1)

    def _spread(self) -> list[int]:
        """Return the zeros that make every window whole, as ``torch`` pads."""
        lengths = self.in_shape[1:]
        counts = self.windows.out_lengths(lengths)
        pads: list[int] = []
        for axis in reversed(range(self.windows.rank)):
            before, _ = self.windows.padding[axis]
            reach = (counts[axis] - 1) * self.windows.stride[axis] + self.windows.size[
                axis
            ]
            pads += [before, reach - before - lengths[axis]]
        return pads

    def _scaled(self, sums: Tensor) -> Tensor:
        counts = torch.as_tensor(self._divisors, dtype=sums.dtype, device=sums.device)
        return sums / counts.reshape(1, 1, *self.out_shape[1:])

    def _pool_arguments(self) -> tuple[list[int], list[int]]:
        lift = [1] if self.windows.rank == 1 else []
        return [*lift, *self.windows.size], [*lift, *self.windows.stride]

    def apply(self, x: Tensor) -> Tensor:
        """Return the averages."""
        padded = pad(x, self._spread())
        size, stride = self._pool_arguments()
        if self.windows.rank == 3:
            sums = torch.ops.aten.avg_pool3d(padded, size, stride, divisor_override=1)
            return self._scaled(sums)
        planes = padded.unsqueeze(2) if self.windows.rank == 1 else padded
        sums = torch.ops.aten.avg_pool2d(planes, size, stride, divisor_override=1)
        return self._scaled(sums.reshape(x.shape[0], *self.out_shape))

    def adjoint(self, y: Tensor) -> Tensor:
        """Return every result spread evenly over its window."""
        spread = self._spread()
        like = pad(y.new_empty((1,)).expand(y.shape[0], *self.in_shape), spread)
        size, stride = self._pool_arguments()
        sums, zeros = self._scaled(y), [0] * len(size)
        if self.windows.rank == 3:
            full = torch.ops.aten.avg_pool3d_backward(
                sums, like, size, stride, zeros, False, True, 1
            )
        else:
            lifted = self.windows.rank == 1
            full = torch.ops.aten.avg_pool2d_backward(
                sums.unsqueeze(2) if lifted else sums,
                like.unsqueeze(2) if lifted else like,
                size,
                stride,
                zeros,
                False,
                True,
                1,
            ).reshape(like.shape)
        return pad(full, [-amount for amount in spread])

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the map itself."""
        return Absolute(self, exact=True)

    def entries(self) -> int:
        """Return the windows' entries, padding counted."""
        return self.windows.volume() * math.prod(self.out_shape)

    def fans(self) -> tuple[int, int]:
        """Return a window's size, and how many windows can share an entry."""
        return self.windows.volume(), self.windows.overlap()

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        places = self.windows.positions(self.in_shape[1:])
        pixels, channels = math.prod(self.in_shape[1:]), self.in_shape[0]
        columns = np.arange(channels)[:, None, None] * pixels + places[None]
        kept = np.broadcast_to((places >= 0)[None], columns.shape)
        weights = np.broadcast_to((1.0 / self._divisors)[None, :, None], columns.shape)
        counts = kept.reshape(channels * places.shape[0], -1).sum(1)
        pointers = np.concatenate([[0], np.cumsum(counts)])
        shape = (self.out_size, self.in_size)
        return csr_array((weights[kept], columns[kept], pointers), shape=shape)

    def to(self, dtype: torch.dtype, device: torch.device) -> "AveragePool":
        """Return the map itself, which has no coefficients."""
        return self
