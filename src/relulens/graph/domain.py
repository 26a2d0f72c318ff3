"""Boxes: the set of inputs that a network is meant for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Box:
    """All arrays between two bounds, entry by entry.

    Args:
        low: Lowest values, a number or an array of the input's shape.
        high: Highest values, likewise.

    Raises:
        InvalidArgumentError: A bound is NaN, or ``low`` exceeds ``high`` somewhere.

    Example:
        >>> torch.tensor([0.5, 1.5]) in Box(0, 1)
        False
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: object, high: object) -> None:
        lowest = torch.as_tensor(low, dtype=torch.float64)
        highest = torch.as_tensor(high, dtype=torch.float64)
        if not bool((lowest <= highest).all()):
            raise InvalidArgumentError(
                f"cannot make a box: low is {_short(lowest)} and high"
                f" {_short(highest)}, and low must not exceed high (nor be NaN) in any"
                " entry. Swap them?"
            )
        object.__setattr__(self, "low", lowest)
        object.__setattr__(self, "high", highest)

    def __contains__(self, point: object) -> bool:
        """Tell whether every entry of a point lies between the bounds."""
        value = torch.as_tensor(point, dtype=torch.float64, device=self.low.device)
        return bool(((value >= self.low) & (value <= self.high)).all())

    def __repr__(self) -> str:
        """Return the bounds on one line."""
        return f"Box({_short(self.low)}, {_short(self.high)})"


def _short(bound: Tensor) -> str:
    if bound.numel() == 1:
        return f"{bound.item():g}"
    return (
        f"{bound.min().item():g}..{bound.max().item():g} of shape {list(bound.shape)}"
    )
