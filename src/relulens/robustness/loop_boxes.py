"""Boxes around the equilibria of a model with loops, for boxes of inputs."""

from dataclasses import dataclass
from typing import assert_never

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.bounds.images import largest, nonlinear_bounds
from relulens.bounds.rounding import UNIT, gamma, parts_by_absolute_value, roundings
from relulens.errors import OffendingNode, UnboundedError
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.graph.nodes import Coupled, Maximum, Smooth, TwoSlope
from relulens.implicit.activation import StateBlock
from relulens.implicit.model import ImplicitModel
from relulens.robustness.local_reach import maximum_reach, steepest_between
from relulens.robustness.loop_sensitivity import upper_solution

TURNS = 500
_SETTLED = 1e-10


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Absolute:
    """A matrix with its absolute values and what rounding it may suffer."""

    map: LinearMap
    spread: LinearMap
    parts: LinearMap
    share: float

    @classmethod
    def of(cls, matrix: BlockMatrix) -> "_Absolute":
        """Return the matrix with what bounds need."""
        count = sum(roundings(part) + 1 for part in matrix.blocks.values())
        return cls(
            map=matrix,
            spread=matrix.absolute().map,
            parts=parts_by_absolute_value(matrix),
            share=3 * gamma(count + 4),
        )

    def image(self, bounds: Bounds) -> tuple[Tensor, Tensor]:
        """Return the centre and the half-width of the image, rounding included."""
        low, high = bounds
        radius = self.spread.apply((high - low) / 2)
        radius = radius + self.share * self.parts.apply(largest(bounds))
        return self.map.apply((low + high) / 2), radius * (1 + self.share)


class LoopBoxes:
    """A well-posed model with loops, ready to be asked for boxes.

    Args:
        model: The model, float64 on the processor.

    Raises:
        UnboundedError: An operation has no finite gain anywhere.
        NotWellPosedError: The model is not certified to be well posed.
    """

    def __init__(self, model: ImplicitModel) -> None:
        self.model = model
        gain, without = model.phi.gains()
        if gain is None:
            nodes = [
                OffendingNode(
                    name=block.name,
                    operation=block.kind,
                    reason="no finite gain anywhere",
                )
                for block in without
            ]
            raise UnboundedError("the equilibria of the model", nodes)
        self._A, self._B = _Absolute.of(model.A), _Absolute.of(model.B)
        self._C, self._D = _Absolute.of(model.C), _Absolute.of(model.D)
        spread = csr_array(gain.to_sparse())
        A = abs(model.A.to_sparse(limit=BYTE_LIMIT))
        self._P = csr_array(spread @ A) * (1 + gamma(model.m))

    def state(self, u: Bounds) -> Bounds:
        """Return bounds [N, n] of the equilibria for inputs between bounds [N, p].

        A first box comes from ``|x| <= (I - P)^-1 |phi(B u + a)|``; turns of interval
        arithmetic shrink it, each of which keeps every equilibrium.
        """
        shape = (u[0].shape[0], self.model.n)
        zero = torch.zeros(shape, dtype=torch.float64)
        start = largest(self._phi(self.arguments((zero, zero), u)))
        reach, _ = upper_solution(csr_array(self._P.T), start.T.numpy())
        most = torch.from_numpy(np.ascontiguousarray(reach.T))
        bounds = (-most, most)
        for _ in range(TURNS):
            image = self._phi(self.arguments(bounds, u))
            low = torch.maximum(bounds[0], image[0])
            high = torch.minimum(bounds[1], image[1])
            # A point's box is crossed by rounding at most, which is accounted for.
            low, high = torch.minimum(low, high), torch.maximum(low, high)
            gained = (bounds[1] - bounds[0]) - (high - low)
            bounds = (low, high)
            if not bool((gained > _SETTLED * (high - low) + 1e-300).any()):
                break
        return bounds

    def arguments(self, state: Bounds, u: Bounds) -> Bounds:
        """Return bounds [N, m] of ``A x + B u + a``."""
        return _sum(self._A.image(state), self._B.image(u), self.model.a)

    def output(self, state: Bounds, u: Bounds) -> Bounds:
        """Return bounds [N, q] of ``C x + D u + d``."""
        return _sum(self._C.image(state), self._D.image(u), self.model.d)

    def _phi(self, z: Bounds) -> Bounds:
        parts = [
            nonlinear_bounds(block.name, block.node, _read(block, z))
            for block in self.model.phi.blocks
        ]
        if not parts:
            return z
        low, high = (torch.cat([p[i].flatten(1) for p in parts], 1) for i in (0, 1))
        return low, high

    def reach(self, state: Bounds, u: Bounds, change: Tensor) -> Tensor:
        """Return how far outputs move [N, q] for a change [N, p] inside the boxes."""
        z = self.arguments(state, u)
        moved = (state[1] - state[0]) * (1 + 4 * UNIT)
        forced = self._B.spread.apply(change) * (1 + self._B.share)
        for _ in range(TURNS):
            into = (self._A.spread.apply(moved) + forced) * (1 + self._A.share)
            parts = [
                _reach(block, z, into, state).flatten(1)
                for block in self.model.phi.blocks
            ]
            new = torch.minimum(moved, torch.cat(parts, 1)) if parts else moved
            settled = not bool((moved - new > _SETTLED * new + 1e-300).any())
            moved = new
            if settled:
                break
        total = self._C.spread.apply(moved) + self._D.spread.apply(change)
        return total * (1 + self._C.share + self._D.share)


def _sum(first: Bounds, second: Bounds, constant: Tensor) -> Bounds:
    centre = first[0] + second[0] + constant
    size = first[0].abs() + second[0].abs() + constant.abs()
    radius = (first[1] + second[1] + 8 * UNIT * size) * (1 + 4 * UNIT)
    return centre - radius, centre + radius


def _read(block: StateBlock, z: Bounds) -> tuple[Bounds, ...]:
    return tuple((part.of(z[0]), part.of(z[1])) for part in block.arguments)


def _reach(block: StateBlock, z: Bounds, moved: Tensor, state: Bounds) -> Tensor:
    """Return how far a block of the state moves, with its gain between the bounds."""
    read = _read(block, z)
    node = block.node
    own = block.arguments[0].of(moved)
    match node:
        case TwoSlope():
            return steepest_between(node, read[0]) * own * (1 + 2 * UNIT)
        case Maximum():
            return maximum_reach(node, read[0], own)
        case Smooth():
            return node.function.gain_between(*read[0]) * own * (1 + 1e-9)
        case Coupled():
            width = state[1] - state[0]
            return width[:, block.start : block.stop] * (1 + 4 * UNIT)
        case _:
            assert_never(node)
