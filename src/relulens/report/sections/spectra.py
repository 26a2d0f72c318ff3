"""Singular values: how many directions of the input survive, layer by layer."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from relulens.plot.relu_effect import relu_effect
from relulens.plot.spectrum import spectrum
from relulens.plot.theme import depth_colours
from relulens.plot.vector import as_svg
from relulens.report.context import ReportContext
from relulens.report.section import Card, Cell, Figure, Section, SectionContent, Table
from relulens.report.sections.phrases import (
    counted,
    known,
    layer_name,
    listed,
    not_reached,
    number,
    numbers,
)

PAIRS, DEPTHS = 4, 8
WHOLE = frozenset({"units", "before_rank", "after_rank", "dead_units"})
SIZE = (7.6, 4.1)


def build(context: ReportContext) -> SectionContent:
    """Say what the nonlinearities do to the singular values of the slope."""
    done = context.spectra
    done = done[done["spectra_status"] == "ok"] if len(done) else done
    missing = not_reached(context, ("spectra",))
    if not len(done):
        return SectionContent(
            sentences=("No spectrum was computed.",), check="", undone=missing
        )
    shown = _most_covered(done)
    figures = [_effect(context, shown), _decay(context, shown)]
    return SectionContent(
        sentences=tuple(_sentences(context, done)),
        figures=tuple(figure for figure in figures if figure is not None),
        table=_table(context.layers),
        check=_check(done, shown),
        undone=missing,
        cards=_cards(context, done),
    )


def _most_covered(done: pd.DataFrame) -> int:
    """Return the input with spectra of most layers, the first of several."""
    counts = done.groupby("input", sort=True).size()
    return int(counts.idxmax())


def _deepest(context: ReportContext, done: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last layer that was reached, after its nonlinearity."""
    after = done[(done["at"] == "features") & (done["layer"] >= 0)]
    return after[after["layer"] == after["layer"].max()]


def _sentences(context: ReportContext, done: pd.DataFrame) -> list[str]:
    deepest = _deepest(context, done)
    if not len(deepest):
        there = counted(len(done), "spectrum was", "spectra were")
        return [f"{there} computed, none of them just after a nonlinear layer."]
    name = layer_name(context, int(deepest["layer"].iloc[0]))
    of = context.network.input_size
    complete = deepest[deepest["complete"].astype(bool)]
    if not len(complete):
        kept = counted(int(deepest["count"].max()), "largest singular value")
        return [f"Only the {kept} were computed at {name}, so its rank is not known."]
    ranks = _span(known(complete["rank"]))
    inputs = counted(len(complete), "input")
    said = [
        f"Of the {of:,} directions in which an input can change, {ranks} still change"
        f" the features of {name}, the last nonlinear layer (rank of its slope,"
        f" {inputs}). The others leave them exactly as they are, near that input."
    ]
    said += _losses(context, done)
    said += _conditions(context, done)
    return said


def _span(values: np.ndarray) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _pairs(done: pd.DataFrame) -> pd.DataFrame:
    """Return before and after of every input and layer that has both, complete."""
    kept = done[done["complete"].astype(bool) & (done["layer"] >= 0)]
    before = kept[kept["at"] == "preactivation"]
    after = kept[kept["at"] == "features"]
    keys = ["input", "layer", "name"]
    return before.merge(after, on=keys, suffixes=("_before", "_after"))


def _losses(context: ReportContext, done: pd.DataFrame) -> list[str]:
    both = _pairs(done)
    if not len(both):
        return []
    both = both.assign(loss=both["rank_before"] - both["rank_after"])
    mean = both.groupby("layer", sort=True)["loss"].median()
    none = [int(layer) for layer in mean.index if mean[layer] == 0]
    worst = int(mean.idxmax())
    if mean[worst] == 0:
        return ["No nonlinearity lowers the rank (median over those inputs)."]
    here = both[both["layer"] == worst]
    quiet = [layer_name(context, i) for i in none]
    rest = f" {_keeping(quiet)}" if quiet else ""
    return [
        f"The nonlinearity that removes most is {layer_name(context, worst)}: rank"
        f" {_span(known(here['rank_before']))} just before it,"
        f" {_span(known(here['rank_after']))} just after.{rest}"
    ]


def _keeping(names: list[str]) -> str:
    if len(names) > 4:
        return f"{len(names)} of the others do not lower the rank."
    verb = "does" if len(names) == 1 else "do"
    said = f"{listed(names)} {verb} not lower the rank."
    return said[:1].upper() + said[1:]


def _conditions(context: ReportContext, done: pd.DataFrame) -> list[str]:
    after = done[(done["at"] == "features") & (done["layer"] >= 0)]
    after = after[after["complete"].astype(bool) & (after["smallest"] > 0)]
    if after["layer"].nunique() < 2:
        return []
    ratio = (after["largest"] / after["smallest"]).groupby(after["layer"]).median()
    first, last = int(ratio.index.min()), int(ratio.index.max())
    return [
        "Largest over smallest nonzero singular value, which bounds how much a small"
        " relative error in the features may grow on the way back to the input:"
        f" {number(ratio[first])} after {layer_name(context, first)},"
        f" {number(ratio[last])} after {layer_name(context, last)} (median)."
    ]


def _cards(context: ReportContext, done: pd.DataFrame) -> tuple[Card, ...]:
    deepest = _deepest(context, done)
    deepest = deepest[deepest["complete"].astype(bool)]
    if not len(deepest):
        return ()
    middle = int(np.median(known(deepest["rank"])))
    return (
        Card(
            value=f"{middle:,} of {context.network.input_size:,}",
            label="input directions reach the last layer",
            note=f"rank of its slope, median of {counted(len(deepest), 'input')}",
        ),
    )


def _spread(items: list[int], most: int) -> list[int]:
    """Return at most so many items, the first, the last and some in between."""
    if len(items) <= most:
        return items
    places = np.linspace(0, len(items) - 1, most).round().astype(int)
    return [items[i] for i in dict.fromkeys(places.tolist())]


def _colours(context: ReportContext, layers: list[int]) -> list[str]:
    """Return the colour of each layer, the same in both figures; -1 is the output."""
    shades = depth_colours(len(context.network.layers) + 1)
    return [shades[layer] for layer in layers]


def _effect(context: ReportContext, shown: int) -> Figure | None:
    values: Mapping[tuple[int, int, str], np.ndarray] = context.values  # noqa: PD011
    layers = [
        i
        for i in range(len(context.network.layers))
        if (shown, i, "preactivation") in values and (shown, i, "features") in values
    ]
    chosen = _spread(layers, PAIRS)
    if not chosen:
        return None
    pairs = [
        (
            f"layer {i}, {context.network.layers[i].name}",
            values[shown, i, "preactivation"],
            values[shown, i, "features"],
        )
        for i in chosen
    ]
    colours = _colours(context, chosen)
    content = as_svg(
        lambda ax: relu_effect(pairs, ax, colours=colours),
        name="relu-effect",
        size=SIZE,
    )
    caption = (
        "Effect of the nonlinearities: singular values of the slope from the input to"
        " just before (dashed) and just after (solid) a layer, largest first, at input"
        f" #{shown}. Where a solid line ends before its dashed one, the nonlinearity"
        " removed directions."
    )
    alt = f"Spectra before and after {counted(len(chosen), 'nonlinearity', 'layers')}"
    return Figure(format="svg", content=content, caption=caption, alt=alt)


def _decay(context: ReportContext, shown: int) -> Figure | None:
    values: Mapping[tuple[int, int, str], np.ndarray] = context.values  # noqa: PD011
    layers = [
        i
        for i in [*range(len(context.network.layers)), -1]
        if (shown, i, "features") in values
    ]
    chosen = _spread(layers, DEPTHS)
    if not chosen:
        return None
    named = {_depth_name(context, i): values[shown, i, "features"] for i in chosen}
    colours = _colours(context, chosen)
    content = as_svg(
        lambda ax: spectrum(named, ax, colours=colours),
        name="decay-over-layers",
        size=SIZE,
    )
    caption = (
        "Decay over layers: singular values of the slope from the input to the"
        f" features of each layer, largest first, at input #{shown}. A line that ends"
        " early or falls steeply belongs to a layer that keeps few directions, or keeps"
        " them badly."
    )
    alt = f"Spectra of {counted(len(chosen), 'layer')} by depth"
    return Figure(format="svg", content=content, caption=caption, alt=alt)


def _depth_name(context: ReportContext, layer: int) -> str:
    if layer < 0:
        return "output"
    return f"layer {layer}, {context.network.layers[layer].name}"


def _table(layers: pd.DataFrame) -> Table | None:
    headings = {
        "layer": "layer",
        "name": "name",
        "units": "units",
        "before_rank": "rank before",
        "after_rank": "rank after",
        "after_largest": "largest",
        "after_smallest": "smallest nonzero",
        "active_fraction": "active",
        "dead_units": "never active",
    }
    there = [c for c in headings if c in layers and layers[c].notna().any()]
    if len(there) < 2:
        return None
    rows = tuple(zip(*(_column(layers, name) for name in there), strict=True))
    return Table(
        columns=tuple(headings[column] for column in there),
        rows=rows,
        caption="Per layer: rank and singular values of the slope from the input"
        " (median), share of its units that are active, and units that never are",
    )


def _column(layers: pd.DataFrame, name: str) -> list[Cell]:
    if name == "name":
        return [str(value) for value in layers[name]]
    values = numbers(layers, name).tolist()
    if name == "layer":
        return [None if value < 0 else round(value) for value in values]
    if name in WHOLE:
        return [round(v) if v.is_integer() else _known(v) for v in values]
    return [_known(v) for v in values]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _check(done: pd.DataFrame, shown: int) -> str:
    ours = done[(done["input"] == shown) & (done["layer"] >= 0)]
    layer = int(ours["layer"].max()) if len(ours) else -1
    row = ours[(ours["layer"] == layer) & (ours["at"] == "features")]
    if not len(row):
        return ""
    found = row.iloc[0]
    kept = "" if bool(found["complete"]) else f", k={int(found['count'])}"
    where = f"layer={layer}{kept}"
    return (
        f"after = rl.singular_values(network, x[{shown} : {shown} + 1], {where})\n"
        f"after.rank  # {found['rank']}\n"
        f"after.values[0, 0]  # {float(found['largest']):.6g}"
    )


SPECTRA = Section(
    name="spectra",
    title="What the layers keep",
    questions=("spectra", "activity"),
    seconds=6.0,
    bytes_=700_000,
    build=build,
)
