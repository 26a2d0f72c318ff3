"""What a section of the report may read."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from relulens.data.data_set import DataSet
from relulens.graph.network import Network


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReportOptions:
    """How the report was asked for.

    Attributes:
        sections: Names of the sections, in order.
        samples: Number of inputs asked for, or all.
        seed: Seed of everything random.
        budget: Seconds for the whole report, or no limit.
        sensitive: Whether raw inputs must not appear anywhere.
        bytes_: Most bytes of the page.
        command: The command line that makes the same report again.
    """

    sections: tuple[str, ...]
    samples: int | None
    seed: int
    budget: float | None
    sensitive: bool
    bytes_: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a question came.

    Attributes:
        done: Rows with an answer.
        total: Rows there are.
        reason: Why the others have none; empty if all have.
    """

    done: int
    total: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReportContext:
    """The survey's tables and what else a section may read; nothing is computed here.

    Attributes:
        network: The network.
        data: The data set, already restricted to the inputs of the report; ``low``,
            ``high``, ``dtype``, ``scale``, ``source`` and ``notes`` say what it is.
        samples: A row per input, in the data's order, columns as in
            ``samples.parquet``; what was not computed is null, and
            ``<question>_status`` says why.
        layers: A row per layer and one for the output, as in ``layers.parquet``.
        spectra: A row per input and cut of the ``spectra`` question, with the columns
            input, layer (index, -1 the output), name, at, largest, smallest, rank,
            count, complete, spectra_status.
        preimages: A row per input and layer of the questions ``preimage`` and
            ``preimage_depth``, with input, question, status and their columns.
        values: Singular values, largest first, by ``(input, layer, at)``.
        class_names: One name per output, if the outputs are classes that have names.
        questions: Per question, how many of its rows are done, of how many, and why
            not.
        options: How the report was asked for.
        deadline: ``time.monotonic()`` at which the budget ends, or no limit.
    """

    network: Network
    data: DataSet
    samples: pd.DataFrame
    layers: pd.DataFrame
    spectra: pd.DataFrame
    preimages: pd.DataFrame
    values: Mapping[tuple[int, int, str], np.ndarray]
    class_names: tuple[str, ...] | None
    questions: Mapping[str, Progress]
    options: ReportOptions
    deadline: float | None

    def points(self, rows: Sequence[int]) -> np.ndarray:
        """Return some inputs [len(rows), *input_shape] to compute with, never to show.

        Args:
            rows: Positions in ``samples``.
        """
        return self.data.take(rows)

    def pictures(self, rows: Sequence[int]) -> np.ndarray | None:
        """Return some inputs to show, or nothing if the report is sensitive.

        Args:
            rows: Positions in ``samples``.
        """
        return None if self.options.sensitive else self.data.take(rows)

    def seconds_left(self) -> float:
        """Return the seconds that the budget still has, infinite without one."""
        if self.deadline is None:
            return float("inf")
        return max(0.0, self.deadline - time.monotonic())
