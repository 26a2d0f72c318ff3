"""Signs at kinks of a line, in whole numbers where rounding leaves them open."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.polyhedral import Polyhedral
from relulens.regions.exact_entries import TooLongError
from relulens.regions.slice_exact import ExactSigns, Spent
from relulens.regions.slice_mesh import OUTSIDE, Integers, Origin
from relulens.regions.slice_ties import EdgeValues, Order, order_along


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Line:
    """A line as a plane whose second direction is zero.

    Attributes:
        origin: Where the parameter is 0.
        directions: Change for one unit of the parameter, and zeros [2, *input].
    """

    origin: Tensor
    directions: Tensor


def exact_line(
    region: Polyhedral, start: Tensor, direction: Tensor, spent: Spent
) -> ExactSigns:
    """Return what decides signs along ``start + t direction``."""
    line = Line(
        origin=start,
        directions=torch.stack([direction, torch.zeros_like(direction)]),
    )
    return ExactSigns(region=region, plane=line, corners=np.zeros((0, 2)), spent=spent)


class LineSigns:
    """The kinks of a piece of a line by number, and exact signs there.

    Args:
        whole: Decides signs along the whole line.
        low: Parameter where the piece begins, kink 0.
        high: Parameter where it ends, kink 1.
    """

    def __init__(self, whole: ExactSigns, low: float, high: float) -> None:
        self._exact = whole.on(np.array([[low, 0.0], [high, 0.0]]))
        two, none = np.arange(2), np.full(2, OUTSIDE)
        self.origin = Origin(first=two, second=two, node=none, unit=two, other=none)

    def add(self, made: Origin) -> Integers:
        """Take further kinks, and return their numbers."""
        count = len(self.origin.node)
        self.origin = self.origin.extended(made)
        return np.arange(count, len(self.origin.node))

    def affordable(self, node: int, count: int) -> bool:
        """Tell whether there is time for some signs of a node's entries."""
        return self._exact.affordable(node, count)

    def sign(self, kink: int, node: int, unit: int) -> int | None:
        """Return the sign of an entry of a node, or nothing if time is used up."""
        return self._exact.sign(kink, node, unit, -1, self.origin)

    def share(self, kink: int) -> float | None:
        """Return how far a kink lies between the two it was made from, exactly."""
        origin = self.origin
        three = (kink, int(origin.first[kink]), int(origin.second[kink]))
        try:
            places = [self._exact.place(v, origin) for v in three]
        except TooLongError:
            return None
        t, low, high = (Fraction(place[0], place[2]) for place in places)
        return float((t - low) / (high - low))

    def order(
        self, ends: tuple[int, int], node: int, pairs: tuple[Integers, Integers]
    ) -> Order:
        """Return the order of zeros between two kinks, and which are one place.

        Args:
            ends: The kinks.
            node: Node whose entries, or differences of two, the functions are.
            pairs: Entries, and what is subtracted or -1.
        """
        count = len(self.origin.node)
        values = EdgeValues(node, pairs, count, self.origin, self._exact)
        return order_along(ends, np.arange(len(pairs[0])), values)

    def entries(
        self, kink: int, node: int, units: NDArray[np.int64]
    ) -> list[int] | None:
        """Return entries of a node times one positive number, if there is time."""
        try:
            found = [
                self._exact.value(kink, node, unit, -1, self.origin)
                for unit in units.tolist()
            ]
        except TooLongError:
            return None
        return found
