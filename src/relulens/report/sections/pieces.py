"""Pieces: the exact linear regions on a slice through three inputs."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from relulens.errors import (
    InvalidArgumentError,
    MemoryLimitError,
    NotPolyhedralError,
)
from relulens.regions.cell_values import CellValues, cell_values
from relulens.regions.decision import decision_segments
from relulens.regions.partition import Partition
from relulens.regions.plane import Plane
from relulens.regions.slice import slice_partition
from relulens.report.context import ReportContext
from relulens.report.page.cells import cells_markup
from relulens.report.section import Card, Figure, Section, SectionContent, Table
from relulens.report.sections.phrases import (
    class_name,
    counted,
    listed,
    not_reached,
    number,
    numbers,
    percent,
)
from relulens.report.slice_cells import slice_cells

SECONDS = 30.0
CELLS = 75_000
"""Most cells on the page."""
ROUNDS = 8
"""Slices that are tried before the section gives up."""
FIRST = 0.03
"""Side of the first polygon, in sides of the inputs' triangle."""
WORTHWHILE, MOST_GROWTH = 1.1, 6.0
"""Least and most that the next polygon is larger."""
SMALL = 1e-3
MARGIN = 1.05
"""Side of the largest polygon: the inputs lie inside."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Slice:
    """A slice and how it was chosen.

    Attributes:
        rows: The inputs that it goes through.
        corners: Their plane coordinates [3, 2].
        factor: How many times the triangle of the inputs the polygon is.
        partition: The cells.
    """

    rows: tuple[int, int, int]
    corners: torch.Tensor
    factor: float
    partition: Partition


def build(context: ReportContext) -> SectionContent:
    """Cut a slice through three inputs, and count the inputs that share a region."""
    occupied = _occupancy(context)
    found = _sliced(context)
    if isinstance(found, str):
        return SectionContent(
            sentences=(found, *occupied),
            check="",
            undone=not_reached(context, ("activity",)),
        )
    values = cell_values(found.partition)
    return SectionContent(
        sentences=(*_words(context, found, values), *occupied),
        figures=(_figure(context, found, values),),
        table=_table(found.partition),
        check=_check(found),
        undone=not_reached(context, ("activity",)),
        cards=(
            Card(
                value=f"{found.partition.count:,}",
                label="linear regions on a slice through three inputs",
                note=f"{number(found.factor)} times their triangle, exact",
            ),
        ),
    )


def _chosen(context: ReportContext) -> tuple[int, int, int] | None:
    """Return three inputs of different predictions where there are such."""
    prediction = numbers(context.samples, "prediction")
    firsts = [
        int(np.flatnonzero(prediction == c)[0])
        for c in np.unique(prediction[np.isfinite(prediction)])
    ]
    rows = sorted(firsts)[:3]
    rows += [row for row in range(len(context.data)) if row not in rows]
    return (rows[0], rows[1], rows[2]) if len(rows) >= 3 else None


def _sliced(context: ReportContext) -> Slice | str:
    """Return the slice, or why there is none."""
    rows = _chosen(context)
    if rows is None:
        return (
            f"A slice goes through three inputs, and there are {len(context.data)}: no"
            " slice was cut."
        )
    points = torch.as_tensor(context.points(rows), dtype=torch.float64)
    try:
        plane = Plane.orthonormal(*points)
        return _grown(context, rows, plane, plane.coordinates(points))
    except (InvalidArgumentError, MemoryLimitError, NotPolyhedralError) as error:
        return f"No slice was cut: {error}"


def _grown(
    context: ReportContext,
    rows: tuple[int, int, int],
    plane: Plane,
    corners: torch.Tensor,
) -> Slice | str:
    """Cut a small polygon, then larger ones as long as cells and time allow."""
    # the first slice in a new installation compiles, which is not this section's time
    slice_partition(context.network, plane, SMALL * corners, cells=1)
    end = time.monotonic() + min(SECONDS, context.seconds_left())
    factor, best = FIRST, None
    for _ in range(ROUNDS):
        begun = time.monotonic()
        left = max(end - begun, 1.0)
        partition = slice_partition(
            context.network, plane, factor * corners, budget=left, cells=2 * CELLS
        )
        left = end - time.monotonic()
        if not partition.complete or partition.count > CELLS:
            if best is not None or left <= 0:
                break
            factor /= 10
            continue
        best = Slice(rows=rows, corners=corners, factor=factor, partition=partition)
        larger = _growth(partition, time.monotonic() - begun, left)
        if factor >= MARGIN or larger < WORTHWHILE:
            break
        factor = min(MARGIN, factor * larger)
    return best or (
        "No slice was cut: even a triangle"
        f" {number(factor)} times that of three inputs holds more than {CELLS:,} cells"
        " or takes longer than this section may."
    )


def _growth(partition: Partition, used: float, left: float) -> float:
    """Return how much larger a side may be, from what this slice took."""
    cells = 0.85 * CELLS / max(partition.count, 1)
    seconds = 0.4 * max(left, 0.0) / max(used, 1e-3)
    return float(min(np.sqrt(min(cells, seconds)), MOST_GROWTH))


def _words(context: ReportContext, found: Slice, values: CellValues) -> list[str]:
    partition = found.partition
    names = [f"#{row}" for row in found.rows]
    areas = partition.areas.sort(descending=True).values
    half = int((areas.cumsum(0) < areas.sum() / 2).sum()) + 1
    classes = values.prediction.unique().tolist()
    vertices = counted(len(partition.vertices), "vertex", "vertices")
    edges = counted(len(partition.edges), "edge")
    regions = counted(partition.count, "region")
    largest = percent(float(areas[0]), float(areas.sum()))
    proof = partition.certificate
    said = [
        f"On the plane through inputs {listed(names)}, the polygon"
        f" {number(found.factor)} times their triangle is cut into"
        f" {counted(partition.count, 'linear region')}: no sampling, every one a convex"
        " polygon with its own affine map.",
        f"Their areas sum to the polygon's up to {number(abs(proof.area_difference))}"
        f" ({number(proof.area)}), and {vertices} - {edges} + {regions} ="
        f" {proof.euler}; 1 belongs to a plane without gaps.",
        f"Half of the area lies in the {counted(half, 'largest region')}; the largest"
        f" one has {largest} of it and the smallest"
        f" an area of {number(float(areas[-1]))}.",
    ]
    if proof.undecided_signs:
        said.append(
            f"{counted(proof.undecided_signs, 'sign')} within rounding of 0 could not"
            " be decided exactly in time: single regions there may be missing or split."
        )
    if len(classes) > 1:
        straight = counted(len(decision_segments(partition)), "straight piece")
        shown = [class_name(context, c) for c in classes[:6]]
        said.append(
            f"{counted(len(classes), 'class', 'classes')} meet there ({listed(shown)});"
            f" their boundary has {straight}."
        )
    if found.factor < 1:
        said.append(
            "The whole triangle holds more regions than a page can, so the polygon is"
            " the triangle shrunk about its centre to"
            f" {percent(found.factor, 1)} of its side: the inputs themselves lie"
            " outside."
        )
    return said


def _occupancy(context: ReportContext) -> list[str]:
    """Return how many inputs share a region."""
    if "region" not in context.samples:
        return []
    sizes = context.samples["region"].dropna().value_counts()
    total = int(sizes.sum())
    if not total:
        return []
    if len(sizes) == total:
        return [f"No two of {counted(total, 'input')} lie in one region."]
    return [
        f"{counted(total, 'input')} lie in {counted(len(sizes), 'region')} of the input"
        f" space; the fullest holds {counted(int(sizes.iloc[0]), 'input')}."
    ]


def _figure(context: ReportContext, found: Slice, values: CellValues) -> Figure:
    words = [f"#{row}" for row in found.rows]
    marks = [
        (float(x), float(y), word)
        for (x, y), word in zip(found.corners.tolist(), words, strict=True)
    ]
    alt = f"{counted(found.partition.count, 'region')} of a slice through three inputs"
    cells = slice_cells(
        found.partition,
        values,
        classes=[class_name(context, c) for c in range(context.network.output_size)],
        marks=marks if found.factor >= 1 else (),
        templates=not context.options.sensitive,
        label=alt,
    )
    return Figure(
        format="html",
        content=str(cells_markup(cells)).encode(),
        caption="Every region of the slice, coloured by the class in its middle, by the"
        " norm of its slope along the plane or by the deepest layer among its edges."
        " Lengths are Euclidean lengths of the input. Thick lines are the decision"
        " boundary; dots are the inputs.",
        alt=alt,
    )


def _table(partition: Partition) -> Table:
    layers = partition.network.layers
    made = partition.edge_layer
    rows = [
        (layers[layer].name, count, int((made == layer).sum()))
        for layer, count in zip(partition.layers, partition.counts, strict=True)
    ]
    return Table(
        columns=("layer", "regions after it", "edges it made"),
        rows=tuple(rows),
        caption="How the slice is cut up, layer by layer.",
    )


def _check(found: Slice) -> str:
    rows = list(found.rows)
    return (
        f"plane = rl.Plane.orthonormal(*x[{rows}])\n"
        f"corners = {found.factor!r} * plane.coordinates(x[{rows}])\n"
        "print(rl.slice_partition(network, plane, corners).certificate)"
    )


PIECES = Section(
    name="pieces",
    title="Where its pieces lie",
    questions=("prediction", "activity"),
    seconds=SECONDS,
    bytes_=3_500_000,
    build=build,
)
"""The section on the network's linear regions."""
