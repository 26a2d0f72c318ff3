"""What a program reads of a report: verdicts, numbers, provenance."""

from collections.abc import Mapping, Sequence

import pandas as pd

from relulens.report.context import ReportContext
from relulens.report.folder import SCHEMA
from relulens.report.section import Section, SectionContent


def summary(
    context: ReportContext,
    contents: Sequence[tuple[Section, SectionContent]],
    origin: Mapping[str, object],
    *,
    seconds: float,
) -> dict[str, object]:
    """Return the content of ``summary.json``.

    Args:
        context: The tables.
        contents: The sections and what they found.
        origin: The report's provenance.
        seconds: How long it took.
    """
    return {
        "schema": SCHEMA,
        "network": repr(context.network),
        "inputs": len(context.samples),
        "accuracy": accuracy(context.samples),
        "failed_samples": failed(context.samples),
        "sections": {
            section.name: {
                "title": section.title,
                "sentences": list(content.sentences),
                "undone": content.undone,
            }
            for section, content in contents
        },
        "questions": {
            name: {"done": item.done, "of": item.total, "reason": item.reason}
            for name, item in context.questions.items()
        },
        "medians": medians(context.samples),
        "complete": not any(item.reason for item in context.questions.values()),
        "seconds": round(seconds, 1),
        "provenance": dict(origin),
    }


def accuracy(samples: pd.DataFrame) -> float | None:
    """Return the share of correct predictions, of the inputs that have a label."""
    if "correct" not in samples or not samples["correct"].notna().any():
        return None
    return float(samples["correct"].astype("Float64").mean())


def failed(samples: pd.DataFrame) -> int:
    """Return how many inputs a question failed on."""
    columns = [name for name in samples if str(name).endswith("_status")]
    if not columns or not len(samples):
        return 0
    wrong = [samples[name].str.startswith("failed").fillna(False) for name in columns]
    return int(pd.concat(wrong, axis=1).any(axis=1).sum())


def medians(samples: pd.DataFrame) -> dict[str, float]:
    """Return the median of every measured column that has a finite one."""
    numbers = samples.select_dtypes("float")
    middle = numbers.median()
    return {
        str(name): float(value)
        for name, value in middle.items()
        if pd.notna(value) and abs(value) != float("inf")
    }
