"""Boxes: the set of inputs that a network is meant for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.arrays import tensor_of


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Box:
    """All arrays between two bounds, entry by entry.

    Args:
        low: Lowest values, a number or an array of the input's shape.
        high: Highest values, likewise.

    Raises:
        InvalidArgumentError: A bound is NaN or no number, the shapes differ, or ``low``
            exceeds ``high`` somewhere.

    Example:
        >>> torch.tensor([0.5, 1.5]) in Box(0, 1)
        False
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: object, high: object) -> None:
        lowest = tensor_of(low, subject="low").to(torch.float64)
        highest = tensor_of(high, subject="high").to(torch.float64)
        _check_shapes(lowest, highest)
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
        value = tensor_of(point, subject="the point").to(self.low)
        return bool(((value >= self.low) & (value <= self.high)).all())

    def __repr__(self) -> str:
        """Return the bounds on one line."""
        return f"Box({_short(self.low)}, {_short(self.high)})"


def _check_shapes(low: Tensor, high: Tensor) -> None:
    """Refuse bounds that do not broadcast with one another.

    Raises:
        InvalidArgumentError: Their shapes do not fit.
    """
    try:
        torch.broadcast_shapes(low.shape, high.shape)
    except RuntimeError as error:
        raise InvalidArgumentError(
            f"cannot make a box: low has shape {list(low.shape)} and high"
            f" {list(high.shape)}, and they do not fit. Pass numbers, or arrays of the"
            " input's shape."
        ) from error


def as_box(given: object, *, subject: str = "domain") -> Box:
    """Return what was given as a box, if it is one.

    Raises:
        InvalidArgumentError: It is no box.
    """
    if isinstance(given, Box):
        return given
    raise InvalidArgumentError(
        f"cannot use a {type(given).__name__} as {subject}: a box is needed. Pass"
        " Box(low, high)."
    )


def _short(bound: Tensor) -> str:
    if bound.numel() == 1:
        return f"{bound.item():g}"
    return (
        f"{bound.min().item():g}..{bound.max().item():g} of shape {list(bound.shape)}"
    )
