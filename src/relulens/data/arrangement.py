"""How a row of a source becomes an input of the network's shape."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from relulens.errors import InvalidArgumentError, ShapeError
from relulens.graph.linear_map import Shape

Layout: TypeAlias = Literal["NCHW", "NHWC"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """A reshape, a permutation of axes and a second reshape.

    Attributes:
        unfolded: Shape that a row is given first.
        axes: Order of its axes then.
        shape: Shape of the input that it ends as.
    """

    unfolded: Shape
    axes: tuple[int, ...]
    shape: Shape

    def arrange(self, rows: np.ndarray) -> np.ndarray:
        """Return rows [N, *source shape] as inputs [N, *shape]."""
        unfolded = rows.reshape(len(rows), *self.unfolded)
        permuted = unfolded.transpose(0, *(axis + 1 for axis in self.axes))
        return permuted.reshape(len(rows), *self.shape)

    @property
    def words(self) -> str:
        """What is done, in words; empty if nothing is."""
        steps = []
        if self.axes != tuple(range(len(self.axes))):
            steps.append("channels moved to the front")
        if tuple(self.unfolded[axis] for axis in self.axes) != self.shape:
            steps.append(f"reshaped to {list(self.shape)}")
        return ", ".join(steps)


def arrangement(
    found: Shape, wanted: Shape | None, layout: Layout | None, *, count: int
) -> Arrangement:
    """Return how rows of one shape become inputs of another, if the order is clear.

    Axes of length one are added and removed freely; an image of one channel and a flat
    row become each other row by row; channels move only if ``layout`` says where they
    are.

    Args:
        found: Shape of a row of the source.
        wanted: Shape of an input; nothing means as it is.
        layout: Where the source has its channels: ``"NCHW"`` or ``"NHWC"``.
        count: Rows of the source, for the message.

    Raises:
        ShapeError: The sizes differ, or the order of the entries is not clear.
        InvalidArgumentError: ``layout`` is another word.
    """
    if layout not in {None, "NCHW", "NHWC"}:
        raise InvalidArgumentError(
            f"cannot arrange the data: layout is {layout!r}, and it must be 'NCHW' or"
            " 'NHWC'. Say where the data have their channels."
        )
    unfolded, axes = _unfolded(found, wanted, layout)
    turned = tuple(unfolded[axis] for axis in axes)
    target = turned if wanted is None else wanted
    if not _same_order(turned, target):
        raise ShapeError("the data", (count, *found), target, _advice(found, target))
    return Arrangement(unfolded=unfolded, axes=axes, shape=target)


def _unfolded(
    found: Shape, wanted: Shape | None, layout: Layout | None
) -> tuple[Shape, tuple[int, ...]]:
    flat = sum(length != 1 for length in found) <= 1
    images = wanted is not None and len(wanted) == 3
    if layout is not None and flat and images and math.prod(found) == math.prod(wanted):
        channels, height, width = wanted
        if layout == "NCHW":
            return wanted, (0, 1, 2)
        return (height, width, channels), (2, 0, 1)
    if layout == "NHWC" and len(found) == 3:
        return found, (2, 0, 1)
    return found, tuple(range(len(found)))


def _same_order(found: Shape, wanted: Shape) -> bool:
    first = tuple(length for length in found if length != 1)
    second = tuple(length for length in wanted if length != 1)
    if first == second:
        return True
    one_flat = min(len(first), len(second)) <= 1 and max(len(first), len(second)) == 2
    return one_flat and math.prod(first) == math.prod(second)


def _advice(found: Shape, wanted: Shape) -> str:
    if math.prod(found) != math.prod(wanted):
        return (
            f"A row has {math.prod(found)} numbers and an input {math.prod(wanted)}:"
            " resize or crop the data first, or name the label column if it was read as"
            " a feature."
        )
    if len(found) == 3 and (found[2], *found[:2]) == wanted:
        return "The channels seem to be last: pass layout='NHWC' (--layout NHWC)."
    if len(found) == 1 and len(wanted) == 3:
        return (
            "The order of the numbers is not clear: pass layout='NCHW' if they are"
            " channel by channel, 'NHWC' if pixel by pixel (--layout)."
        )
    return (
        "The sizes agree but the order of the numbers is not clear: reshape the data as"
        " the network was trained on them."
    )
