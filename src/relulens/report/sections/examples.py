"""Inputs of the data set as small pictures, with what was found about each."""

from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup

from relulens.report.context import ReportContext
from relulens.report.page.pictures import gallery_markup, input_png, picture_markup
from relulens.report.section import Figure
from relulens.report.sections.phrases import class_name, numbers

SHOWN = 8


def extremes(values: np.ndarray, count: int = SHOWN) -> tuple[list[int], list[int]]:
    """Return the places of the smallest and of the largest numbers, extremes first.

    NaN is neither. No place is in both lists: with few numbers both get shorter.
    """
    order = [
        int(i) for i in np.argsort(values, kind="stable") if np.isfinite(values[i])
    ]
    half = min(count, len(order) // 2)
    return order[:half], order[::-1][:half]


def scale_of(context: ReportContext) -> tuple[float, float]:
    """Return the numbers that are drawn black and white."""
    domain = context.network.domain
    if (
        domain is not None
        and domain.low.isfinite().all()
        and domain.high.isfinite().all()
    ):
        return float(domain.low.min()), float(domain.high.max())
    return context.data.low, context.data.high


def verdict_on(context: ReportContext, row: int) -> str:
    """Return what the network says of an input, beside its label if there is one."""
    label = numbers(context.samples, "label")[row]
    said = class_name(context, numbers(context.samples, "prediction")[row])
    if not np.isfinite(label) or said == class_name(context, label):
        return said
    return f"{said}, not {class_name(context, label)}"


def gallery(
    context: ReportContext,
    groups: Sequence[tuple[str, Sequence[int], Callable[[int], str]]],
    *,
    caption: str,
) -> Figure | None:
    """Return inputs as pictures in groups; nothing if they must not be shown.

    Args:
        context: The report's context.
        groups: Heading, rows and a note for each row, per group.
        caption: Caption of the figure.
    """
    parts = []
    low, high = scale_of(context)
    for heading, rows, note in groups:
        inputs = context.pictures(rows) if rows else None
        if inputs is None:
            continue
        tiles = []
        for row, array in zip(rows, inputs, strict=True):
            said = verdict_on(context, row)
            alt = f"input {row}, classified as {said}"
            png = input_png(array, low, high)
            tiles.append(picture_markup(png, alt, said, f"#{row} · {note(row)}"))
        parts.append(gallery_markup(tiles, heading))
    if not parts:
        return None
    content = Markup("").join(parts).encode()
    return Figure(format="html", content=content, caption=caption, alt=caption)
