"""The whole statement about one input: which rows are equal, below, and tight."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.certificates.conditions import (
    Arguments,
    Conditions,
    arguments_at,
    clamped,
    fixed,
    joined,
    maxima,
    one_side,
    two_slopes,
)
from relulens.certificates.reading import leaves_of
from relulens.certificates.rounding import Array
from relulens.certificates.subjects import LayerMap, RegionMap, Weights
from relulens.certificates.system import Rows, System, rows_of
from relulens.certificates.target import Target, clamp_width, slopes
from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Maximum, Smooth, TwoSlope

Reading: TypeAlias = Literal["exact", "off", "on"]
Scope: TypeAlias = Literal["layer", "region"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Limits:
    """A set that the variable is known to lie in: a box, or ``rows x <= bounds``.

    Attributes:
        low: Lowest values [ins], or nothing.
        high: Highest values [ins], or nothing.
        rows: Rows [r, ins] of a polytope, or nothing.
        bounds: Its right-hand sides [r], or nothing.
    """

    low: Tensor | None = None
    high: Tensor | None = None
    rows: Tensor | None = None
    bounds: Tensor | None = None

    @property
    def box(self) -> bool:
        """Whether it is a box."""
        return self.low is not None and self.high is not None

    @property
    def finite(self) -> bool:
        """Whether it is a box with finite sides only."""
        if self.low is None or self.high is None:
            return False
        return bool(torch.isfinite(self.low).all() & torch.isfinite(self.high).all())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Statement:
    """Conditions at a point, as rows of a subject.

    Attributes:
        subject: Where the rows are.
        equal: Rows held with equality.
        below: Rows of inequalities.
        slack: How far each inequality is from equality; NaN if no point is known.
        right: Right-hand sides, equalities first, where features were given.
        boundary: Units whose argument is zero to rounding.
        settled: Whether the exact sign of every one of these is known.
        active: Number of equalities.
        one_of_many: Whether this is one piece of a union.
        point: The variable's value [ins].
    """

    subject: LayerMap | RegionMap
    equal: Rows
    below: Rows
    slack: Array
    right: Array
    boundary: Tensor
    settled: bool
    active: int
    one_of_many: bool
    point: Tensor

    @property
    def tight(self) -> NDArray[np.int64]:
        """Positions of the inequalities that hold with equality."""
        return np.flatnonzero(self.slack == 0)

    def cone(self) -> System:
        """Return the directions that never leave the set."""
        return System(subject=self.subject, equal=self.equal, below=self.below)

    def tangent(self) -> System:
        """Return the directions that stay in the set for a while."""
        tight = self.below.at(self.tight)
        return System(subject=self.subject, equal=self.equal, below=tight)


def subject_of(
    network: Network, target: Target, scope: Scope, x: Tensor, limits: Limits | None
) -> LayerMap | RegionMap:
    """Return where the rows of a question are."""
    rows = None if limits is None else limits.rows
    if scope == "layer":
        return LayerMap(network=network, node=target.argument, domain=rows)
    return RegionMap(network=network, node=target.argument, x=x, domain=rows)


def variable_at(network: Network, target: Target, scope: Scope, x: Tensor) -> Tensor:
    """Return the value of what the question is about, flat, for one input."""
    if scope == "region":
        return x.reshape(-1)
    leaves = leaves_of(network, target.argument)
    values = freeze(network, x, target.argument, keep=leaves).values
    return torch.cat([values[leaf].reshape(-1) for leaf in leaves])


def read_signs(found: Arguments, reading: Reading) -> NDArray[np.int8]:
    """Return the signs as they are to be read where they are zero to rounding."""
    if reading == "exact":
        known = np.where(found.settled == 2, 0, found.settled)
        return np.where(found.sign == 0, known, found.sign).astype(np.int8)
    return np.where(found.sign == 0, int(reading == "on"), found.sign).astype(np.int8)


def statement_at(
    network: Network,
    target: Target,
    subject: LayerMap | RegionMap,
    weights: Weights,
    x: Tensor,
    point: Tensor,
    *,
    limits: Limits | None,
    tol: float,
    reading: Reading = "exact",
) -> Statement:
    """Return the conditions that the features at ``x`` put on the variable.

    Args:
        network: The network, float64.
        target: The layer.
        subject: Where the rows are.
        weights: The rows as numbers.
        x: One input [1, *input_shape].
        point: The variable's value there [ins].
        limits: What the variable is known to satisfy.
        tol: An argument is zero to rounding below ``tol`` times its terms' sizes.
        reading: How such arguments are read.
    """
    parts: list[Conditions] = []
    start = weights.blocks.get(target.argument, 0)
    if isinstance(subject, RegionMap):
        parts.append(_region(network, weights, point.numpy(), tol, start))
    found = arguments_at(weights, slice(start, None), point.numpy(), tol)
    own = _layer(network, target, x, found, read_signs(found, reading), tol)
    parts.append(_moved(own, start))
    ties = isinstance(target.kind, TwoSlope)
    zero = np.flatnonzero((found.sign == 0) & ties)
    active = int(own.equal.size)
    unsettled = bool((found.settled[zero] == 2).any()) if len(zero) else False
    both = joined(parts)
    extra, extra_slack = domain_rows(weights, limits, point.numpy())
    return Statement(
        subject=subject,
        equal=rows_of(both.equal),
        below=rows_of(both.below, both.sign).with_rows(extra),
        slack=np.concatenate([both.slack, extra_slack]),
        right=np.zeros(0),
        boundary=torch.from_numpy(np.asarray(zero, dtype=np.int64)),
        settled=not unsettled,
        active=active,
        one_of_many=both.one_of_many,
        point=point,
    )


def _moved(part: Conditions, start: int) -> Conditions:
    return Conditions(
        equal=part.equal + start,
        below=part.below + start,
        sign=part.sign,
        slack=part.slack,
        one_of_many=part.one_of_many,
    )


def _layer(
    network: Network,
    target: Target,
    x: Tensor,
    found: Arguments,
    sign: NDArray[np.int8],
    tol: float,
) -> Conditions:
    match target.kind:
        case Affine() | Smooth():
            return fixed(found.value.size)
        case Maximum(groups=groups):
            winners = groups.largest(
                torch.from_numpy(found.value).reshape(1, *groups.in_shape)
            )[1]
            scale = tol * np.abs(found.value).max(initial=0.0)
            loose = np.full(found.value.size, scale)
            return maxima(found.value, groups, winners.reshape(-1).numpy(), loose)
        case TwoSlope() if target.upper is not None:
            width = clamp_width(network, target)
            over = width - found.value
            upper = np.sign(over).astype(np.int8)
            upper[np.abs(over) <= tol * (np.abs(width) + np.abs(found.value))] = 0
            return clamped(found.value, sign, width, upper)
        case TwoSlope():
            return two_slopes(found.value, sign, *slopes(target.kind))


def _region(
    network: Network, weights: Weights, point: Array, tol: float, end: int
) -> Conditions:
    """Return the inequalities of x's region, of all layers before this one."""
    found = arguments_at(weights, slice(0, end), point, tol)
    sign = read_signs(found, "exact")
    sides = one_side(found.value, sign)
    direction = sides.sign.copy()
    kept = np.ones(end, dtype=bool)
    starts = sorted((start, index) for index, start in weights.blocks.items())
    for (start, index), (stop, _) in pairwise(starts):
        node = network.nodes[index]
        if isinstance(node, Maximum):
            direction[start:stop] = 1.0
        if isinstance(node, TwoSlope):
            kept[start:stop] = (node.negative != node.positive).all().item()
    return Conditions(
        equal=sides.equal,
        below=sides.below[kept],
        sign=direction[kept],
        slack=sides.slack[kept],
    )


def domain_rows(
    weights: Weights, limits: Limits | None, point: Array
) -> tuple[Rows, Array]:
    """Return the rows of what the variable is known to satisfy, and their slack."""
    none = np.zeros(0, dtype=np.int64)
    if limits is None:
        return rows_of(none), np.zeros(0)
    if limits.low is not None and limits.high is not None:
        low, high = limits.low.numpy(), limits.high.numpy()
        place = weights.outs + np.arange(weights.ins)
        above, under = np.isfinite(high), np.isfinite(low)
        rows = rows_of(place[above]).with_rows(rows_of(place[under], -1.0))
        return rows, np.concatenate([(high - point)[above], (point - low)[under]])
    if limits.rows is None or limits.bounds is None:
        return rows_of(none), np.zeros(0)
    matrix, bounds = limits.rows.numpy(), limits.bounds.numpy()
    place = weights.outs + weights.ins + np.arange(matrix.shape[0])
    slack = bounds - matrix @ point
    size = np.abs(matrix) @ np.abs(point) + np.abs(bounds)
    return rows_of(place), np.where(np.abs(slack) <= 1e-14 * size, 0.0, slack)
