"""Numbers and lists as people read them, for the sections' sentences."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from relulens.plot.theme import number
from relulens.report.context import ReportContext


def counted(count: int, thing: str, things: str | None = None) -> str:
    """Return a count with its noun.

    Example:
        >>> counted(1, "input"), counted(1200, "input"), counted(2, "class", "classes")
        ('1 input', '1,200 inputs', '2 classes')
    """
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words with commas and a last "and".

    Example:
        >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    if len(words) <= 1:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def percent(part: float, whole: float) -> str:
    """Return a share as percent; nothing of nothing has none.

    Example:
        >>> percent(442, 450), percent(3, 3), percent(0, 0), percent(9999, 10000)
        ('98.2 %', '100 %', 'no share', '99.99 %')
    """
    if whole == 0:
        return "no share"
    share = 100.0 * part / whole
    text = f"{share:.1f}"
    if text in {"100.0", "0.0"} and part not in {0, whole}:
        text = f"{share:.2f}"
        if text in {"100.00", "0.00"}:
            text = "more than 99.99" if part > 0.5 * whole else "less than 0.01"
    return f"{text.removesuffix('.0') if part in {0, whole} else text} %"


def known(column: pd.Series) -> np.ndarray:
    """Return the numbers of a column that were computed, float64."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    return values[np.isfinite(values)]


def numbers(samples: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column as float64 [N]; NaN where it is missing or not computed."""
    if name not in samples:
        return np.full(len(samples), math.nan)
    return pd.to_numeric(samples[name], errors="coerce").to_numpy(dtype=np.float64)


def class_name(context: ReportContext, index: float) -> str:
    """Return the name of a class, its number where it has no name."""
    if not math.isfinite(index):
        return "nothing"
    names = context.class_names
    place = int(index)
    if names is None or not 0 <= place < len(names):
        return str(place)
    return names[place]


def layer_name(context: ReportContext, layer: int) -> str:
    """Return what sentences call a layer: its index and its name; -1 is the output."""
    if layer < 0:
        return "the output"
    return f"layer {layer} ({context.network.layers[layer].name})"


def not_reached(context: ReportContext, questions: Sequence[str]) -> str | None:
    """Return in one sentence what the questions left out and how to get the rest."""
    parts = []
    for name in questions:
        progress = context.questions.get(name)
        if progress is None or progress.done == progress.total:
            continue
        reason = f" ({progress.reason})" if progress.reason else ""
        left = progress.total - progress.done
        parts.append(f"{name}: {left:,} of {progress.total:,} left out{reason}")
    if not parts:
        return None
    command = context.options.command
    rest = f" The same command continues where it stopped: {command}" if command else ""
    return f"{'; '.join(parts)}.{rest}"


__all__ = [
    "class_name",
    "counted",
    "known",
    "layer_name",
    "listed",
    "not_reached",
    "number",
    "numbers",
    "percent",
]
