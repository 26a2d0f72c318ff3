"""Draw singular values: largest first, on a logarithmic axis."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from relulens.plot.theme import (
    BLUE,
    MUTED,
    as_rows,
    depth_colours,
    legend,
    logarithmic,
    new_axes,
    shortened,
    styled,
)


def spectrum(
    result: Mapping[str, object] | object,
    ax: Axes | None = None,
    *,
    floor: float = 1e-12,
    colours: Sequence[str] | None = None,
) -> Axes:
    """Draw singular values against their index.

    Args:
        result: A ``Spectrum``, an array [k] or [N, k], or several of them by name, in
            order of depth.
        ax: Where to draw; new axes by default.
        floor: Values below ``floor`` times the largest of all are left out, since a
            logarithmic axis cannot show zeros (no unit).
        colours: One colour a name; by depth if not given.

    Returns:
        The axes, one line for every row of singular values.
    """
    ax = new_axes() if ax is None else ax
    named = dict(result) if isinstance(result, Mapping) else {"": result}
    rows = {name: as_rows(item) for name, item in named.items()}
    by_depth = depth_colours(len(rows)) if len(rows) > 1 else [BLUE]
    top = max((float(r.max()) for r in rows.values() if r.size), default=0.0)
    for label, colour, values in zip(
        shortened(list(rows)), colours or by_depth, rows.values(), strict=True
    ):
        _lines(ax, values, colour, label, floor * top)
    ax.set_xlabel("index of singular value")
    ax.set_ylabel("singular value")
    styled(ax)
    if top > 0:
        logarithmic(ax, "y")
    else:
        ax.text(0.5, 0.5, "all zero", color=MUTED, ha="center", transform=ax.transAxes)
    legend(ax, columns=1 if len(rows) <= 8 else 2)
    return ax


def _lines(ax: Axes, values: np.ndarray, colour: str, label: str, least: float) -> None:
    for place, row in enumerate(values):
        shown = row[row > least]
        ax.plot(
            np.arange(1, len(shown) + 1),
            shown,
            color=colour,
            linewidth=1.6,
            alpha=1.0 if len(values) == 1 else max(0.15, 1.0 / len(values) ** 0.5),
            label=label if place == 0 and label else None,
            marker="o" if len(shown) <= 24 else None,
            markersize=3,
            solid_capstyle="round",
        )
