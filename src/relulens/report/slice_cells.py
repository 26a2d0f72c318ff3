"""A slice's cells as the page's viewer takes them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from relulens.graph.nodes import TwoSlope
from relulens.local.affine_map import local_affine_map
from relulens.local.pattern import ActivationPattern
from relulens.plot.partition import CLASSES, edge_depth
from relulens.plot.theme import LINE, depth_colours, number
from relulens.regions.cell_values import CellValues
from relulens.regions.decision import decision_segments
from relulens.regions.partition import Partition
from relulens.report.page.cells import (
    CellCodes,
    Cells,
    CellTemplates,
    Fact,
    Mark,
    Palette,
)
from relulens.report.page.pictures import summed

LEVELS = 256
MOST_CODES = 200_000_000
"""Cells times units above which codes are left out."""
CODED_AT_ONCE = 4096
MOST_TEMPLATES = 150
BYTES_OF_TEMPLATES = 250_000


def slice_cells(
    partition: Partition,
    values: CellValues,
    *,
    classes: Sequence[str],
    marks: Sequence[tuple[float, float, str]],
    templates: bool,
    label: str,
) -> Cells:
    """Return the picture of a slice.

    Args:
        partition: The cells.
        values: What the network does in their middles.
        classes: A name an output.
        marks: Plane coordinates and a label, per marked point.
        templates: Whether the largest cells get the template of their class.
        label: What the picture shows.
    """
    depth = edge_depth(partition)
    boundary = (
        decision_segments(partition).ends.numpy()
        if partition.network.output_size > 1
        else np.zeros((0, 4))
    )
    layers = ["none", *(layer.name for layer in partition.network.layers)]
    return Cells(
        vertices=partition.vertices.numpy(),
        sizes=partition.offsets.diff().numpy(),
        corners=partition.indices.numpy(),
        palettes=[
            _class_palette(values.prediction.numpy(), classes),
            _slope_palette(values.slope_norm.numpy()),
            _depth_palette(depth, layers),
        ],
        facts=[
            Fact(name="class", values=values.prediction.numpy(), words=list(classes)),
            Fact(name="slope norm", values=values.slope_norm.numpy()),
            Fact(name="area", values=partition.areas.numpy()),
            Fact(name="deepest edge", values=depth + 1, words=layers),
        ],
        segments=boundary.reshape(-1, 4),
        marks=[Mark(x=x, y=y, label=word) for x, y, word in marks],
        codes=cell_codes(partition),
        templates=_templates(partition, values) if templates else None,
        label=label,
    )


def _class_palette(prediction: NDArray[np.int64], classes: Sequence[str]) -> Palette:
    there = np.unique(prediction)
    colours = [CLASSES[k % len(CLASSES)] for k in there]
    return Palette(
        name="class",
        colours=colours[:LEVELS],
        levels=np.minimum(np.searchsorted(there, prediction), LEVELS - 1),
        legend=[(colour, classes[k]) for colour, k in zip(colours, there, strict=True)][
            :12
        ],
    )


def _slope_palette(norms: NDArray[np.float64]) -> Palette:
    """Return a logarithmic scale from the smallest positive norm to the largest."""
    positive = norms[norms > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
    share = np.zeros(len(norms))
    if high > low:
        share = np.log(np.maximum(norms, low) / low) / np.log(high / low)
    colours = depth_colours(LEVELS)
    steps = np.geomspace(low, high, 5) if high > low else np.array([high])
    places = np.linspace(0, LEVELS - 1, len(steps)).round().astype(int)
    return Palette(
        name="slope norm",
        colours=colours,
        levels=(share * (LEVELS - 1)).round().astype(np.int64),
        legend=[
            (colours[place], number(float(step)))
            for place, step in zip(places, steps, strict=True)
        ],
    )


def _depth_palette(depth: NDArray[np.int64], layers: Sequence[str]) -> Palette:
    colours = [LINE, *depth_colours(len(layers) - 1)]
    there = np.unique(depth + 1)
    shown = [colours[k] for k in there]
    return Palette(
        name="depth of the deepest edge",
        colours=shown[:LEVELS],
        levels=np.minimum(np.searchsorted(there, depth + 1), LEVELS - 1),
        legend=[(colours[k], layers[k]) for k in there][:12],
    )


def cell_codes(partition: Partition) -> CellCodes | None:
    """Return the cells' codes as differences along a tree of neighbours.

    Maxima are left out: their codes are positions and say little without the picture.

    Args:
        partition: The cells.

    Returns:
        The codes, or nothing if there are too many to be put on a page.
    """
    first = partition.pattern(0)
    names = _two_slope_names(partition)
    units = sum(first[name].shape[1] for name in names)
    if not names or units * partition.count > MOST_CODES:
        return None
    codes = np.concatenate([
        _rows(partition.patterns(start, start + CODED_AT_ONCE), names)
        for start in range(0, partition.count, CODED_AT_ONCE)
    ])
    parents = _tree(partition)
    # a root counts from cell 0, which has no differences from itself
    differ = codes != codes[np.maximum(parents, 0)]
    cells, places = np.nonzero(differ)
    return CellCodes(
        layers=[(name, first[name].shape[1]) for name in names],
        reference=codes[0],
        parents=parents,
        counts=np.bincount(cells, minlength=partition.count),
        units=places,
        codes=codes[cells, places],
    )


def _two_slope_names(partition: Partition) -> list[str]:
    network = partition.network
    return [
        layer.name
        for layer in network.layers
        if layer.name in partition.pattern(0)
        and all(isinstance(network.nodes[i], TwoSlope) for i in layer.nodes)
    ]


def _rows(pattern: ActivationPattern, names: Sequence[str]) -> NDArray[np.uint8]:
    return np.concatenate([pattern[name].numpy() for name in names], 1).astype(np.uint8)


def _tree(partition: Partition) -> NDArray[np.int64]:
    """Return the parent of every cell in a tree of neighbours, -1 for roots."""
    pairs = partition.edge_cells.numpy()
    pairs = pairs[(pairs >= 0).all(1)]
    count = partition.count
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count)).tocsr()
    parents = np.full(count, -1, dtype=np.int64)
    seen = np.zeros(count, dtype=bool)
    for root in range(count):
        if seen[root]:
            continue
        order, before = breadth_first_order(graph, root, directed=False)
        seen[order] = True
        parents[order[1:]] = before[order[1:]]
    return parents


def _templates(partition: Partition, values: CellValues) -> CellTemplates | None:
    """Return the template of the class in the largest cells, channels summed."""
    network = partition.network
    shape = summed(np.zeros(network.input_shape)).shape
    most = min(MOST_TEMPLATES, BYTES_OF_TEMPLATES // int(np.prod(shape)))
    if min(shape) < 2 or most < 1:
        return None
    cells = partition.areas.argsort(descending=True)[:most].sort().values
    x = partition.plane.points(partition.centres[cells])
    prediction = values.prediction[cells]
    weights = torch.nn.functional.one_hot(prediction, network.output_size).double()
    rows = local_affine_map(network, x).T @ weights
    pictures = [
        summed(row.reshape(network.input_shape).numpy(force=True)) for row in rows
    ]
    return CellTemplates(
        title="template of the class in this cell",
        cells=cells.numpy(),
        pictures=np.stack(pictures),
    )
