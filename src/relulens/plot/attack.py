"""Draw attacks: inputs before and after as pictures, and accuracy against changes."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from relulens.plot.theme import BLUE, INK, MUTED, ORANGE, bare, legend, new_axes, styled

GAP = 2


class HasAttacks(Protocol):
    """A result with changed inputs, such as ``Attack``."""

    @property
    def inputs(self) -> object:
        """Changed inputs [N, *input_shape]."""

    @property
    def success(self) -> object:
        """Whether each is misclassified [N]."""

    @property
    def changed(self) -> object:
        """How many entries differ [N]."""

    @property
    def labels(self) -> object:
        """Class of each input [N]."""

    @property
    def prediction(self) -> object:
        """Class of each changed input [N]."""


class HasCurve(Protocol):
    """A result with a curve, such as ``AttackCurve``."""

    @property
    def k(self) -> object:
        """Numbers of changes."""

    @property
    def success(self) -> object:
        """Share of attacks found."""

    @property
    def accuracy(self) -> object:
        """Accuracy that is left."""


def worst_examples(
    result: HasAttacks,
    x: object,
    ax: Axes | None = None,
    *,
    count: int = 6,
    shape: tuple[int, int] | None = None,
    names: Sequence[str] | None = None,
) -> Axes:
    """Draw the inputs that the fewest changes turn, before above and after below.

    Args:
        result: An attack.
        x: The inputs before.
        ax: Where to draw; new axes by default.
        count: How many inputs at most.
        shape: Height and width of an input without axes for these.
        names: Names of the classes; their numbers by default.

    Returns:
        The axes with one image, a text each picture, and a frame around each change.
    """
    ax = new_axes(1.2 * count + 0.4, 3.0) if ax is None else ax
    changed = np.asarray(result.changed)
    good = np.flatnonzero(np.asarray(result.success) & (changed > 0))
    chosen = good[np.argsort(changed[good], kind="stable")][:count]
    if not len(chosen):
        ax.text(0.5, 0.5, "no attack found", ha="center", color=MUTED)
        return bare(ax)
    before = [_picture(row, shape) for row in np.asarray(x)[chosen]]
    after = [_picture(row, shape) for row in np.asarray(result.inputs)[chosen]]
    height, width = before[0].shape[:2]
    step = width + GAP
    sheet = np.full((2 * height + GAP, step * len(chosen), 4), 0.0)
    low = min(picture.min() for picture in (*before, *after))
    reach = max(picture.max() for picture in (*before, *after)) - low or 1.0
    for i, pair in enumerate(zip(before, after, strict=True)):
        for row, picture in enumerate(pair):
            top = row * (height + GAP)
            part = sheet[top : top + height, i * step : i * step + width]
            part[..., :3] = (picture - low) / reach
            part[..., 3] = 1.0
        differs = np.argwhere((pair[0] != pair[1]).any(2))
        for y, place in differs:
            corner = (i * step + place - 0.5, y + height + GAP - 0.5)
            ax.add_patch(
                Rectangle(corner, 1, 1, fill=False, edgecolor=ORANGE, linewidth=1.2)
            )
        middle = i * step + (width - 1) / 2
        labels = np.asarray(result.labels)[chosen[i]], np.asarray(result.prediction)
        first, last = (
            str(c) if names is None else names[int(c)]
            for c in (labels[0], labels[1][chosen[i]])
        )
        ax.text(middle, -1, first, ha="center", va="bottom", color=INK, fontsize=9)
        foot = f"{last} ({changed[chosen[i]]})"
        ax.text(
            middle, 2 * height + GAP, foot, ha="center", va="top", color=INK, fontsize=9
        )
    ax.imshow(sheet, interpolation="nearest")
    return bare(ax)


def attack_curve(result: HasCurve, ax: Axes | None = None) -> Axes:
    """Draw the accuracy that is left, and the attacks found, against changes.

    Args:
        result: A curve.
        ax: Where to draw; new axes by default.

    Returns:
        The axes with two stepped lines.
    """
    ax = new_axes() if ax is None else ax
    k = np.asarray(result.k)
    for values, colour, name in (
        (result.accuracy, BLUE, "accuracy left, at most"),
        (result.success, ORANGE, "attacks found"),
    ):
        ax.step(k, np.asarray(values), where="post", color=colour, label=name)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("entries changed, at most")
    ax.set_ylabel("share of inputs")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    styled(ax)
    legend(ax)
    return ax


def _picture(array: np.ndarray, shape: tuple[int, int] | None) -> np.ndarray:
    """Return an input as [height, width, 3]."""
    value = np.asarray(array, dtype=np.float64)
    if shape is not None:
        value = value.reshape(-1, *shape)
    elif value.ndim != 3:
        value = value.reshape(1, *([1] * (2 - value.ndim)), *value.shape)[-1:]
    if value.shape[0] != 3:
        value = np.repeat(value.mean(0, keepdims=True), 3, 0)
    return value.transpose(1, 2, 0)
