"""From what a reader found to a data set that fits a network."""

from dataclasses import dataclass

import numpy as np

from relulens.data.arrangement import Arrangement, Layout, arrangement
from relulens.data.data_set import DataSet, prepared
from relulens.data.facts import Facts, check_domain, facts
from relulens.data.labels import Labels, check_range, class_numbers
from relulens.data.source import Source
from relulens.errors import (
    DataError,
    InvalidArgumentError,
    NotFiniteError,
    ShapeError,
)
from relulens.graph.network import Network

BATCH_BYTES = 64 << 20
"""Bytes of inputs that are read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rows are used, and how they are read.

    Attributes:
        samples: How many rows, or all.
        seed: Seed of their choice.
        layout: Where the channels are, if that must be said.
        scale: What every number is divided by, or nothing.
    """

    samples: int | None = None
    seed: int = 0
    layout: Layout | None = None
    scale: float | None = None

    def arguments(self, subset: bool) -> str:
        """Return the options that matter, as Python passes them."""
        used = {
            "samples": self.samples if subset else None,
            "seed": self.seed if subset else None,
            "layout": self.layout,
            "scale": self.scale,
        }
        return "".join(f", {k}={v!r}" for k, v in used.items() if v is not None)


def fitted(source: Source, network: Network | None, choice: Choice) -> DataSet:
    """Return the data set of a source, checked against a network if one is given.

    Args:
        source: What a reader found.
        network: The network that the inputs are for.
        choice: Which rows are used, and how they are read.

    Raises:
        ShapeError: The inputs do not fit the network.
        DataError: The source holds no numbers, labels are wrong, or the domain is left.
        NotFiniteError: A number is NaN or infinite.
        InvalidArgumentError: ``samples`` is negative, or ``scale`` is not positive.
    """
    _check(source, choice)
    total = source.rows.shape[0]
    index = chosen_rows(total, choice.samples, choice.seed)
    wanted = None if network is None else network.input_shape
    layout = choice.layout or source.layout
    arranged = arrangement(source.rows.shape[1:], wanted, layout, count=total)
    scale = 1.0 if choice.scale is None else float(choice.scale)
    labels, notes = _labels(source, network)
    numbers = None if labels is None else labels.numbers[index]
    if numbers is not None and network is not None and len(numbers):
        check_range(numbers, network.output_size)
    found = _facts(source, index, arranged, scale, numbers)
    if network is not None and network.domain is not None:
        check_domain(found, network.domain, source.title)
    return DataSet(
        rows=source.rows,
        index=index,
        labels=numbers,
        names=_names(source, index),
        class_names=None if labels is None else labels.class_names,
        source=source.title,
        format=source.format,
        sha256=found.sha256,
        arrangement=arranged,
        scale=scale,
        low=found.low,
        high=found.high,
        seed=choice.seed if len(index) < total else None,
        recipe=f"{source.recipe}network{choice.arguments(len(index) < total)})",
        notes=(*source.notes, *notes, *_choice_notes(total, index, choice, arranged)),
    )


def check_fits(data: DataSet, network: Network) -> None:
    """Refuse a data set that was read for another network, or for none.

    Args:
        data: The data set.
        network: The network that it is used for.

    Raises:
        ShapeError: The inputs have another shape than the network's.
        DataError: Labels are out of range, or the inputs leave the domain.
    """
    if data.shape[1:] != network.input_shape:
        advice = "Read the data for this network: read_data(path, network)."
        raise ShapeError(data.source, data.shape, network.input_shape, advice)
    if data.labels is not None and len(data) and network.output_size > 1:
        check_range(data.labels, network.output_size)
    if network.domain is not None:
        batches = data.batches(max(1, BATCH_BYTES // (8 * network.input_size)))
        found = facts(batches, data.shape, data.labels)
        check_domain(found, network.domain, data.source)


def chosen_rows(total: int, samples: int | None, seed: int) -> np.ndarray:
    """Return which rows are used: all, or a random subset in ascending order."""
    if samples is None or samples >= total:
        return np.arange(total)
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(total, size=samples, replace=False))


def _check(source: Source, choice: Choice) -> None:
    if choice.samples is not None and choice.samples < 0:
        raise InvalidArgumentError(
            f"cannot choose {choice.samples} samples: 0 is the fewest. Pass how many."
        )
    if choice.scale is not None and not 0 < choice.scale < np.inf:
        raise InvalidArgumentError(
            f"cannot divide by scale={choice.scale:g}: it must exceed 0. Pass 255 for"
            " pixels from 0 to 255."
        )
    if source.rows.dtype.kind not in "biuf":
        raise DataError(
            f"cannot use {source.title}: its entries are {source.rows.dtype}, and real"
            " numbers are needed. Store plain integers or floats."
        )
    if len(source.rows.shape) == 0:
        raise DataError(
            f"cannot use {source.title}: it is 1 number, and an array of inputs is"
            " needed. Store them with a batch axis first."
        )


def _labels(
    source: Source, network: Network | None
) -> tuple[Labels | None, tuple[str, ...]]:
    if source.labels is None:
        return None, ()
    if network is not None and network.output_size == 1:
        return None, ("the network has a single output: the labels are not compared",)
    count = source.rows.shape[0]
    labels = class_numbers(source.labels, count=count, source=source.title)
    return labels, labels.notes


def _names(source: Source, index: np.ndarray) -> tuple[str, ...] | None:
    if source.names is None:
        return None
    return tuple(str(name) for name in source.names[index])


def _facts(
    source: Source,
    index: np.ndarray,
    arranged: Arrangement,
    scale: float,
    labels: np.ndarray | None,
) -> Facts:
    size = max(1, BATCH_BYTES // (8 * max(1, int(np.prod(arranged.shape)))))
    batches = (
        prepared(source.rows, index[start : start + size], arranged, scale)
        for start in range(0, len(index), size)
    )
    found = facts(batches, (len(index), *arranged.shape), labels)
    if found.bad:
        row = int(index[found.first_bad or 0])
        raise NotFiniteError(
            f"cannot use {source.title}: {found.bad} of its numbers are NaN, missing or"
            f" infinite, the first in row {row}. Remove or replace those inputs."
        )
    return found


def _choice_notes(
    total: int, index: np.ndarray, choice: Choice, arranged: Arrangement
) -> tuple[str, ...]:
    notes = []
    if choice.samples is not None and choice.samples > total:
        notes.append(f"{choice.samples} samples were asked for, and there are {total}")
    if len(index) < total:
        notes.append(
            f"{len(index)} of {total} rows, chosen at random, seed {choice.seed}"
        )
    if arranged.words:
        notes.append(f"each row was rearranged: {arranged.words}")
    return tuple(notes)
