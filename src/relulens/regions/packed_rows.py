"""Rows of small numbers, a bit for each of their binary places."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relulens.regions.array_blocks import ArrayBlocks


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """A table of numbers from 0 on, in as many bits each as the largest takes.

    Attributes:
        planes: The binary places, the lowest first [places, rows, bytes].
        columns: Numbers of a row.
        kind: The numbers' type.
    """

    planes: NDArray[np.uint8]
    columns: int
    kind: np.dtype[Any]

    @classmethod
    def of(cls, numbers: NDArray[np.integer[Any]]) -> "PackedRows":
        """Return numbers [rows, columns], packed."""
        places = int(numbers.max(initial=0)).bit_length()
        count, columns = numbers.shape
        planes = np.empty((places, count, -(-columns // 8)), np.uint8)
        for place in range(places):
            planes[place] = np.packbits((numbers & (1 << place)) != 0, axis=1)
        return cls(planes, columns, numbers.dtype)

    def __getitem__(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Return some rows of numbers."""
        numbers = np.zeros((len(rows), self.columns), self.kind)
        for place, plane in enumerate(self.planes):
            bits = np.unpackbits(plane[rows], axis=1, count=self.columns)
            numbers |= bits.astype(self.kind) << place
        return numbers

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return self.planes.shape[1] * self.columns

    @property
    def nbytes(self) -> int:
        """Memory of the bits."""
        return self.planes.nbytes

    def kept(self, blocks: ArrayBlocks) -> "PackedRows":
        """Return it with its bits in some blocks."""
        return replace(self, planes=blocks.kept(self.planes))
