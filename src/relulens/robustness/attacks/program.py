"""The source's linear program over form (1), with or without its missing faces.

Unknowns are the rises and falls of the input, the arguments z and the states x:

    z = A x + B u + a,  sum of (rises + falls) / sigma <= k,

and rows that say how x depends on z. The source has ``x >= z``, ``x >= 0`` and
``|x - x0| <= sigma_x``: nothing holds x from above but that box, and a cost that grows
with x takes it there. The triangle has the face above that is missing:
``x <= h (z - l) / (h - l)`` between bounds ``l < 0 < h`` of z.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import block_array, coo_array, csr_array, eye_array, vstack
from torch import Tensor

from relulens.graph.absolute import absolute
from relulens.graph.blocks import Blocks
from relulens.graph.freeze import node_values
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.numerics.sparse_programs import SparseProgram
from relulens.robustness.attacks.bounds import argument_bounds
from relulens.robustness.attacks.ranges import Ranges

Faces: TypeAlias = Literal["triangle", "source"]
Vector: TypeAlias = NDArray[np.float64]

ROOM = 1e-9
"""Relative room that bounds of arguments get, so that rounding cuts nothing off."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Relaxed:
    """The rows of one or more nodes between arguments and states.

    Attributes:
        z: Coefficients of the arguments [rows, m].
        x: Coefficients of the states [rows, n].
        low: Lower bounds of the rows.
        high: Upper bounds.
    """

    z: csr_array
    x: csr_array
    low: Vector
    high: Vector


class AttackProgram:
    """The relaxation around one input, for several costs.

    Args:
        form: Blocks of a network of two-slope nodes and maxima, float64.
        matrices: Its A, B, C and D.
        ranges: What may change.
        faces: ``"triangle"``, or ``"source"`` without the upper faces.
    """

    def __init__(
        self,
        form: Blocks,
        matrices: dict[str, csr_array],
        ranges: Ranges,
        faces: Faces,
    ) -> None:
        self._matrices, self._ranges = matrices, ranges
        rise, fall = ranges.high - ranges.x, ranges.x - ranges.low
        self._free = ((rise > 0) | (fall > 0)).nonzero().flatten().cpu().numpy()
        self._offset = form.offset("d").cpu().numpy()
        inputs = matrices["B"][:, self._free]
        base = matrices["B"] @ ranges.x.cpu().numpy() + form.offset("a").cpu().numpy()
        limits = _limits(form, ranges, faces)
        linked = _links(form, limits, faces)
        m, n, p = form.argument_size, form.state_size, len(self._free)
        share = 1.0 / ranges.sigma.cpu().numpy()[self._free]
        budget = csr_array(np.concatenate([share, share])[None])
        table = block_array(
            [
                [-inputs, inputs, eye_array(m, format="csr"), -matrices["A"]],
                [budget[:, :p], budget[:, p:], None, None],
                [None, None, linked.z, linked.x],
            ],
            format="csr",
        )
        infinite = np.full(1, -np.inf)
        bound = [rise.cpu().numpy()[self._free], fall.cpu().numpy()[self._free]]
        self._program = SparseProgram(
            csr_array(table),
            np.concatenate([base, infinite, linked.low]),
            np.concatenate([base, np.full(1, float(ranges.k)), linked.high]),
            np.concatenate([np.zeros(2 * p), limits.z_low, limits.x_low]),
            np.concatenate([*bound, limits.z_high, limits.x_high]),
        )
        self._sizes = (m, n, p)

    def highest(self, weights: Vector) -> tuple[str, float, Tensor]:
        """Return the largest weighted output, and the input where it is reached.

        Args:
            weights: Weights [q] of the outputs.

        Returns:
            The solver's status, the value, and the input, flattened.
        """
        m, _, p = self._sizes
        ranges, matrices = self._ranges, self._matrices
        through = matrices["D"].T @ weights
        cost = np.concatenate([
            through[self._free],
            -through[self._free],
            np.zeros(m),
            matrices["C"].T @ weights,
        ])
        best = self._program.maximise(cost)
        point = ranges.x.clone()
        if best.status != "optimal":
            return best.status, best.value, point
        moved = torch.from_numpy(best.point[:p] - best.point[p : 2 * p])
        point[self._free] += moved.to(point)
        fixed = float(through @ ranges.x.cpu().numpy() + weights @ self._offset)
        return best.status, best.value + fixed, point


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Limits:
    z_low: Vector
    z_high: Vector
    x_low: Vector
    x_high: Vector


def _limits(form: Blocks, ranges: Ranges, faces: Faces) -> _Limits:
    """Return the bounds of all arguments and states that a form of program has."""
    m, n = form.argument_size, form.state_size
    z_low, z_high = np.full(m, -np.inf), np.full(m, np.inf)
    if faces == "triangle":
        low, high = argument_bounds(form, ranges)
        slack = ROOM * (1.0 + np.maximum(np.abs(low), np.abs(high)))
        infinite = np.full(n, np.inf)
        return _Limits(
            z_low=low - slack, z_high=high + slack, x_low=-infinite, x_high=infinite
        )
    shape = (1, *form.network.input_shape)
    here = node_values(form.network, ranges.x.reshape(shape), form.states)
    centre = np.concatenate([here[i].flatten().cpu().numpy() for i in form.states])
    _, moved = absolute(form).forward(ranges.sigma.reshape(shape))
    parts = [moved[j].flatten().cpu().numpy() for j in range(len(form.states))]
    room = np.concatenate(parts) * (1.0 + ROOM)
    return _Limits(
        z_low=z_low, z_high=z_high, x_low=centre - room, x_high=centre + room
    )


def _links(form: Blocks, limits: _Limits, faces: Faces) -> Relaxed:
    """Return the rows between arguments and states."""
    shape = (form.argument_size, form.state_size)
    parts: list[Relaxed] = []
    for i, argument in enumerate(form.arguments):
        rows = slice(*form.argument_offsets[i : i + 2])
        states = slice(*form.state_offsets[argument.block : argument.block + 2])
        node = form.node(argument.block)
        bounds = None
        if faces == "triangle":
            bounds = (limits.z_low[rows], limits.z_high[rows])
        if isinstance(node, TwoSlope):
            parts.append(_two_slope(node, rows, states, shape, bounds))
        elif isinstance(node, Maximum):
            parts.append(_maximum(node, rows, states, shape, bounds))
    return Relaxed(
        z=csr_array(vstack([part.z for part in parts])),
        x=csr_array(vstack([part.x for part in parts])),
        low=np.concatenate([part.low for part in parts]),
        high=np.concatenate([part.high for part in parts]),
    )


def _two_slope(
    node: TwoSlope,
    rows: slice,
    states: slice,
    shape: tuple[int, int],
    bounds: tuple[Vector, Vector] | None,
) -> Relaxed:
    """Return ``x - slope z`` for both slopes and, between bounds, for the chord."""
    wide = torch.broadcast_to
    negative = wide(node.negative, node.shape).reshape(-1).double().cpu().numpy()
    positive = wide(node.positive, node.shape).reshape(-1).double().cpu().numpy()
    count = len(positive)
    convex = np.where(positive >= negative, 1.0, -1.0)
    slopes = [positive, negative]
    # convex: x is at least both lines; concave: at most both
    low = np.where(convex > 0, 0.0, -np.inf)
    high = np.where(convex > 0, np.inf, 0.0)
    lows, highs = [low, low], [high, high]
    if bounds is not None:
        least, most = bounds
        ends = [np.where(z > 0, positive * z, negative * z) for z in bounds]
        gap = most - least
        flat = gap <= 0
        slope = np.where(flat, 0.0, (ends[1] - ends[0]) / np.where(flat, 1.0, gap))
        # exact on one side of zero, where the chord is the function
        slope = np.where(least >= 0, positive, np.where(most <= 0, negative, slope))
        one = (least >= 0) | (most <= 0)
        offset = np.where(one, 0.0, ends[0] - slope * least)
        slopes.append(slope)
        lows.append(np.where(convex > 0, -np.inf, offset))
        highs.append(np.where(convex > 0, offset, np.inf))
    place = np.arange(count)
    z = [_placed(-s, place, place + rows.start, (count, shape[0])) for s in slopes]
    ones = np.ones(count)
    x = [_placed(ones, place, place + states.start, (count, shape[1])) for _ in slopes]
    return Relaxed(
        z=csr_array(vstack(z)),
        x=csr_array(vstack(x)),
        low=np.concatenate(lows),
        high=np.concatenate(highs),
    )


def _maximum(
    node: Maximum,
    rows: slice,
    states: slice,
    shape: tuple[int, int],
    bounds: tuple[Vector, Vector] | None,
) -> Relaxed:
    """Return ``x >= z_i`` and, between bounds, ``x <= sum z_i - sum l_i + max l_i``."""
    ragged = node.groups.ragged
    index, starts = ragged.index.cpu().numpy(), ragged.pointers.cpu().numpy()
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    count, groups = len(index), len(starts) - 1
    each = np.arange(count)
    z = [_placed(-np.ones(count), each, index + rows.start, (count, shape[0]))]
    x = [_placed(np.ones(count), each, group + states.start, (count, shape[1]))]
    lows, highs = [np.zeros(count)], [np.full(count, np.inf)]
    if bounds is not None:
        least, most = bounds[0][index], bounds[1][index]
        best = np.maximum.reduceat(least, starts[:-1])
        live = most > best[group]
        live |= least == best[group]
        total = np.bincount(group, weights=np.where(live, least, 0.0), minlength=groups)
        kept = each[live]
        z.append(
            _placed(
                -np.ones(len(kept)),
                group[kept],
                index[kept] + rows.start,
                (groups, shape[0]),
            )
        )
        place = np.arange(groups)
        x.append(
            _placed(np.ones(groups), place, place + states.start, (groups, shape[1]))
        )
        lows.append(np.full(groups, -np.inf))
        highs.append(best - total)
    return Relaxed(
        z=csr_array(vstack(z)),
        x=csr_array(vstack(x)),
        low=np.concatenate(lows),
        high=np.concatenate(highs),
    )


def _placed(
    values: Vector,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    shape: tuple[int, int],
) -> csr_array:
    return csr_array(coo_array((values, (rows, columns)), shape=shape))
