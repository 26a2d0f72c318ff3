"""The nonlinear part phi of an implicit model, block by block."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.convert import converted_node
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.freeze import two_slope_value
from relulens.graph.gains import node_gains
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.graph.nodes import Coupled, Maximum, Nonlinear, Smooth, TwoSlope


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Argument:
    """What one block of phi reads.

    Attributes:
        start: Its first entry in z.
        stop: The entry after its last.
        shape: The shape in which the block's operation reads it.
    """

    start: int
    stop: int
    shape: Shape

    def of(self, z: Float[Tensor, "batch m"]) -> Tensor:
        """Return the argument [N, *shape] from all arguments."""
        return z[:, self.start : self.stop].reshape(z.shape[0], *self.shape)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StateBlock:
    """One nonlinear operation: a block of the state.

    Attributes:
        name: Name of the layer or of the block.
        node: The operation; the nodes that it names as sources mean nothing here.
        start: First entry of its values in the state.
        stop: The entry after its last.
        arguments: What it reads; two for a product.
    """

    name: str
    node: Nonlinear
    start: int
    stop: int
    arguments: tuple[Argument, ...]

    @property
    def size(self) -> int:
        """Entries of the block."""
        return self.stop - self.start

    @property
    def kind(self) -> str:
        """What the operation is called."""
        match self.node:
            case TwoSlope(negative=negative, positive=positive):
                return _two_slope_name(negative, positive)
            case Maximum():
                return "maximum"
            case Smooth(function=function) | Coupled(function=function):
                return function.name
            case _:
                assert_never(self.node)

    def value(self, *z: Tensor) -> Tensor:
        """Return the values [N, *shape] at arguments [N, *shape of each]."""
        match self.node:
            case TwoSlope():
                return two_slope_value(self.node, z[0])
            case Maximum():
                return self.node.groups.largest(z[0])[0]
            case Smooth() | Coupled():
                return self.node.function.value(*z)
            case _:
                assert_never(self.node)

    def pull(self, weights: Tensor, *z: Tensor) -> tuple[Tensor, ...]:
        """Return the transposed Jacobian at z times weights [N, *shape]."""
        match self.node:
            case TwoSlope(negative=negative, positive=positive):
                return (weights * torch.where(z[0] > 0, positive, negative),)
            case Maximum():
                winner = self.node.groups.largest(z[0])[1].flatten(1)
                spread = torch.zeros_like(z[0]).flatten(1)
                spread.scatter_add_(1, winner, weights.flatten(1))
                return (spread.reshape(z[0].shape),)
            case Smooth():
                return (weights * self.node.function.slope(z[0]),)
            case Coupled():
                points = [part.unsqueeze(1) for part in z]
                pulled = self.node.function.adjoint(points, weights.unsqueeze(1))
                return tuple(part.squeeze(1) for part in pulled)
            case _:
                assert_never(self.node)

    def slopes(self) -> tuple[Tensor, Tensor] | None:
        """Return the least and largest slope, or nothing for coupled entries."""
        match self.node:
            case TwoSlope(negative=negative, positive=positive):
                return torch.minimum(negative, positive), torch.maximum(
                    negative, positive
                )
            case Smooth(function=function):
                low, high = function.slopes
                wide = torch.float64
                return torch.tensor(low, dtype=wide), torch.tensor(high, dtype=wide)
            case Maximum() | Coupled():
                return None
            case _:
                assert_never(self.node)

    @property
    def homogeneous(self) -> bool:
        """Whether ``phi(t z) = t phi(z)`` for all t >= 0."""
        return isinstance(self.node, TwoSlope | Maximum)


def _two_slope_name(negative: Tensor, positive: Tensor) -> str:
    if negative.numel() == 1 and positive.numel() == 1:
        low, high = float(negative), float(positive)
        if high == 1.0 and low in {0.0, -1.0, 1.0}:
            return {0.0: "relu", -1.0: "abs", 1.0: "identity"}[low]
        return f"two slopes {low:g} and {high:g}"
    return "two slopes"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Activation:
    """phi: every block of the state from the arguments that it reads.

    Attributes:
        blocks: The operations, in the order of their values in the state.
    """

    blocks: tuple[StateBlock, ...]

    @property
    def n(self) -> int:
        """Entries of the state."""
        return self.blocks[-1].stop if self.blocks else 0

    @property
    def m(self) -> int:
        """Entries of the arguments."""
        return max((a.stop for b in self.blocks for a in b.arguments), default=0)

    @property
    def state_offsets(self) -> tuple[int, ...]:
        """First entry of each block of the state, and their number n."""
        return (0, *(block.stop for block in self.blocks))

    @property
    def argument_offsets(self) -> tuple[int, ...]:
        """First entry of each argument, and their number m."""
        return (0, *(a.stop for block in self.blocks for a in block.arguments))

    @property
    def owners(self) -> tuple[int, ...]:
        """The block that reads each argument."""
        return tuple(i for i, block in enumerate(self.blocks) for _ in block.arguments)

    @property
    def elementwise(self) -> bool:
        """Whether entry i of the state depends on entry i of z alone."""
        return all(isinstance(b.node, TwoSlope | Smooth) for b in self.blocks)

    @property
    def homogeneous(self) -> bool:
        """Whether ``phi(t z) = t phi(z)`` for all t >= 0."""
        return all(block.homogeneous for block in self.blocks)

    @property
    def all_relu(self) -> bool:
        """Whether every entry is a ReLU."""
        return all(block.kind == "relu" for block in self.blocks)

    def value(self, z: Float[Tensor, "batch m"]) -> Float[Tensor, "batch n"]:
        """Return the state at the arguments."""
        if self.all_relu:
            return torch.relu(z)
        parts = [
            block.value(*(a.of(z) for a in block.arguments)).flatten(1)
            for block in self.blocks
        ]
        return torch.cat(parts, 1) if parts else z.new_zeros((z.shape[0], 0))

    def pull(
        self, z: Float[Tensor, "batch m"], weights: Float[Tensor, "batch n"]
    ) -> Float[Tensor, "batch m"]:
        """Return the transposed Jacobian at z times the weights."""
        parts: list[Tensor] = []
        for block in self.blocks:
            own = weights[:, block.start : block.stop]
            own = own.reshape(z.shape[0], *block.node.shape)
            read = [argument.of(z) for argument in block.arguments]
            parts += [part.flatten(1) for part in block.pull(own, *read)]
        return torch.cat(parts, 1) if parts else z.new_zeros((z.shape[0], 0))

    def slopes(self) -> tuple[Tensor, Tensor] | None:
        """Return the least and largest slope of every entry [n], float64, if any."""
        ends = [block.slopes() for block in self.blocks]
        known = [pair for pair in ends if pair is not None]
        if len(known) < len(ends):
            return None
        shapes = [block.node.shape for block in self.blocks]
        low, high = (
            [
                pair[side].double().expand(shape).reshape(-1)
                for pair, shape in zip(known, shapes, strict=True)
            ]
            for side in (0, 1)
        )
        if not low:
            return torch.zeros(0).double(), torch.zeros(0).double()
        return torch.cat(low), torch.cat(high)

    def gains(
        self,
        boxes: Sequence[Bounds] | None = None,
        *,
        blocks: Collection[int] | None = None,
    ) -> tuple[BlockMatrix | None, tuple[StateBlock, ...]]:
        """Return the gain Γ [n, m], and the blocks that have no finite one.

        Args:
            boxes: Bounds [1, *shape] of every argument, or nothing for all arguments.
            blocks: Places of the blocks that need one; the rows of others that have
                none are zero. All of them by default.
        """
        maps: dict[tuple[int, int], LinearMap] = {}
        without: list[StateBlock] = []
        place = 0
        for i, block in enumerate(self.blocks):
            count = len(block.arguments)
            box = None if boxes is None else tuple(boxes[place : place + count])
            if box is None and isinstance(block.node, Coupled):
                box = tuple(_everywhere(argument) for argument in block.arguments)
            found = node_gains(block.node, box)
            if found is None or not all(_bounded(gain) for gain in found):
                if blocks is None or i in blocks:
                    without.append(block)
            else:
                for k, gain in enumerate(found):
                    maps[i, place + k] = gain.to(torch.float64, torch.device("cpu"))
            place += count
        if without:
            return None, tuple(without)
        return BlockMatrix(maps, self.state_offsets, self.argument_offsets), ()

    def to(self, dtype: torch.dtype, device: torch.device) -> "Activation":
        """Return phi with its coefficients in another type or on another device."""
        return Activation(
            blocks=tuple(
                StateBlock(
                    name=block.name,
                    node=converted_node(block.node, dtype, device),
                    start=block.start,
                    stop=block.stop,
                    arguments=block.arguments,
                )
                for block in self.blocks
            )
        )


FAR = 1e150
"""Stands for no bound: small enough that its square is finite."""


def _everywhere(argument: Argument) -> Bounds:
    far = torch.full((1, *argument.shape), FAR, dtype=torch.float64)
    return -far, far


def _bounded(gain: LinearMap) -> bool:
    """Tell whether a gain is finite and was not made from bounds that are none."""
    ones = torch.ones((1, *gain.in_shape), dtype=torch.float64)
    reach = gain.apply(ones)
    return bool((reach < FAR**0.5).all())
