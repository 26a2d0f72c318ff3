"""Draw the exact split of logits into a template part and an offset part."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from relulens.plot.theme import INK, MUTED, ORANGE, VIOLET, legend, new_axes, styled


def logit_split(
    inner_products: object,
    offsets: object,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw per output the template part, the offset part and their sum, the logit.

    Args:
        inner_products: Template times input, one an output [outputs].
        offsets: Offset of the local affine map, likewise.
        names: Names of the outputs; their numbers by default.
        ax: Where to draw; new axes by default.

    Returns:
        The axes: two bars an output, and a mark at their sum.
    """
    ax = new_axes(6.4, 3.0) if ax is None else ax
    inner = np.asarray(inner_products, dtype=np.float64).reshape(-1)
    offset = np.asarray(offsets, dtype=np.float64).reshape(-1)
    labels = [str(i) for i in range(len(inner))] if names is None else list(names)
    place = np.arange(len(inner))
    ax.bar(place - 0.2, inner, 0.38, color=VIOLET, label="template part ⟨T, x⟩")
    ax.bar(place + 0.2, offset, 0.38, color=ORANGE, label="offset part")
    ax.plot(
        place, inner + offset, "D", color=INK, markersize=5, label="logit, their sum"
    )
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.set_xticks(place, labels)
    ax.set_ylabel("logit")
    styled(ax, grid="y")
    legend(ax, columns=3)
    return ax
