"""Reversal: can the network be run backwards through its own transposed weights?"""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from markupsafe import Markup

from relulens.errors import (
    InvalidArgumentError,
    MemoryLimitError,
    UnsupportedOperationError,
)
from relulens.graph.nodes import TwoSlope
from relulens.plot.random_spectrum import random_spectrum
from relulens.report.context import ReportContext
from relulens.report.page.panels import panels_markup
from relulens.report.page.pictures import gallery_markup, input_png, picture_markup
from relulens.report.section import Card, Figure, Section, SectionContent, Table
from relulens.report.sections.examples import scale_of
from relulens.report.sections.phrases import counted, listed, number
from relulens.reversal.likeness import LayerLikeness, RandomLikeness, random_likeness
from relulens.reversal.reverse import Reversal, reversal

INPUTS = 16
LAYERS = 5
LARGE = 50_000
"""Units above which fewer inputs and layers are taken, and no least squares below the
first layer."""
PICTURED = 4
DRAWN = 4
SECONDS = 40.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Found:
    reversals: tuple[Reversal, ...]
    left_out: tuple[str, ...]


def build(context: ReportContext) -> SectionContent:
    """Reverse some layers on some inputs, and judge the weights."""
    most = 4 if context.network.state_size > LARGE else INPUTS
    rows = list(range(min(most, len(context.data))))
    found = _reversed(context, rows)
    try:
        likeness = random_likeness(context.network, seed=context.options.seed)
    except InvalidArgumentError as error:
        likeness = RandomLikeness(
            layers=(), left_out={"all": str(error)}, initial="none", alarm=0.01
        )
    figures = [_spectra(likeness), _pictures(context, rows, found.reversals)]
    return SectionContent(
        sentences=(*_reversal_words(found), *_likeness_words(likeness)),
        figures=tuple(figure for figure in figures if figure is not None),
        table=_table(found.reversals),
        check=_check(found.reversals),
        undone="; ".join(found.left_out) or None,
        cards=_cards(found.reversals),
    )


def _chosen(context: ReportContext) -> list[str]:
    """Return some two-slope layers, first to last, evenly spread over the depth."""
    network = context.network
    names = [
        layer.name
        for layer in network.layers
        if isinstance(network.nodes[layer.nodes[-1]], TwoSlope)
    ]
    most = 3 if network.state_size > LARGE else LAYERS
    places = np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).round())
    return [names[int(place)] for place in places]


def _reversed(context: ReportContext, rows: list[int]) -> _Found:
    done: list[Reversal] = []
    left_out: list[str] = []
    if not rows:
        return _Found(reversals=(), left_out=("reversal: there are no inputs",))
    x = torch.as_tensor(context.points(rows))
    end = time.monotonic() + min(SECONDS, context.seconds_left())
    for name in _chosen(context):
        if time.monotonic() > end:
            left_out.append(f"reversal of {name}: the section's time was used up")
            continue
        try:
            done.append(
                reversal(
                    context.network,
                    x,
                    layer=name,
                    least_squares=context.network.state_size <= LARGE or not done,
                    seed=context.options.seed,
                )
            )
        except (UnsupportedOperationError, MemoryLimitError) as error:
            left_out.append(f"reversal of {name}: {error}")
    return _Found(reversals=tuple(done), left_out=tuple(left_out))


def _median(values: torch.Tensor) -> float:
    known = values[torch.isfinite(values)]
    return float(known.median()) if known.numel() else float("nan")


def _reversal_words(found: _Found) -> list[str]:
    if not found.reversals:
        return ["No layer was run backwards."]
    first, last = found.reversals[0], found.reversals[-1]
    said = [
        "Sent back by the transposed weights alone, the features of"
        f" {first.layer} give inputs whose own features miss them by"
        f" {100 * _median(first.shape_error):.0f} % after the best common factor"
        f" (median of {counted(len(first.error), 'input')}; 0 % is perfect reversal,"
        " 100 % is nothing alike). Shuffled features, sent back the same way, miss by"
        f" {100 * _median(first.baselines['shuffled features']):.0f} %, and a"
        " least-squares inverse of each layer by"
        f" {100 * _median(first.baselines['least squares']):.0f} %."
    ]
    if last is not first:
        said.append(
            f"From {last.layer}, the deepest layer tried, the miss is"
            f" {100 * _median(last.shape_error):.0f} %."
        )
    empty = sum(int(item.empty.sum()) for item in found.reversals)
    if empty:
        said.append(
            f"In {counted(empty, 'case')} nothing positive came back to the input: the"
            " offsets exceed every argument."
        )
    return said


def _likeness_words(likeness: RandomLikeness) -> list[str]:
    layers = likeness.layers
    if not layers:
        return [f"The weights were not judged: {'; '.join(likeness.left_out.values())}"]
    alike = [layer.name for layer in layers if layer.verdict == "random-like"]
    said = [
        "The theory that makes the transpose an inverse asks for weights that look"
        f" random. {len(alike)} of"
        f" {counted(len(layers), 'weight matrix', 'weight matrices')} pass every test"
        f" for it{': ' + listed(alike[:4]) if alike else ''}. Beside each stands"
        f" {likeness.initial}, since barely trained weights look random too; one test"
        f" alarms for a random matrix at a rate of {100 * likeness.alarm:g} %."
    ]
    worst = max(layers, key=lambda layer: layer.statistics.largest_over_edge)
    said.append(
        f"The largest singular value is {number(worst.statistics.largest_over_edge)}"
        f" times the random law's edge in {worst.name}"
        f" ({number(worst.initial.largest_over_edge)} for the initial weights):"
        f" {worst.sentence.split('; ')[0]}."
    )
    return said


def _table(reversals: tuple[Reversal, ...]) -> Table | None:
    if not reversals:
        return None
    names = list(reversals[0].baselines)
    return Table(
        columns=("layer", "raw error", "transposed weights", *names),
        rows=tuple(
            (
                item.layer,
                number(_median(item.error)),
                number(_median(item.shape_error)),
                *(
                    number(_median(item.baselines[name]))
                    if name in item.baselines
                    else None
                    for name in names
                ),
            )
            for item in reversals
        ),
        caption="Relative error of the features of generated inputs (median), by the"
        " layer they were generated from: raw, and after the best common factor for the"
        " transposed weights and for other ways back.",
    )


def _spectra(likeness: RandomLikeness) -> Figure | None:
    layers = [layer for layer in likeness.layers if len(layer.singular_values) >= 8]
    if not layers:
        return None
    places = np.unique(np.linspace(0, len(layers) - 1, min(DRAWN, len(layers))).round())
    chosen: list[LayerLikeness] = [layers[int(place)] for place in places]
    drawn = [(item.name, partial(random_spectrum, item)) for item in chosen]
    return Figure(
        format="html",
        content=panels_markup(drawn, name="reversal-spectra", size=(4.1, 2.8)),
        caption="Singular values of the weights (filled), of the initial weights scaled"
        " to the same deviation (outlined), and the Marchenko-Pastur law of a random"
        " matrix of that size (line). Mass beyond the line's ends is structure.",
        alt="Histograms of singular values beside the law of random matrices",
    )


def _pictures(
    context: ReportContext, rows: list[int], reversals: tuple[Reversal, ...]
) -> Figure | None:
    shown = rows[:PICTURED]
    inputs = context.pictures(shown) if shown and reversals else None
    if inputs is None:
        return None
    low, high = scale_of(context)
    tiles = [
        picture_markup(input_png(array, low, high), f"input {row}", "input", f"#{row}")
        for row, array in zip(shown, inputs, strict=True)
    ]
    parts = [gallery_markup(tiles, "Inputs")]
    for item in reversals:
        made = item.generated[: len(shown)].numpy(force=True)
        tiles = [
            picture_markup(
                input_png(array, float(array.min()), float(array.max())),
                f"generated from {item.layer} of input {row}",
                "",
                f"#{row} · {100 * float(item.shape_error[place]):.0f} %",
            )
            for place, (row, array) in enumerate(zip(shown, made, strict=True))
        ]
        parts.append(gallery_markup(tiles, f"Generated from {item.layer}"))
    return Figure(
        format="html",
        content=Markup("").join(parts).encode(),
        caption="Inputs, and what the transposed weights make of their features, each"
        " picture on its own grey scale; below it how far its own features miss them.",
        alt="Inputs beside inputs generated from their features",
    )


def _cards(reversals: tuple[Reversal, ...]) -> tuple[Card, ...]:
    if not reversals:
        return ()
    first = reversals[0]
    return (
        Card(
            value=f"{100 * _median(first.shape_error):.0f} %",
            label=f"of {first.layer} lost on the way back and forth",
            note=f"median of {counted(len(first.error), 'input')}, transposed weights",
        ),
    )


def _check(reversals: tuple[Reversal, ...]) -> str:
    layer = repr(reversals[0].layer) if reversals else "0"
    return (
        f"back = rl.reversal(network, x[:{INPUTS}], layer={layer})\n"
        "print(back.shape_error.median(), back.baselines)\n"
        "print([(w.name, w.sentence) for w in rl.random_likeness(network).layers])"
    )


REVERSAL = Section(
    name="reversal",
    title="Can it be run backwards",
    questions=(),
    seconds=SECONDS,
    bytes_=700_000,
    build=build,
)
"""The section on running the network backwards."""
