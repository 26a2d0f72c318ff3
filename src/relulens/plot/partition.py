"""Draw the cells of a slice."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from relulens.errors import InvalidArgumentError
from relulens.plot.theme import (
    DEPTH,
    INK,
    LINE,
    depth_colours,
    legend,
    logarithmic,
    new_axes,
    styled,
)
from relulens.regions.cell_values import CellValues
from relulens.regions.frame import SliceFrame, slice_frame
from relulens.regions.frame import edge_depth as edge_depth
from relulens.regions.partition import Partition

ColourBy: TypeAlias = Literal["class", "slope", "depth", "none"]
WAYS = ("class", "slope", "depth", "none")

RASTERISED = 5_000
"""Cells above which the fill is pixels in vector formats, which would be huge."""

CLASSES = (
    "#8fb8de", "#f2b77c", "#96cfa3", "#e59a96", "#bfa8de",
    "#cdb09a", "#eab3d8", "#b9bdc4", "#d5d27f", "#8fd3dc",
)  # fmt: skip
"""Colours of classes, again from the first after the last."""


def partition(
    result: Partition | SliceFrame,
    ax: Axes | None = None,
    *,
    colour: ColourBy = "class",
    values: CellValues | None = None,
    decisions: bool = True,
    marks: Sequence[tuple[float, float, str]] = (),
) -> Axes:
    """Draw the cells of a slice, their edges and the decision boundary.

    Args:
        result: The cells.
        ax: Where to draw; new axes by default.
        colour: ``"class"`` by the prediction, cells divided where it changes (in their
            middle, where only some layers were cut by); ``"slope"`` by the norm of the
            slope along the plane, ``"depth"`` by the deepest layer among a cell's
            edges, ``"none"`` for edges alone, coloured by layer.
        values: What ``cell_values`` found, if it is known already.
        decisions: Whether the decision boundary is drawn.
        marks: Marked points: plane coordinates and a label.

    Returns:
        The axes. Above ``RASTERISED`` cells the fill is rasterised.

    Raises:
        InvalidArgumentError: There is no such way to colour.
    """
    if colour not in WAYS:
        raise InvalidArgumentError(
            f"cannot colour cells by {colour!r}: there are {len(WAYS)} ways"
            f" ({', '.join(map(repr, WAYS))}). Choose one of these."
        )
    ax = new_axes(6.0, 5.4) if ax is None else ax
    frame = (
        result if isinstance(result, SliceFrame) else slice_frame(result, values=values)
    )
    framed(frame, ax)
    fill(frame, ax, _faces(frame, ax, colour))
    if colour == "class" and len(frame.parts):
        _class_parts(frame, ax)
    _edges(frame, ax, by_layer=colour == "none")
    if decisions and len(frame.decisions):
        segments = list(frame.decisions.numpy())
        ax.add_collection(
            LineCollection(segments, colors=INK, linewidths=1.8, zorder=4)
        )
    for x, y, label in marks:
        ax.plot(x, y, "o", color="white", markeredgecolor=INK, markersize=6, zorder=5)
        text = ax.annotate(label, (x, y), (6, 4), textcoords="offset points")
        text.set(color=INK, weight="bold", zorder=6)
    return ax


def framed(frame: SliceFrame, ax: Axes) -> None:
    """Give axes the extent of a slice's domain, both units equally long."""
    styled(ax)
    ax.grid(visible=False)
    low, high = frame.domain.amin(0), frame.domain.amax(0)
    edge = 0.01 * (high - low)
    ax.set_xlim(float(low[0] - edge[0]), float(high[0] + edge[0]))
    ax.set_ylim(float(low[1] - edge[1]), float(high[1] + edge[1]))
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlabel("first direction")
    ax.set_ylabel("second direction")


def _class_parts(frame: SliceFrame, ax: Axes) -> None:
    """Add the parts of the cells in which the prediction changes, over these."""
    parts = frame.parts
    shown = [CLASSES[k % len(CLASSES)] for k in parts.outputs.tolist()]
    faces = PolyCollection(
        [parts.corners[a:b].numpy() for a, b in pairwise(parts.offsets.tolist())],
        facecolors=shown,
        edgecolors="face",
        linewidths=0.4,
    )
    faces.set_rasterized(frame.count > RASTERISED)
    ax.add_collection(faces)


def fill(
    frame: SliceFrame, ax: Axes, colours: NDArray[np.float64] | None
) -> PolyCollection:
    """Add the cells' polygons, in one colour a cell or in none."""
    faces = PolyCollection(
        [polygon.numpy() for polygon in frame.polygons()],
        facecolors="none" if colours is None else colours,
        edgecolors="none" if colours is None else "face",
        # hides the seams that smoothing leaves between polygons of one colour
        linewidths=0.4,
    )
    faces.set_rasterized(frame.count > RASTERISED)
    ax.add_collection(faces)
    return faces


def _faces(frame: SliceFrame, ax: Axes, colour: ColourBy) -> NDArray[np.float64] | None:
    match colour:
        case "class":
            shown = np.array([to_rgb(c) for c in CLASSES])
            return shown[frame.prediction.numpy() % len(CLASSES)]
        case "slope":
            return _slope_faces(ax, frame.slope_norm.double().numpy())
        case "depth":
            steps = depth_colours(max(len(frame.layers), 1))
            shown = np.array([to_rgb(c) for c in [*steps, LINE]])
            return 0.45 + 0.55 * shown[frame.depth.numpy()]
        case _:
            return None


def _slope_faces(ax: Axes, norms: NDArray[np.float64]) -> NDArray[np.float64]:
    positive = norms[norms > 0]
    low, high = positive.min(initial=np.inf), norms.max(initial=0.0)
    even = not low < high
    scale = Normalize(0, max(high, 1.0)) if even else LogNorm(low, high)
    drawn = ScalarMappable(scale, DEPTH)
    bar = ax.figure.colorbar(
        drawn, ax=ax, label="slope norm along the plane", shrink=0.8
    )
    if not even:
        logarithmic(bar.ax, "y", short=high < 1000 * low)
    return np.asarray(drawn.to_rgba(np.maximum(norms, 0 if even else low)))[:, :3]


def _edges(frame: SliceFrame, ax: Axes, *, by_layer: bool) -> None:
    ends = frame.vertices[frame.edges.long()].numpy()
    layer = frame.edge_layer.numpy()
    steps = depth_colours(len(frame.layers))
    colours = [*steps, INK] if by_layer else [INK]
    thin = float(np.clip(40 / np.sqrt(max(frame.count, 1)), 0.1, 0.6))
    lines = LineCollection(
        list(ends),
        colors=[colours[k] for k in layer] if by_layer else colours,
        linewidths=0.8 if by_layer else thin,
        alpha=None if by_layer else 0.55,
    )
    lines.set_rasterized(frame.count > RASTERISED)
    ax.add_collection(lines)
    if by_layer:
        for k in sorted({*layer.tolist()} - {-1}):
            ax.add_line(Line2D([], [], color=steps[k], label=frame.layers[k]))
        legend(ax)
