"""Boxes that hold the arguments and the state of a model for inputs in a domain."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled_bounds import Bounds, coupled_image
from relulens.graph.domain import Box
from relulens.graph.interval import two_slope_image
from relulens.graph.nodes import Coupled, Maximum, Smooth, TwoSlope
from relulens.implicit.activation import FAR, StateBlock
from relulens.implicit.model import ImplicitModel


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StateBox:
    """Bounds that every equilibrium satisfies, up to rounding.

    Attributes:
        arguments: Bounds [1, *shape] of every argument of phi.
        low: Lowest state [n].
        high: Highest state [n].
    """

    arguments: tuple[Bounds, ...]
    low: Tensor
    high: Tensor


def domain_bounds(model: ImplicitModel, domain: Box) -> Bounds:
    """Return a domain's bounds as vectors [1, p], float64.

    Raises:
        InvalidArgumentError: The domain has not the input's shape.
    """
    ends: list[Tensor] = []
    for bound in (domain.low, domain.high):
        shape = tuple(bound.shape)
        if bound.numel() == 1:
            ends.append(bound.reshape(1, 1).expand(1, model.p).double())
        elif shape in {(model.p,), model.input_shape}:
            ends.append(bound.reshape(1, model.p).double())
        else:
            raise InvalidArgumentError(
                f"cannot use the domain: its bounds are {list(shape)}, and the input is"
                f" {list(model.input_shape)}. Pass numbers, or bounds of that shape."
            )
    return ends[0], ends[1]


def state_box(model: ImplicitModel, domain: Box, *, turns: int = 50) -> StateBox:
    """Return bounds on the equilibria for the inputs in a domain.

    From bounds on all values of phi, intervals are carried round the loop; the boxes
    shrink, and every one of them holds every equilibrium.

    Args:
        model: The model.
        domain: The inputs.
        turns: Most times round the loop.

    Raises:
        InvalidArgumentError: The domain has not the input's shape.
    """
    wide = model.to(torch.float64)
    magnitudes = wide.A.absolute().map, wide.B.absolute().map
    middle, radius = _centred(*domain_bounds(model, domain))
    base = wide.B.apply(middle) + wide.a
    spread = magnitudes[1].apply(radius)
    low = torch.full((1, model.n), -FAR, dtype=torch.float64)
    high = -low
    arguments: tuple[Bounds, ...] = ()
    for turn in range(turns):
        if turn:
            centre, width = _centred(low, high)
            drift = wide.A.apply(centre)
            reach = magnitudes[0].apply(width) + spread
            ends = base + drift - reach, base + drift + reach
            everywhere = low.new_full((1, model.m), FAR)
            z = ends[0].maximum(-everywhere), ends[1].minimum(everywhere)
        else:
            far = low.new_full((1, model.m), FAR)
            z = -far, far
        arguments = tuple(
            (a.of(z[0]), a.of(z[1])) for b in wide.phi.blocks for a in b.arguments
        )
        least, most = _images(wide.phi.blocks, arguments)
        tighter = low.maximum(least), high.minimum(most)
        moved = (tighter[0] - low).maximum(high - tighter[1])
        settled = bool((moved <= 1e-9 * (high - low)).all())
        low, high = tighter
        if turn and settled:
            break
    return StateBox(arguments=arguments, low=low[0], high=high[0])


def _centred(low: Tensor, high: Tensor) -> Bounds:
    return (low + high) / 2, (high - low) / 2


def _images(blocks: Sequence[StateBlock], arguments: Sequence[Bounds]) -> Bounds:
    """Return bounds [1, n] of the values of phi."""
    low, high = list[Tensor](), list[Tensor]()
    place = 0
    for block in blocks:
        read = tuple(arguments[place : place + len(block.arguments)])
        place += len(block.arguments)
        image = _image(block, read)
        shape = (1, *block.node.shape)
        far = torch.full(shape, FAR, dtype=torch.float64)
        least, most = (-far, far) if image is None else image
        low.append(torch.nan_to_num(least, nan=-FAR).clamp(-FAR, FAR).flatten(1))
        high.append(torch.nan_to_num(most, nan=FAR).clamp(-FAR, FAR).flatten(1))
    if not low:
        return torch.zeros(1, 0).double(), torch.zeros(1, 0).double()
    return torch.cat(low, 1), torch.cat(high, 1)


def _image(block: StateBlock, read: tuple[Bounds, ...]) -> Bounds | None:
    node = block.node
    match node:
        case TwoSlope():
            return two_slope_image(node, read[0])
        case Maximum():
            low, high = read[0]
            return node.groups.largest(low)[0], node.groups.largest(high)[0]
        case Smooth(function=function):
            return function.image(*read[0])
        case Coupled(function=function):
            return coupled_image(function, read)
