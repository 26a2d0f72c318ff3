"""Groups of entries that a maximum is taken over."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, max_pool2d, max_pool3d

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import Shape
from relulens.graph.maps.windows import Windows

_POOLS = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Groups as index lists of any lengths.

    Attributes:
        index: Flat positions in the argument, group after group.
        pointers: Where each group starts in ``index``, and the end of the last one.
    """

    index: Tensor
    pointers: Tensor

    def padded(self) -> tuple[Tensor, Tensor]:
        """Return the groups as a table and what of it is real.

        Returns:
            Positions [groups, longest] with zeros where a group is shorter, and a mask.
        """
        lengths = self.pointers.diff()
        width = int(lengths.max()) if lengths.numel() else 0
        column = torch.arange(width, device=self.index.device)
        real = column[None, :] < lengths[:, None]
        table = torch.zeros(real.shape, dtype=torch.int64, device=self.index.device)
        table[real] = self.index
        return table, real


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of a maximum, with a fast form where they are sliding windows.

    Attributes:
        in_shape: Shape of the argument.
        out_shape: Shape of the result, one entry a group.
        windows: The sliding windows over ``(channels, *lengths)``, or nothing.
        axis: The axis that is reduced to nothing, or nothing.
        lists: Index lists, where neither of the two says what the groups are.
    """

    in_shape: Shape
    out_shape: Shape
    windows: Windows | None = None
    axis: int | None = None
    lists: Ragged | None = None

    def __post_init__(self) -> None:
        """Check that every group has an entry.

        Raises:
            InvalidArgumentError: A group is empty.
        """
        empty = self._empty()
        if empty:
            count = int(np.prod(self.out_shape))
            raise InvalidArgumentError(
                f"cannot take a maximum: {empty} of its {count} groups are empty, such"
                " as windows that cover padding only. Use less padding or dilation."
            )

    def _empty(self) -> int:
        """Return how many groups have no entry."""
        if self.lists is not None:
            return int((self.lists.pointers.diff() == 0).sum())
        count = int(np.prod(self.out_shape))
        if self.axis is not None:
            return 0 if self.in_shape[self.axis] else count
        if self.windows is None:
            return 0
        return self.in_shape[0] * self.windows.empty(self.in_shape[1:])

    @classmethod
    def of_windows(cls, in_shape: Shape, windows: Windows) -> "Groups":
        """Return the groups of a pooling layer; padding belongs to no group."""
        out_shape = (in_shape[0], *windows.out_lengths(in_shape[1:]))
        return cls(in_shape, out_shape, windows=windows)

    @classmethod
    def along(cls, in_shape: Shape, axis: int) -> "Groups":
        """Return the groups of all entries along one axis, which disappears."""
        return cls(in_shape, in_shape[:axis] + in_shape[axis + 1 :], axis=axis)

    @cached_property
    def ragged(self) -> Ragged:
        """The groups as index lists."""
        if self.lists is not None:
            return self.lists
        table = self._table()
        kept = table >= 0
        pointers = np.concatenate([[0], np.cumsum(kept.sum(1))])
        return Ragged(torch.from_numpy(table[kept]), torch.from_numpy(pointers))

    @cached_property
    def _padded(self) -> tuple[Tensor, Tensor]:
        return self.ragged.padded()

    def entries(self) -> int:
        """Return the sum of the groups' sizes, padding counted."""
        if self.lists is not None:
            return self.lists.index.numel()
        if self.windows is not None:
            return int(np.prod(self.out_shape)) * self.windows.volume()
        return int(np.prod(self.in_shape))

    def _table(self) -> np.ndarray:
        size = int(np.prod(self.in_shape))
        if self.axis is not None:
            flat = np.moveaxis(np.arange(size).reshape(self.in_shape), self.axis, -1)
            return flat.reshape(-1, self.in_shape[self.axis])
        if self.windows is None:
            raise InvalidArgumentError(
                "cannot list the groups of a maximum: 0 of windows, axis and lists are"
                " given, and one is needed. Use of_windows, along or lists."
            )
        places = self.windows.positions(self.in_shape[1:])
        pixels = int(np.prod(self.in_shape[1:]))
        channel = np.arange(self.in_shape[0])[:, None, None] * pixels
        table = np.where(places >= 0, places + channel, -1)
        return table.reshape(-1, places.shape[1])

    def largest(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return each group's maximum and which entry it is, the first if several.

        Args:
            z: Arguments [N, *in_shape].

        Returns:
            Values [N, *out_shape] and flat positions in the argument, int64.
        """
        if self.axis is not None:
            return self._largest_along(z, self.axis)
        if self.windows is not None and self._pools_natively(self.windows):
            return self._largest_pooled(z, self.windows)
        table, real = self._padded
        values = z.flatten(1)[:, table.to(z.device)]
        values = values.masked_fill(~real.to(z.device), -torch.inf)
        place = _first_largest(values)
        best = values.gather(-1, place).squeeze(-1)
        winners = table.to(z.device).expand(z.shape[0], -1, -1).gather(-1, place)
        shape = (z.shape[0], *self.out_shape)
        return best.reshape(shape), winners.reshape(shape)

    @staticmethod
    def _pools_natively(windows: Windows) -> bool:
        halves = zip(windows.padding, windows.size, strict=True)
        return windows.symmetric and all(pad[0] * 2 <= size for pad, size in halves)

    def _largest_along(self, z: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        place = _first_largest(z.movedim(axis + 1, -1)).movedim(-1, axis + 1)
        size = int(np.prod(self.in_shape))
        flat = torch.arange(size, device=z.device).reshape(1, *self.in_shape)
        winners = flat.expand(z.shape[0], *self.in_shape).gather(axis + 1, place)
        values = z.gather(axis + 1, place)
        return values.squeeze(axis + 1), winners.squeeze(axis + 1)

    def _largest_pooled(self, z: Tensor, windows: Windows) -> tuple[Tensor, Tensor]:
        pool = _POOLS[windows.rank]
        before = tuple(pad[0] for pad in windows.padding)
        values, place = pool(
            z,
            windows.size,
            windows.stride,
            before,
            windows.dilation,
            ceil_mode=windows.ceil_mode,
            return_indices=True,
        )
        pixels = int(np.prod(self.in_shape[1:]))
        channel = torch.arange(self.in_shape[0], device=z.device) * pixels
        return values, place + channel.reshape(1, -1, *[1] * windows.rank)


def _first_largest(values: Tensor) -> Tensor:
    """Return the first position of the maximum along the last axis, which stays."""
    return values.argmax(-1, keepdim=True)
