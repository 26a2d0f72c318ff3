"""A data set: which rows of which source, arranged and scaled for a network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from relulens.data.arrangement import Arrangement


@runtime_checkable
class Rows(Protocol):
    """What a reader gives: an array, or something that reads rows when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with the batch axis first."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers."""
        ...

    def __getitem__(self, index: np.ndarray, /) -> np.ndarray:
        """Return the rows at these positions."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DataSet:
    """Inputs for a network, read in batches, with what is known about them.

    Attributes:
        rows: Where the numbers come from, one row an input.
        index: Which rows of the source are used, ascending.
        labels: True classes of the used rows, or nothing.
        names: Names of the used rows in the source, or nothing.
        class_names: Names of the classes, or nothing.
        source: What was read, in words: a file name or a title.
        format: ``"npz"``, ``"npy"``, ``"idx"``, ``"table"``, ``"images"``, ``"array"``
            or ``"embedded"``.
        sha256: Hash of the used inputs as the network gets them, and of their labels.
        arrangement: How a row becomes the network's input shape.
        scale: What every number is divided by.
        low: Smallest number given to the network; NaN without inputs.
        high: Largest number given to the network; NaN without inputs.
        seed: Seed of the choice of rows, if not all are used.
        recipe: Python that reads the same data again, given ``network``.
        notes: What a reader of results must know.
    """

    rows: Rows
    index: np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...] | None
    class_names: tuple[str, ...] | None
    source: str
    format: str
    sha256: str
    arrangement: Arrangement
    scale: float
    low: float
    high: float
    seed: int | None
    recipe: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        labels = "no labels" if self.labels is None else "labels"
        return (
            f"DataSet({self.source!r}, {list(self.shape)}, {labels},"
            f" {self.low:g} to {self.high:g})"
        )

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.index)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all inputs, batch axis first."""
        return (len(self.index), *self.arrangement.shape)

    @property
    def total(self) -> int:
        """Rows that the source has."""
        return self.rows.shape[0]

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers in the source."""
        return self.rows.dtype

    def take(self, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return some inputs as the network gets them.

        Args:
            positions: Positions among the used rows, in any order.

        Returns:
            float64 [len(positions), *input_shape].
        """
        chosen = self.index[np.asarray(positions, dtype=np.int64)]
        return prepared(self.rows, chosen, self.arrangement, self.scale)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Yield all inputs in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


def prepared(
    rows: Rows, chosen: np.ndarray, arrangement: Arrangement, scale: float
) -> np.ndarray:
    """Return rows of a source as the network gets them, float64."""
    values = np.asarray(rows[chosen]).astype(np.float64)
    return arrangement.arrange(values if scale == 1.0 else values / scale)
