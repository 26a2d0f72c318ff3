"""Convolutions in one, two or three dimensions; the adjoint is the transposed one."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap, Shape
from relulens.graph.maps.windows import Windows

_CACHED = 2 << 20
"""Bytes of the windows that torch lays out at once, so that they stay in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Convolution(LinearMap):
    """Cross-correlation with a kernel, zero padding, as in every deep-learning library.

    Attributes:
        weight: The kernel, ``[out channels, in channels / groups, *window]``.
        in_shape: ``(in channels, *lengths)``.
        windows: Stride, padding (alike before and after) and dilation of the kernel.
        groups: Number of blocks that the channels are split into.
    """

    weight: Float[Tensor, "out inner *window"]
    in_shape: Shape
    windows: Windows
    groups: int = 1

    def __post_init__(self) -> None:
        """Check the kernel against the argument.

        Raises:
            InvalidArgumentError: The channels or axes do not fit, or the padding is not
                alike before and after.
        """
        windows, shape = self.windows, self.weight.shape
        channels = shape[1] * self.groups
        if (channels, *shape[2:]) != (self.in_shape[0], *windows.size) or (
            shape[0] % self.groups
        ):
            raise InvalidArgumentError(
                f"cannot make a convolution: its kernel is {list(shape)} in"
                f" {self.groups} groups, and reads {list(self.in_shape)} by windows"
                f" {windows.size}. Give [out, in / groups, *window]."
            )
        if not windows.symmetric or windows.ceil_mode:
            raise InvalidArgumentError(
                f"cannot make a convolution: its padding is {windows.padding}, and must"
                " be alike before and after, without ceil mode. Pad with another map."
            )

    @property
    def out_shape(self) -> Shape:
        """``(out channels, *windows along each axis)``."""
        return (self.weight.shape[0], *self.windows.out_lengths(self.in_shape[1:]))

    @property
    def rows_single(self) -> bool:
        """Whether the kernel has one nonzero entry at most for every out channel."""
        return bool(((self.weight != 0).flatten(1).sum(1) <= 1).all())

    @property
    def columns_single(self) -> bool:
        """False: windows overlap and channels share entries in general."""
        return False

    @property
    def nonnegative(self) -> bool:
        """Whether no kernel entry is negative."""
        return bool((self.weight >= 0).all())

    @property
    def _pads(self) -> list[int]:
        return [before for before, _ in self.windows.padding]

    def apply(self, x: Tensor) -> Tensor:
        """Return the convolution of every image."""
        rows = self._rows_at_once(x)
        if x.shape[0] <= rows:
            return self._convolved(x)
        result = x.new_empty((x.shape[0], *self.out_shape))
        for part, place in zip(x.split(rows), result.split(rows), strict=True):
            place.copy_(self._convolved(part))
        return result

    def _convolved(self, x: Tensor) -> Tensor:
        windows = self.windows
        return torch.convolution(
            x,
            self.weight,
            None,
            windows.stride,
            self._pads,
            windows.dilation,
            False,
            [0] * windows.rank,
            self.groups,
        )

    def _rows_at_once(self, x: Tensor) -> int:
        """Return how many images to take at once.

        For float64 on a processor, torch lays out the windows of a whole batch in one
        array before it multiplies; past the cache that is up to ten times slower.
        """
        if x.dtype != torch.float64 or x.device.type != "cpu":
            return max(x.shape[0], 1)
        entries = (
            self.in_shape[0] * self.windows.volume() * math.prod(self.out_shape[1:])
        )
        return max(_CACHED // max(entries * x.itemsize, 1), 1)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return the transposed convolution of every image."""
        windows = self.windows
        like = y.new_empty((1,)).expand(y.shape[0], *self.in_shape)
        gradient, _, _ = torch.ops.aten.convolution_backward(
            y.contiguous(),
            like,
            self.weight,
            None,
            windows.stride,
            self._pads,
            windows.dilation,
            False,
            [0] * windows.rank,
            self.groups,
            [True, False, False],
        )
        return gradient

    def absolute(self, *, limit: int = BYTE_LIMIT) -> Absolute:
        """Return the convolution with the absolute kernel."""
        map_ = Convolution(self.weight.abs(), self.in_shape, self.windows, self.groups)
        return Absolute(map_, exact=True)

    def entries(self) -> int:
        """Return the entries of the block-Toeplitz matrix, padding counted."""
        return self.weight[0].numel() * math.prod(self.out_shape)

    def fans(self) -> tuple[int, int]:
        """Return the kernel's entries of an out channel and of an in channel."""
        outs = self.weight.shape[0] // self.groups
        return self.weight[0].numel(), outs * self.windows.overlap()

    def _sparse(self, limit: int) -> csr_array:
        self._check_entries(limit)
        lengths = self.in_shape[1:]
        pixels = math.prod(lengths)
        places = self.windows.positions(lengths)  # shape [windows, entries]
        outs, inner = self.weight.shape[0], self.weight.shape[1]
        kernel = self.weight.to("cpu", torch.float64).reshape(outs, inner, -1).numpy()
        group = np.arange(outs) // (outs // self.groups)
        channels = group[:, None] * inner + np.arange(inner)[None, :]
        # The next arrays are [outs, windows, inner, entries].
        columns = channels[:, None, :, None] * pixels + places[None, :, None, :]
        kept = np.broadcast_to((places >= 0)[None, :, None, :], columns.shape)
        data = np.broadcast_to(kernel[:, None, :, :], columns.shape)
        counts = kept.reshape(outs * places.shape[0], -1).sum(1)
        pointers = np.concatenate([[0], np.cumsum(counts)])
        shape = (self.out_size, self.in_size)
        return csr_array((data[kept], columns[kept], pointers), shape=shape)

    def to(self, dtype: torch.dtype, device: torch.device) -> "Convolution":
        """Return the map with a converted kernel."""
        weight = self.weight.to(device, dtype)
        return Convolution(weight, self.in_shape, self.windows, self.groups)
