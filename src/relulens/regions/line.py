"""One straight piece of input space pushed through a network, kink by kink."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.freeze import affine_value, two_slope_value
from relulens.graph.linear_map import LinearMap
from relulens.graph.network import last_uses
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.numerics.kernels import line_signs
from relulens.regions.line_exact import LineSigns
from relulens.regions.line_maximum import Changes, Contest, changes
from relulens.regions.line_rounding import (
    ROUND,
    Limits,
    on_the_line,
    through_affine,
    through_maximum,
    through_two_slope,
)
from relulens.regions.slice_mesh import Origin

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TRUST = 1e-6
"""Proved rounding, in parts of the largest value, that is followed."""

_DECISIONS = 8
"""Exact decisions that must be affordable for proved bounds to be followed."""

_ROUGH = 1e-6
"""Error of a kink's parameter past which it is found exactly."""

_TINY = 1e-290


class TooManyError(Exception):
    """A piece has more kinks than are kept at once; it is to be halved."""


@dataclass(slots=True, eq=False, kw_only=True)
class Piece:
    """The line ``start + t direction`` between two parameters, on its way through.

    Attributes:
        region: The network up to the node asked about.
        start: Where t is 0 [*input].
        direction: Change for one unit of t [*input].
        noise: For every nonlinear node, what rounding of its argument is taken for
            where the proved bound is too large to tell anything [size].
        signs: Decides signs and orders that rounding leaves open.
        absolutes: Absolute maps made so far, by the identity of the map.
        most: Most kinks kept at once.
        t: Parameters so far, ends included.
        node: The node that made each inner kink; -1 at the ends.
        unit: The unit that made it.
        number: Numbers of the kinks in ``signs``.
        off: How far each parameter is off at most.
        proved: Whether the proved bounds were followed everywhere.
        doubtful: Signs and orders that were left open.
        first: Codes of every node on the first interval, packed.
        last: Codes on the last one.
    """

    region: Polyhedral
    start: Tensor
    direction: Tensor
    noise: dict[int, Floats]
    signs: LineSigns
    absolutes: dict[int, LinearMap]
    most: int
    t: Floats
    node: Integers = field(default_factory=lambda: np.array([-1, -1]))
    unit: Integers = field(default_factory=lambda: np.array([-1, -1]))
    number: Integers = field(default_factory=lambda: np.arange(2))
    off: Floats = field(default_factory=lambda: np.zeros(2))
    proved: bool = True
    doubtful: int = 0
    first: dict[int, Integers] = field(default_factory=dict)
    last: dict[int, Integers] = field(default_factory=dict)
    _values: dict[int, Tensor] = field(default_factory=dict)
    _limits: dict[int, Limits] = field(default_factory=dict)
    _settled: dict[int, bool] = field(default_factory=dict)

    def run(self) -> None:
        """Carry the piece through all nodes.

        Raises:
            TooManyError: It has more than ``most`` kinks.
        """
        nodes = self.region.network.nodes
        order = sorted(self.region.nodes)
        free = last_uses(nodes, frozenset(order))
        for index in order:
            self._step(index)
            for spent in free.get(index, ()):
                del self._values[spent], self._limits[spent]

    def _step(self, index: int) -> None:
        """Give one node its value, adding its kinks."""
        node = self.region.nodes[index]
        match node:
            case Input():
                value = self._points()
                limits = on_the_line(self.start, self.direction)
            case Affine():
                value = affine_value(node, self._values, len(self.t))
                limits = through_affine(node, self._limits, self.absolutes)
            case TwoSlope():
                limits = self._bend(index, node)
                value = two_slope_value(node, self._values[node.source])
            case Maximum():
                self._compare(index, node)
                value = node.groups.largest(self._values[node.source])[0]
                limits = through_maximum(node, self._limits[node.source])
        # Zeros of two-slope nodes are zeros; sums may round to them.
        source = node.source if isinstance(node, Maximum) else -1
        self._settled[index] = isinstance(node, TwoSlope) or (
            self._settled.get(source, False)
        )
        self._values[index] = value.contiguous()
        self._limits[index] = limits

    def _points(self) -> Tensor:
        t = torch.from_numpy(self.t).reshape(-1, *[1] * self.start.ndim)
        return self.start + t * self.direction

    def _flat(self, index: int) -> Floats:
        return self._values[index].reshape(len(self.t), -1).numpy()

    def _bounds(self, index: int, source: int) -> tuple[Floats, Floats]:
        """Return errors of a node's entries at exact parameters, and steepness."""
        limits = self._limits[source]
        error, steep = limits.error.flatten().numpy(), limits.steep.flatten().numpy()
        bound = error + np.median(self.off) * steep
        noise = self.noise[index]
        loose = bound > np.maximum(TRUST * limits.size.flatten().numpy(), noise)
        # What proved bounds leave open is much more than what rounding does.
        loose |= not self.signs.affordable(source, _DECISIONS)
        if loose.any():
            self.proved = False
            error, steep = np.where(loose, noise, error), np.where(loose, 0.0, steep)
        return error, steep

    def _bend(self, index: int, node: TwoSlope) -> Limits:
        """Add the kinks of a two-slope node, and return the bounds of its value."""
        bends = (node.positive != node.negative).expand(node.shape).flatten().numpy()
        z = self._flat(node.source)
        error, steep = self._bounds(index, node.source)
        noise = self.noise[index]
        low, high = self._decide(z, node.source, bends, (error, steep, noise))
        for codes, here, after in ((self.first, 0, 1), (self.last, -1, -2)):
            on = (z[here] > 0) | ((z[here] == 0) & (z[after] > 0))
            codes[index] = (on & bends).astype(np.int64)
        read = self._limits[node.source]
        limits = through_two_slope(node, read, *map(torch.from_numpy, (low, high)))
        interval, unit = line_signs.sign_changes(z, bends).T
        a, b = np.abs(z[interval, unit]), np.abs(z[interval + 1, unit])
        reach = 2 * error[unit]
        reach += (self.off[interval] + self.off[interval + 1]) * steep[unit]
        found = Changes(
            interval=interval,
            share=a / (a + b),
            unit=unit,
            other=np.full(len(unit), -1),
            gap=a + b,
            reach=reach,
            noise=2 * noise[unit],
        )
        self._insert(index, node.source, found)
        return limits

    def _worth(
        self, z: Floats, doubts: Integers, source: int, noise: Floats
    ) -> list[list[int]]:
        """Return the doubts to be decided: all, or if that takes long, the likely."""
        if not self.signs.affordable(source, len(doubts)):
            self.proved = False
            doubts = doubts[np.abs(z[*doubts.T]) <= noise[doubts[:, 1]]]
        return doubts.tolist()

    def _decide(
        self,
        z: Floats,
        source: int,
        bends: Flags,
        bounds: tuple[Floats, Floats, Floats],
    ) -> tuple[Floats, Floats]:
        """Give arguments in doubt the sign they have; return least and largest ones."""
        error, steep, noise = bounds
        asked = bends & (error + steep > 0)
        error, steep = np.where(asked, error, -1.0), np.where(asked, steep, 0.0)
        low, high, doubts = line_signs.ranges_and_doubts(z, error, steep, self.off)
        for k, u in self._worth(z, doubts, source, noise):
            value = z[k, u]
            sign = self.signs.sign(int(self.number[k]), source, u)
            if sign is None and abs(value) > noise[u]:
                self.proved, sign = False, 1 if value > 0 else -1
            self.doubtful += sign is None
            sign = 0 if sign is None else sign
            z[k, u] = sign * max(sign * value, _TINY)
            low[u], high[u] = min(low[u], z[k, u]), max(high[u], z[k, u])
        return low, high

    def _compare(self, index: int, node: Maximum) -> None:
        contest = Contest(
            node=node,
            source=node.source,
            values=self._flat(node.source),
            bounds=self._bounds(index, node.source),
            noise=self.noise[index],
            off=self.off,
            number=self.number,
            settled=self._settled[node.source],
        )
        found, self.first[index], self.last[index], left = changes(contest, self.signs)
        self.proved = self.proved and not left
        self._insert(index, node.source, found)

    def _insert(self, index: int, source: int, found: Changes) -> None:
        """Add kinks, those at one place once, and carry values there."""
        if not len(found.interval):
            return
        found = found.sorted()
        slack = found.slack()
        head = self._heads(source, found, slack)
        interval, unit = found.interval[head], found.unit[head]
        if len(self.t) + len(interval) > self.most:
            raise TooManyError
        made = Origin(
            first=self.number[interval],
            second=self.number[interval + 1],
            node=np.full(len(interval), source),
            unit=unit,
            other=found.other[head],
        )
        number = self.signs.add(made)
        slack = slack[head]
        ends = self.off[interval], self.off[interval + 1]
        along = self.t[interval + 1] - self.t[interval]
        rough = np.flatnonzero(slack * along > _ROUGH)
        share = self._shares(source, number, rough, (found.share[head], slack))
        t = self.t[interval] + share * along
        off = np.maximum(*ends) + slack * (along + ends[0] + ends[1])
        place = np.insert(np.arange(len(self.t)), interval + 1, -1)
        fresh, old = np.nonzero(place < 0)[0], np.nonzero(place >= 0)[0]
        self.t = np.insert(self.t, interval + 1, t)
        self.node = np.insert(self.node, interval + 1, index)
        self.unit = np.insert(self.unit, interval + 1, unit)
        self.number = np.insert(self.number, interval + 1, number)
        self.off = np.insert(self.off, interval + 1, off + ROUND * np.abs(t))
        self._mix(interval, share, fresh, old)
        # All that switch at a kink are zero there, which mixing only rounds to.
        alone = found.other < 0
        at = fresh[np.cumsum(head) - 1]
        self._flat(source)[at[alone], found.unit[alone]] = 0.0

    def _shares(
        self, source: int, number: Integers, rough: Integers, at: tuple[Floats, Floats]
    ) -> Floats:
        """Return where new kinks lie in their intervals, the roughest ones exactly."""
        share, slack = at
        if self.signs.affordable(source, len(rough)):
            for i in rough.tolist():
                exact = self.signs.share(int(number[i]))
                if exact is not None:
                    share[i], slack[i] = exact, 4 * ROUND
        return np.clip(share, 1e-300, 1.0 - 2.0**-53)

    def _heads(self, source: int, found: Changes, slack: Floats) -> Flags:
        """Put kinks in doubt in order, and tell which are the first at their place."""
        interval, share = found.interval, found.share
        same = interval[1:] == interval[:-1]
        starts = np.flatnonzero(np.append(True, ~same))
        widest = np.maximum.reduceat(slack, starts)[
            np.cumsum(np.append(True, ~same)) - 1
        ]
        close = same & (share[1:] - share[:-1] <= slack[:-1] + widest[1:])
        head = np.ones(len(share), bool)
        doubts = np.flatnonzero(close)
        if not len(doubts):
            return head
        for run in np.split(doubts, np.flatnonzero(np.diff(doubts) > 1) + 1):
            entries = np.append(run, run[-1] + 1)
            i = int(interval[run[0]])
            ends = int(self.number[i]), int(self.number[i + 1])
            pairs = found.unit[entries], found.other[entries]
            sorted_ = self.signs.order(ends, source, pairs)
            if sorted_ is None:
                self.proved = False
                near = found.near(entries)
                self.doubtful += int(near.sum())
                head[entries[1:]] = ~near
                continue
            order, behind = sorted_
            found.reorder(entries, order)
            share[entries] = np.maximum.accumulate(share[entries])
            slack[entries] = slack[entries].max()
            head[entries[1:]] = behind[1:]
        return head

    def _mix(
        self, interval: Integers, share: Floats, fresh: Integers, old: Integers
    ) -> None:
        """Carry all values that are still read to the new kinks."""
        left, right = torch.from_numpy(interval), torch.from_numpy(interval + 1)
        for node, value in self._values.items():
            weight = torch.from_numpy(share).reshape(-1, *[1] * (value.ndim - 1))
            wide = value.new_empty((len(self.t), *value.shape[1:]))
            wide[torch.from_numpy(old)] = value
            wide[torch.from_numpy(fresh)] = torch.lerp(
                value[left], value[right], weight
            )
            self._values[node] = wide
            self._limits[node] = self._limits[node].mixed()
