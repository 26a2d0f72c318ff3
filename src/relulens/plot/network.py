"""Draw a network: its operations from top to bottom, with shapes and links."""

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from relulens.graph.network import Network
from relulens.plot.diagram import Diagram, Row, folded
from relulens.plot.diagram.labels import TIMES, shape_label
from relulens.plot.theme import INK, MUTED, bare, new_axes

KIND_COLOURS = {
    "input": "#7a8494",
    "affine": "#3574b8",
    "two-slope": "#d9731a",
    "maximum": "#25936b",
    "smooth": "#8a5cc2",
    "coupled": "#c2457f",
}
"""One colour a kind of node, readable on light and on dark."""


def network(subject: Network, ax: Axes | None = None) -> Axes:
    """Draw a network, repeats folded.

    Args:
        subject: The network.
        ax: Where to draw; new axes by default.

    Returns:
        The axes, one box a row, top to bottom.
    """
    diagram = folded(subject)
    ax = new_axes(5.6, 0.42 * len(diagram.rows) + 0.6) if ax is None else ax
    for place, row in enumerate(diagram.rows):
        _row(ax, -place, row)
    _links(ax, diagram)
    for first, last, times in diagram.repeats:
        ax.plot([-0.12] * 2, [-first + 0.34, -last - 0.34], color=MUTED, linewidth=1.2)
        where = (-0.22, -(first + last) / 2)
        ax.text(
            *where, f"{TIMES}{times}", ha="right", va="center", color=INK, fontsize=10
        )
    if diagram.omitted is not None:
        place, count = diagram.omitted
        text = f"⋮ {count} more rows"
        ax.text(2.5, -place + 0.5, text, ha="center", va="center", color=MUTED)
    lanes = max((link.lane for link in diagram.links), default=-1)
    ax.set_xlim(-0.9, 6.3 + 0.3 * lanes)
    ax.set_ylim(-len(diagram.rows) + 0.4, 0.6)
    return bare(ax)


def _row(ax: Axes, y: float, row: Row) -> None:
    colour = KIND_COLOURS[row.steps[-1].kind]
    box = FancyBboxPatch(
        (0, y - 0.32),
        5,
        0.64,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor="none",
        edgecolor=colour,
        linewidth=1.2,
    )
    ax.add_patch(box)
    words = " → ".join(step.label for step in row.steps)
    ax.text(0.15, y, words, va="center", color=INK, fontsize=9)
    shape = shape_label(row.shape)
    ax.text(4.85, y, shape, va="center", ha="right", color=MUTED, fontsize=9)


def _links(ax: Axes, diagram: Diagram) -> None:
    for link in diagram.links:
        reach = 0.35 + 0.28 * link.lane
        bend = reach / max(link.end - link.start, 1)
        arrow = FancyArrowPatch(
            (5, -link.start),
            (5, -link.end),
            connectionstyle=f"arc3,rad={-bend:.3f}",
            arrowstyle="-|>",
            mutation_scale=9,
            color=MUTED,
            linewidth=1.2,
        )
        ax.add_patch(arrow)
