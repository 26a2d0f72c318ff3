"""Inputs of the data set as small pictures, with what was found about each."""

from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup

from relulens.report.context import ReportContext
from relulens.report.page.pictures import (
    drawable,
    gallery_markup,
    input_png,
    picture_markup,
)
from relulens.report.section import Figure
from relulens.report.sections.phrases import class_name, numbers

SHOWN = 8
SCALED_BY = 1000


def extremes(values: np.ndarray, count: int = SHOWN) -> tuple[list[int], list[int]]:
    """Return the places of the smallest and of the largest numbers, extremes first.

    NaN is neither. No place is in both lists: with few numbers both get shorter.
    """
    order = [
        int(i) for i in np.argsort(values, kind="stable") if np.isfinite(values[i])
    ]
    half = min(count, len(order) // 2)
    return order[:half], order[::-1][:half]


def scale_of(context: ReportContext) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers that are drawn black and white.

    The domain's bounds; without a domain those of the data, and for entries that are no
    pixels those of every entry by itself, since their units differ.
    """
    domain = context.network.domain
    if domain is not None:
        low, high = domain.low.numpy(), domain.high.numpy()
        if np.isfinite(low).all() and np.isfinite(high).all():
            return low, high
    if drawable(context.network.input_shape) or not len(context.data):
        return np.asarray(context.data.low), np.asarray(context.data.high)
    some = context.points(range(min(SCALED_BY, len(context.data))))
    return some.min(axis=0), some.max(axis=0)


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
