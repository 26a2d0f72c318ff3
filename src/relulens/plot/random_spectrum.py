"""Draw the singular values of weights beside the law of random matrices."""

import numpy as np
from matplotlib.axes import Axes

from relulens.plot.theme import BLUE, INK, ORANGE, legend, new_axes, styled
from relulens.reversal.likeness import LayerLikeness
from relulens.reversal.marchenko_pastur import distribution

POINTS = 400


def random_spectrum(layer: LayerLikeness, ax: Axes | None = None) -> Axes:
    """Draw histograms of a matrix's singular values and the Marchenko-Pastur density.

    Args:
        layer: One layer of ``random_likeness``.
        ax: Where to draw; new axes by default.

    Returns:
        The axes: the weights, the initial weights scaled to the same deviation, and
        the law as a line.
    """
    ax = new_axes() if ax is None else ax
    found = layer.statistics
    scale = float(np.hypot(found.deviation, found.mean))
    before = float(np.hypot(layer.initial.deviation, layer.initial.mean))
    trained = layer.singular_values.numpy(force=True)
    initial = layer.initial_singular_values.numpy(force=True) * scale / before
    top = 1.05 * max(trained.max(), initial.max(), layer.law[1])
    bins = np.linspace(0.0, top, min(41, 4 + int(3 * np.sqrt(len(trained))))).tolist()
    ax.hist(trained, bins, density=True, color=BLUE, alpha=0.55, label="these weights")
    ax.hist(
        initial,
        bins,
        density=True,
        histtype="step",
        color=ORANGE,
        linewidth=1.4,
        label="initial weights, same deviation",
    )
    edge = np.linspace(*layer.law, POINTS)
    law = distribution(edge, found.rows, found.columns, scale)
    middle = 0.5 * (edge[1:] + edge[:-1])
    ax.plot(middle, np.diff(law) / np.diff(edge), color=INK, linewidth=1.4, label="law")
    ax.set_xlabel("singular value")
    ax.set_ylabel("density")
    styled(ax)
    legend(ax)
    return ax
