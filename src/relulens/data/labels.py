"""Labels as class numbers."""

from dataclasses import dataclass

import numpy as np

from relulens.errors import DataError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Labels:
    """Class numbers, and what the classes are called.

    Attributes:
        numbers: int64 [N].
        class_names: Names by number, if the labels were words.
        notes: What a reader of results must know.
    """

    numbers: np.ndarray
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def class_numbers(found: np.ndarray, *, count: int, source: str) -> Labels:
    """Return labels as class numbers.

    Words that are whole numbers count as these; other words are numbered in
    alphabetical order, and a note says so.

    Args:
        found: Labels as they were read.
        count: Number of inputs.
        source: What they were read from, for the message.

    Raises:
        DataError: Another number of labels than of inputs, or not whole numbers.
    """
    labels = np.asarray(found)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise DataError(
            f"cannot use the labels of {source}: their shape is {list(labels.shape)},"
            f" and there are {count} inputs. Pass one class number an input."
        )
    if labels.dtype.kind in "biu":
        return Labels(numbers=labels.astype(np.int64))
    if labels.dtype.kind == "f":
        return Labels(numbers=_whole(labels, source))
    return _words(labels.astype(str))


def _whole(labels: np.ndarray, source: str) -> np.ndarray:
    wrong = ~np.isfinite(labels) | (labels != np.round(labels))
    if wrong.any():
        raise DataError(
            f"cannot use the labels of {source}: {int(wrong.sum())} of {len(labels)}"
            f" are not whole numbers, such as {labels[wrong][0]:g}. Pass class numbers."
        )
    return labels.astype(np.int64)


def _words(labels: np.ndarray) -> Labels:
    words = sorted(set(labels.tolist()))
    if all(word.isdecimal() for word in words):
        return Labels(numbers=labels.astype(np.int64))
    numbers = np.searchsorted(np.array(words), labels).astype(np.int64)
    shown = ", ".join(f"{i} {word}" for i, word in enumerate(words[:10]))
    note = f"classes are numbered in alphabetical order: {shown}"
    return Labels(
        numbers=numbers,
        class_names=tuple(words),
        notes=(note + (", …" if len(words) > 10 else ""),),
    )


def check_range(labels: np.ndarray, classes: int) -> None:
    """Refuse labels that are no output's number.

    Raises:
        DataError: A label is below 0 or not below ``classes``.
    """
    wrong = (labels < 0) | (labels >= classes)
    if not wrong.any():
        return
    low, high = int(labels.min()), int(labels.max())
    shifted = low == 1 and high == classes
    advice = (
        "They seem to start at 1: subtract 1."
        if shifted
        else "Pass the class numbers that the network was trained on."
    )
    raise DataError(
        f"cannot use the labels: {int(wrong.sum())} of {len(labels)} are out of range;"
        f" they run from {low} to {high}, and the network's {classes} outputs are 0 to"
        f" {classes - 1}. {advice}"
    )
