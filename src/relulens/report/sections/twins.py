"""Inputs beside their twins: the same features, other pictures."""

import time

import numpy as np
import pandas as pd
import torch
from markupsafe import Markup

from relulens.errors import RelulensError
from relulens.graph.evaluate import evaluate
from relulens.preimage.twin import Twin, twin
from relulens.report.context import ReportContext
from relulens.report.page.pictures import (
    gallery_markup,
    input_png,
    picture_markup,
    signed_png,
)
from relulens.report.section import Figure
from relulens.report.sections.examples import scale_of
from relulens.report.sections.phrases import class_name, number

EACH = 2
LAYERS = 3
SECONDS = 10.0


def twin_pictures(context: ReportContext, table: pd.DataFrame) -> Figure | None:
    """Return a row an example: input, twin, difference, with both predictions.

    Args:
        context: The report's context; nothing is shown if it is sensitive.
        table: Rows of ``context.preimages`` that have a twin; of the first layers that
            do, the farthest twins are shown.
    """
    if context.options.sensitive or not len(table):
        return None
    end = time.monotonic() + min(SECONDS, context.seconds_left())
    parts: list[Markup] = []
    for _, rows in list(table.groupby("layer", sort=False))[:LAYERS]:
        tiles: list[Markup] = []
        farthest = rows.sort_values("twin_distance", ascending=False)[:EACH]
        for place in farthest["input"].tolist():
            if time.monotonic() > end:
                break
            found = _found(context, int(rows["layer"].iloc[0]), place)
            tiles += [] if found is None else _tiles(context, found, place)
        if tiles:
            parts.append(gallery_markup(tiles, f"The same to {rows['name'].iloc[0]}"))
    if not parts:
        return None
    return Figure(
        format="html",
        content=Markup("").join(parts).encode(),
        caption="An input, the farthest twin found, and twin minus input (red above"
        " zero, blue below): the layer's features are the same to rounding, by the"
        " number under the difference. Twins stay in the domain where there is one, and"
        " are pictures that nobody has to find natural.",
        alt="Inputs, their twins and the differences, with predictions",
    )


def _found(context: ReportContext, layer: int, row: int) -> Twin | None:
    x = torch.as_tensor(context.points([row]))
    name = "output" if layer < 0 else layer
    try:
        found = twin(context.network, x, layer=name)[0]
    except RelulensError:
        return None
    return None if found.x2 is None else found


def _tiles(context: ReportContext, found: Twin, place: int) -> list[Markup]:
    x, x2 = (t.numpy() for t in (found.x, found.x2) if t is not None)
    low, high = scale_of(context)
    said = _predictions(context, np.stack([x, x2]))
    change = x2 - x
    return [
        picture_markup(input_png(x, low, high), f"input {place}", said[0], f"#{place}"),
        picture_markup(
            input_png(x2, low, high),
            f"twin of input {place}",
            said[1],
            f"twin, {number(found.distance)} away",
        ),
        picture_markup(
            signed_png(change, float(np.abs(change).max())),
            f"twin minus input {place}",
            f"± {number(found.distance_linf)}",
            f"features differ by {number(found.difference)}",
        ),
    ]


def _predictions(context: ReportContext, pair: np.ndarray) -> list[str]:
    x = context.network.as_input(torch.as_tensor(pair))
    logits = evaluate(context.network, x).flatten(1)
    if logits.shape[1] < 2:
        return [f"output {number(float(value))}" for value in logits[:, 0]]
    return [class_name(context, float(place)) for place in logits.argmax(1)]
