"""Margins, distances and radii: how far an input may move before anything changes."""

from functools import partial

import numpy as np

from relulens.plot.distribution import certified_share, distribution
from relulens.plot.margins import margins
from relulens.plot.theme import BLUE, GREEN
from relulens.plot.vector import Draw
from relulens.report.context import ReportContext
from relulens.report.page.panels import panels_markup
from relulens.report.section import Card, Figure, Section, SectionContent, Table
from relulens.report.sections.examples import extremes, gallery
from relulens.report.sections.phrases import (
    counted,
    listed,
    not_reached,
    number,
    numbers,
    percent,
)


def build(context: ReportContext) -> SectionContent:
    """Show how far the predictions are from changing, as distributions."""
    radius = numbers(context.samples, "region_radius_l2")
    distance = numbers(context.samples, "boundary_distance")
    margin = numbers(context.samples, "margin")
    drawn = [_panels(context, margin, distance, radius), _examples(context, radius)]
    return SectionContent(
        sentences=tuple(_sentences(context, margin, distance, radius)),
        figures=tuple(figure for figure in drawn if figure is not None),
        table=_layers(context),
        check=_check(radius, distance),
        undone=not_reached(context, ("prediction", "slope", "boundary")),
        cards=_cards(margin, radius),
    )


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _correct(context: ReportContext) -> np.ndarray | None:
    """Return which predictions are the label, or nothing without labels."""
    label = numbers(context.samples, "label")
    if not np.isfinite(label).any():
        return None
    return label == numbers(context.samples, "prediction")


def _sentences(
    context: ReportContext, margin: np.ndarray, distance: np.ndarray, radius: np.ndarray
) -> list[str]:
    said = _radii(radius[~np.isnan(radius)], _tying(context, radius))
    if len(_finite(distance)):
        said += _distances(distance, radius) + _bounds_only(context, distance)
    change = _finite(numbers(context.samples, "margin_distance"))
    if len(change):
        said.append(
            "If the affine map at an input held everywhere, its prediction would change"
            f" at a distance of {number(float(np.median(change)))} in the median: an"
            " estimate that certifies nothing outside the region."
        )
    if len(_finite(margin)):
        low, middle = np.min(_finite(margin)), np.median(_finite(margin))
        said.append(
            f"The largest logit leads the next by {number(float(middle))} in the median"
            f" and by {number(float(low))} in the closest call."
        )
    return said or [_nothing(context)]


def _bounds_only(context: ReportContext, distance: np.ndarray) -> list[str]:
    """Return how many distances are lower bounds rather than exact."""
    exact = numbers(context.samples, "boundary_complete")
    bounds = int(((exact == 0) & np.isfinite(distance)).sum())
    if not bounds:
        return []
    return [
        f"For {counted(bounds, 'input')} of {int(np.isfinite(distance).sum()):,} the"
        " search behind faces without effect was not finished: there the distance and"
        " the radius are proved lower bounds, not exact."
    ]


def _tying(context: ReportContext, radius: np.ndarray) -> list[str]:
    """Return the layers on whose units' faces inputs lie, most inputs first."""
    if "boundary_layer" not in context.samples:
        return []
    layers = context.samples.loc[radius == 0, "boundary_layer"].dropna()
    return [str(name) for name in layers.value_counts().index]


def _radii(found: np.ndarray, tying: list[str]) -> list[str]:
    """Return what the certified radii say; inputs on a face are told apart."""
    if not len(found):
        return []
    inside = _finite(found[found > 0])
    endless = int(np.isinf(found).sum())
    on_face = len(found) - len(inside) - endless
    said = []
    if len(inside):
        which = "" if not on_face else " not on a face of their region"
        said.append(
            f"No change shorter than {number(float(np.median(inside)))} (Euclidean"
            " length, in the input's units) changes the prediction of half of the"
            f" {counted(len(inside), 'input')}{which} whose radius was computed."
        )
    if on_face:
        lie = "lies" if on_face == 1 else "lie"
        where = f": units of {listed(tying[:4])} are exactly at their switch there"
        said.append(
            f"{counted(on_face, 'input')} of {len(found):,} {lie} exactly on a face,"
            " where the radius is 0 and certifies"
            f" nothing{where if tying else ''}."
        )
    if endless:
        said.append(
            "No change of any size changes the prediction of"
            f" {counted(endless, 'input')}."
        )
    said.append(
        "This certified radius is exact geometry of the input's own region, up to"
        " rounding: it stops at the first face where the network's map changes."
        " Beyond that face the prediction may well stay the same, so the radius is"
        " a lower bound of the distance to another prediction."
    )
    return said


def _nothing(context: ReportContext) -> str:
    if context.network.output_size == 1:
        return "The network has one output, so there are no margins between classes."
    return "No margin and no distance was computed."


def _distances(distance: np.ndarray, radius: np.ndarray) -> list[str]:
    found = _finite(distance)
    said = []
    if found.max() > 0:
        said.append(
            "The nearest face of an input's own region is"
            f" {number(float(np.median(found)))} away in the median, from"
            f" {number(float(found.min()))} to {number(float(found.max()))}."
        )
    both = np.isfinite(distance) & np.isfinite(radius)
    inside = int((both & (radius < distance)).sum())
    if both.any() and inside:
        said.append(
            f"For {counted(inside, 'input')} of {int(both.sum()):,} the prediction"
            " changes already inside the region, where the map is affine: there the"
            " radius is the exact distance to another prediction."
        )
    return said


def _cards(margin: np.ndarray, radius: np.ndarray) -> tuple[Card, ...]:
    radii, leads = _finite(radius), _finite(margin)
    inside = radii[radii > 0]
    cards = []
    if len(inside):
        rest = len(radii) - len(inside)
        zero = f"; {rest:,} more lie on a face" if rest else ", a lower bound"
        cards.append(
            Card(
                value=number(float(np.median(inside))),
                label="certified radius of an input (l2)",
                note=f"median of {counted(len(inside), 'input')}{zero}",
            )
        )
    if len(leads):
        middle = number(float(np.median(leads)))
        cards.append(
            Card(
                value=number(float(leads.min())),
                label="lead of the closest prediction (logit)",
                note=f"of {counted(len(leads), 'input')}; the median lead is {middle}",
            )
        )
    return tuple(cards)


def _panels(
    context: ReportContext, margin: np.ndarray, distance: np.ndarray, radius: np.ndarray
) -> Figure | None:
    drawn: list[tuple[str, Draw]] = []
    if np.isfinite(margin).any():
        correct = _correct(context)
        label = "largest logit minus the next"
        drawn.append(("Margin", lambda ax: margins(margin, correct, ax, label=label)))
    l2 = "l2 length, in the input's units"
    for title, values, colour in (
        ("Distance to the nearest face", distance, BLUE),
        ("Certified radius", radius, GREEN),
    ):
        if np.isfinite(values).any():
            draw = partial(distribution, values, label=l2, log=True, colour=colour)
            drawn.append((title, draw))
    caption = (
        "Over all inputs: lead of the predicted class, distance to the nearest face of"
        " the region, and the radius within which the prediction is certified."
    )
    if np.isfinite(radius).any():
        right = _correct(context)
        what = "predicted as labelled and " if right is not None else ""
        share = partial(certified_share, radius, right, label=l2)
        drawn.append(("Share certified at least that far", share))
        caption += (
            f" Last, the share of all inputs that are {what}certified to keep their"
            " prediction that far: inputs without a radius count as not certified, so"
            " the true share is this one or more."
        )
    if not drawn:
        return None
    alt = f"{counted(len(drawn), 'distribution')} over the inputs"
    content = panels_markup(drawn, name="margins", size=(4.1, 2.6))
    return Figure(format="html", content=content, caption=caption, alt=alt)


def _examples(context: ReportContext, radius: np.ndarray) -> Figure | None:
    nearest, farthest = extremes(radius)
    return gallery(
        context,
        [
            ("Smallest certified radius", nearest, lambda i: number(radius[i])),
            ("Largest certified radius", farthest, lambda i: number(radius[i])),
        ],
        caption="Inputs by certified radius: what the network says, the position in"
        " samples.parquet and the radius.",
    )


def _layers(context: ReportContext) -> Table | None:
    if "boundary_layer" not in context.samples:
        return None
    counts = context.samples["boundary_layer"].dropna().value_counts()
    if not len(counts):
        return None
    order = {layer.name: i for i, layer in enumerate(context.network.layers)}
    names = sorted(counts.index, key=lambda name: order.get(str(name), len(order)))
    total = int(counts.sum())
    rows = tuple(
        (str(name), int(counts[name]), percent(int(counts[name]), total))
        for name in names
    )
    return Table(
        columns=("layer", "inputs", "share"),
        rows=rows,
        caption="Layer whose unit switches at the nearest face of the input's region",
    )


def _check(radius: np.ndarray, distance: np.ndarray) -> str:
    known = np.isfinite(distance)
    if not known.any():
        return ""
    row = int(np.flatnonzero(known)[np.argmin(distance[known])])
    if np.isfinite(radius).any():
        row = int(np.nanargmin(radius))
    return (
        f"found = rl.boundary_distance(network, x[{row} : {row} + 1])\n"
        f"float(found[0]), samples.boundary_distance[{row}]\n"
        f"samples.region_radius_l2[{row}]  # not larger than either"
    )


MARGINS = Section(
    name="margins",
    title="How far until something changes",
    questions=("prediction", "slope", "boundary"),
    seconds=8.0,
    bytes_=900_000,
    build=build,
)
