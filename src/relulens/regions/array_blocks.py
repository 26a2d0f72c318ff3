"""Arrays kept side by side in large blocks of memory."""

from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

_BLOCK = 33 << 20
"""Bytes of a block: more than allocators put between what comes and goes, so that its
pages are the system's until they are written to, and again when it is forgotten."""

_ALIGNED = 64


class ArrayBlocks:
    """Room for arrays that stay, apart from those that come and go.

    Small arrays that stay would otherwise lie between large ones that are forgotten,
    whose memory could not be given back. A block is forgotten when all its arrays are.

    Args:
        size: Bytes of a block; if 0, every array is on its own.
    """

    def __init__(self, size: int = _BLOCK) -> None:
        self._size = size
        self._block: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._used = 0
        self._lock = Lock()

    def kept(
        self, array: NDArray[Number], kind: type[np.generic] | None = None
    ) -> NDArray[Any]:
        """Return a copy in the blocks.

        Args:
            array: The array.
            kind: The type of the copy's numbers; the array's by default.
        """
        wanted = array.dtype if kind is None else np.dtype(kind)
        size = array.size * wanted.itemsize
        with self._lock:
            if self._used + size > len(self._block):
                self._block = np.empty(max(self._size, size), np.uint8)
                self._used = 0
            room = self._block[self._used : self._used + size]
            self._used += -(-size // _ALIGNED) * _ALIGNED
        copy = room.view(wanted).reshape(array.shape)
        copy[...] = array
        return copy
