"""What layers forget: which inputs their features determine, and twins of others."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from relulens.plot.verdict_histogram import verdict_histogram
from relulens.report.context import ReportContext
from relulens.report.page.panels import panels_markup
from relulens.report.section import Card, Figure, Section, SectionContent, Table
from relulens.report.sections.phrases import (
    counted,
    listed,
    not_reached,
    number,
    percent,
)
from relulens.report.sections.twins import twin_pictures

TITLE = "How much of the input does a layer give away?"
SECONDS = 12.0
DRAWN = 2


def build(context: ReportContext) -> SectionContent:
    """Say which inputs the first layer determines, and what deeper ones forget."""
    done = answered(context.preimages)
    layers = [table for _, table in done.groupby("layer", sort=False)]
    first = [table for table in layers if (table["question"] == "preimage").any()]
    deep = [table for table in layers if (table["question"] != "preimage").any()]
    sentences = [said for table in first for said in _first_words(context, table)]
    sentences += _deep_words(deep)
    return SectionContent(
        sentences=tuple(sentences) or (_nothing(context),),
        figures=tuple(
            figure
            for figure in (_histogram(context, first), _twins(context, done))
            if figure is not None
        ),
        table=_table(layers),
        check=_check(first),
        undone=_undone(context),
        cards=_cards(context, first),
    )


def answered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with an answer, and what is known of each in ``said``.

    ``said`` is the verdict among inputs in the domain where there is one, in words of
    ``verdict_histogram``: ``"twin"`` where no verdict is proved but a twin is at hand.
    """
    if not len(table):
        return pd.DataFrame(columns=["layer", "question", "said", "free"])
    done = table[table["status"] == "ok"].copy()
    has_twin = done["twin_distance"].notna()
    for name, column in (("free", "verdict"), ("inside", "verdict_domain")):
        verdict = done[column].astype("object")
        done[name] = verdict.where(~((verdict == "undecided") & has_twin), "twin")
    done["said"] = done["inside"].where(done["inside"].notna(), done["free"])
    return done


def _counts(said: pd.Series) -> tuple[int, int, int]:
    """Return how many inputs are determined, are not, and are undecided."""
    single, open_ = int((said == "singleton").sum()), int((said == "undecided").sum())
    return single, len(said) - single - open_, open_


def _naive(table: pd.DataFrame) -> int:
    """Return how many inputs have as many active units as coordinates."""
    return int((table["active"] >= table["columns"]).sum())


def _first_words(context: ReportContext, table: pd.DataFrame) -> list[str]:
    name, total = str(table["name"].iloc[0]), len(table)
    single, several, undecided = _counts(table["said"])
    twins = int(table["twin_distance"].notna().sum())
    parts = [f"determines {single:,} of {counted(total, 'input')}"]
    parts[0] += " among all inputs in the domain" if _inside(table) else ""
    if several:
        shown = f", {twins:,} of them with a twin at hand" if twins < several else ""
        what = "here is a twin" if twins == several else "it does not" + shown
        parts.append(f"for {several:,} {what}")
    if undecided:
        parts.append(f"{undecided:,} undecided")
    said = [
        f"{name} {'; '.join(parts)}. A twin is another input with the same features, so"
        " that nothing behind the layer can tell the two apart."
    ]
    said.append(
        f"The naive count, at least as many active units as the"
        f" {int(table['columns'].iloc[0]):,} coordinates of an input, would say"
        f" {_naive(table):,} of {total:,}: units may repeat each other, and bounds of"
        " the input add what units do not say."
    )
    if _inside(table):
        said.append(_gained(table))
    near = table["twin_distance"].dropna()
    if len(near):
        worst = float(table["twin_difference"].max())
        said.append(
            f"The farthest twins found are {number(float(near.median()))} away in the"
            f" median and up to {number(float(near.max()))} (l2, in the input's units);"
            " evaluated in float64 their features differ by at most"
            f" {number(worst)} of the largest."
        )
    touching = int((table["boundary"] > 0).sum())
    if touching:
        said.append(
            f"For {counted(touching, 'input')} units are zero to rounding; where the"
            " two readings of these disagree, the verdict is undecided."
        )
    return said


def _inside(table: pd.DataFrame) -> bool:
    return bool(table["verdict_domain"].notna().any())


def _gained(table: pd.DataFrame) -> str:
    free, inside = _counts(table["free"])[0], _counts(table["said"])[0]
    if inside > free:
        return (
            f"Without the domain's bounds it would determine {free:,}: for"
            f" {counted(inside - free, 'input')} it matters that entries at a bound"
            " cannot go farther."
        )
    return f"Without the domain's bounds it determines as many, {free:,}."


def _deep_words(tables: Sequence[pd.DataFrame]) -> list[str]:
    if not tables:
        return []
    asked = max(len(table) for table in tables)
    parts = []
    for table in tables:
        _, several, undecided = _counts(table["said"])
        open_ = f" ({undecided:,} undecided)" if undecided else ""
        parts.append(f"{several:,} from {table['name'].iloc[0]}{open_}")
    return [
        f"Of {counted(asked, 'input')} asked about deeper layers, this many certainly"
        f" cannot be recovered: {listed(parts)}. For each another input of the same"
        " region, where all units before the layer keep their state, has the same"
        " features. Where a deeper layer determines an input, it does so among those of"
        " that region."
    ]


def _nothing(context: ReportContext) -> str:
    if not len(context.data):
        return "There are no inputs to ask about."
    if len(context.preimages):
        return f"No verdict was reached: {context.preimages['status'].iloc[0]}"
    return "No verdict was reached: the network's first layer is too large to ask."


def _undone(context: ReportContext) -> str | None:
    parts = [not_reached(context, ("preimage", "preimage_depth"))]
    table = context.preimages
    if len(table):
        asked = table[table["status"].str.startswith(("refused", "failed"))]
        for name, rows in asked.groupby("name", sort=False):
            parts.append(
                f"{name}, {counted(len(rows), 'input')}: {rows['status'].iloc[0]}"
            )
        first = table[table["question"] == "preimage"]
        inputs = first["input"].nunique()
        if 0 < inputs < len(context.data):
            parts.append(
                f"The first {inputs:,} of {counted(len(context.data), 'input')} were"
                " asked about; rl.preimage asks about any."
            )
        if context.network.domain is None:
            parts.append(
                "The network has no domain, so verdicts are among all real inputs:"
                " --domain LOW HIGH asks among valid ones."
            )
    return " ".join(part for part in parts if part) or None


def _table(tables: Sequence[pd.DataFrame]) -> Table | None:
    if not tables:
        return None
    rows = []
    for table in tables:
        single, several, undecided = _counts(table["said"])
        twins = table["twin_distance"].dropna()
        rows.append((
            str(table["name"].iloc[0]),
            len(table),
            single,
            several,
            undecided,
            _naive(table),
            _middle(table["dimension"]),
            _middle(table["dimension_domain"]),
            number(float(twins.median())) if len(twins) else None,
        ))
    return Table(
        columns=(
            "layer",
            "inputs",
            "determined",
            "not determined",
            "undecided",
            "naive",
            "dimension",
            "in bounds",
            "twin",
        ),
        rows=tuple(rows),
        caption="By layer: how many inputs its features determine (among those in the"
        " domain, if there is one), the dimension of the set of inputs with the same"
        " features and the distance of the farthest twin found (medians). Layers after"
        " the first are asked on the input's region. Naive: inputs with at least as"
        " many active units as coordinates.",
    )


def _middle(values: pd.Series) -> str | None:
    known = values.dropna()
    return number(float(known.median())) if len(known) else None


def _histogram(context: ReportContext, tables: Sequence[pd.DataFrame]) -> Figure | None:
    drawn = []
    for table in tables[:DRAWN]:
        name, columns = str(table["name"].iloc[0]), int(table["columns"].iloc[0])
        active = table["active"].to_numpy(dtype=np.int64)
        kinds = [("free", f"{name}, among all inputs")]
        if _inside(table):
            kinds.append(("said", f"{name}, among inputs in the domain"))
        for kind, title in kinds:
            verdicts = [str(verdict) for verdict in table[kind]]
            draw = partial(
                verdict_histogram, active, verdicts, columns=_mark(table, columns)
            )
            drawn.append((title, draw))
    if not drawn:
        return None
    return Figure(
        format="html",
        content=panels_markup(drawn, name="preimage", size=(4.4, 3.0)),
        caption="Inputs by the number of positive units of the layer; colours are what"
        " the features determine. With n coordinates at least n positive units are"
        " needed to determine an input by equations alone; the talk this figure comes"
        " from calls a bounded set finite.",
        alt="Histograms of the number of positive units, stacked by verdict",
    )


def _mark(table: pd.DataFrame, columns: int) -> int | None:
    """Return n if it lies near the counts, where a mark helps to read them."""
    low, high = int(table["active"].min()), int(table["active"].max())
    reach = max(high - low, 8)
    return columns if low - 4 * reach <= columns <= high + 4 * reach else None


def _twins(context: ReportContext, done: pd.DataFrame) -> Figure | None:
    if not len(done):
        return None
    return twin_pictures(context, done[done["twin_distance"].notna()])


def _cards(context: ReportContext, tables: Sequence[pd.DataFrame]) -> tuple[Card, ...]:
    if not tables:
        return ()
    table = tables[0]
    single, several, undecided = _counts(table["said"])
    total, open_ = len(table), f", {undecided:,} undecided" if undecided else ""
    return (
        Card(
            value=percent(single, total),
            label=f"of inputs are determined by {table['name'].iloc[0]}",
            note=f"{several:,} of {total:,} are not{open_}; a naive count of active"
            f" units says {percent(_naive(table), total)}",
        ),
    )


def _check(tables: Sequence[pd.DataFrame]) -> str:
    if not tables:
        return "rl.preimage(network, x[:1], layer=0)"
    table = tables[0]
    layer = int(table["layer"].iloc[0])
    name = "'output'" if layer < 0 else layer
    row = int(table["input"].iloc[0])
    found = table["twin_distance"].dropna()
    if len(found):
        row = int(
            table.loc[found.index, "input"].tolist()[int(found.to_numpy().argmax())]
        )
    return (
        f"found = rl.preimage(network, x[{row} : {row} + 1], layer={name})[0]\n"
        "print(found, found.reason, found.certificate and found.certificate.verify())\n"
        f"print(rl.twin(network, x[{row} : {row} + 1], layer={name})[0])"
    )


PREIMAGE = Section(
    name="preimage",
    title=TITLE,
    questions=("preimage", "preimage_depth"),
    seconds=SECONDS,
    bytes_=500_000,
    build=build,
)
"""The section on what layers forget."""
