"""A question asked of every input of a data set, and what its answers are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from torch import Tensor

from relulens.graph.network import Network

ColumnType: TypeAlias = Literal["float", "int", "bool", "string"]
Option: TypeAlias = int | float | str | bool | tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a question's table.

    Attributes:
        name: Its name.
        type: Type of its values; all of them may be null.
    """

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """Rows of a question's table that are answered together.

    Attributes:
        x: The input of every row, [n, *input_shape], of the network's type.
        labels: The label of every row, or nothing.
        inputs: Which input of the data set every row is about.
        items: Which of the question's items of that input.
    """

    x: Tensor
    labels: np.ndarray | None
    inputs: np.ndarray
    items: np.ndarray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """What a question answers on one batch.

    Attributes:
        columns: An array [n] a column; NaN and masked entries are null.
        arrays: What is too large for a table, by name; any shapes.
        status: Per row ``"ok"`` or why it has no answer; all ok by default.
    """

    columns: Mapping[str, np.ndarray]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    status: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Question:
    """A question, and how its work is cut into shards.

    The cut must depend on nothing but the network and the options, so that a run that
    was stopped and continued gives the same bits.

    Attributes:
        name: Its name, also of its folder.
        version: Raised whenever its answers change.
        columns: Columns of its table.
        run: Answers one batch; a function of a module, so that it can be sent away.
        rows_per_shard: How many rows one shard has.
        items: Rows that it has for every input.
        inputs: Asked of the first so many inputs only, or of all.
        options: What ``run`` is called with beside network and batch.
    """

    name: str
    version: int
    columns: tuple[Column, ...]
    run: Callable[[Network, Batch, Mapping[str, Option]], Answer]
    rows_per_shard: int
    items: int = 1
    inputs: int | None = None
    options: Mapping[str, Option] = field(default_factory=dict)

    def rows(self, inputs: int) -> int:
        """Return how many rows its table has for a number of inputs."""
        asked = inputs if self.inputs is None else min(inputs, self.inputs)
        return asked * self.items
