"""One straight piece of input space pushed through a network, kink by kink."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.freeze import affine_value, two_slope_value
from relulens.graph.network import last_uses
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral

Kinks = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


class TooManyError(Exception):
    """A piece has more kinks than are kept at once; it is to be halved."""


@dataclass(slots=True, eq=False, kw_only=True)
class Piece:
    """The line ``start + t direction`` between two parameters, on its way through.

    Attributes:
        region: The network up to the node asked about.
        start: Where t is 0 [*input].
        direction: Change for one unit of t [*input].
        noise: For every nonlinear node, what of its argument rounding may be [size].
        most: Most kinks kept at once.
        t: Parameters so far, ends included.
        node: The node that made each inner kink; -1 at the ends.
        unit: The unit that made it.
        doubtful: Arguments so near zero at a kink that they count as zero there.
        first: Codes of every node on the first interval, packed.
        last: Codes on the last one.
    """

    region: Polyhedral
    start: Tensor
    direction: Tensor
    noise: dict[int, NDArray[np.float64]]
    most: int
    t: NDArray[np.float64]
    node: NDArray[np.int64]
    unit: NDArray[np.int64]
    doubtful: int = 0
    first: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    last: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    _values: dict[int, Tensor] = field(default_factory=dict)

    def run(self) -> None:
        """Carry the piece through all nodes.

        Raises:
            TooManyError: It has more than ``most`` kinks.
        """
        nodes = self.region.network.nodes
        order = sorted(self.region.nodes)
        free = last_uses(nodes, frozenset(order))
        for index in order:
            node = self.region.nodes[index]
            match node:
                case Input():
                    value = self._points()
                case Affine():
                    value = affine_value(node, self._values, len(self.t))
                case TwoSlope():
                    self._bend(index, node)
                    value = two_slope_value(node, self._values[node.source])
                case Maximum():
                    self._compare(index, node)
                    value = node.groups.largest(self._values[node.source])[0]
            self._values[index] = value
            for spent in free.get(index, ()):
                del self._values[spent]

    def _points(self) -> Tensor:
        t = torch.from_numpy(self.t).reshape(-1, *[1] * self.start.ndim)
        return self.start + t * self.direction

    def _flat(self, index: int) -> NDArray[np.float64]:
        return self._values[index].reshape(len(self.t), -1).numpy()

    def _bend(self, index: int, node: TwoSlope) -> None:
        bends = (node.positive != node.negative).expand(node.shape).flatten().numpy()
        z = self._flat(node.source)
        tau = self.noise[index]
        sign = np.where(np.abs(z) <= tau, 0, np.sign(z)).astype(np.int8)
        crossed = sign[:-1] * sign[1:] < 0
        interval, unit = np.nonzero(crossed & bends)
        a, b = np.abs(z[interval, unit]), np.abs(z[interval + 1, unit])
        inner = (sign == 0) & bends & (z != 0)
        self.doubtful += int(inner[1:-1].sum()) + int(inner[[0, -1]].sum())
        self._insert(index, (interval, a / (a + b), unit), (a + b, tau[unit]))
        after = self._flat(node.source)
        for codes, pair in ((self.first, (0, 1)), (self.last, (-2, -1))):
            level = after[pair[0]] + after[pair[1]]
            codes[index] = ((level > tau) & bends).astype(np.int64)

    def _compare(self, index: int, node: Maximum) -> None:
        table, real = (part.numpy() for part in node.groups.ragged.padded())
        z = self._flat(node.source)
        values = np.where(real, z[:, table], -np.inf)
        tau = self.noise[index]
        winner = values.argmax(axis=2)
        most = values.max(axis=2)

        def at(rows: slice, who: NDArray[np.int64]) -> NDArray[np.float64]:
            return np.take_along_axis(values[rows], who[..., None], 2)[..., 0]

        before, after = slice(None, -1), slice(1, None)
        stays = at(after, winner[before]) >= most[after] - tau
        stays |= at(before, winner[after]) >= most[before] - tau
        found = [
            (i, share, table[g, place], speed, tau[g])
            for i, g in zip(*np.nonzero(~stays), strict=True)
            for share, place, speed in _envelope(
                values[i, g], values[i + 1, g], winner[i, g], tau[g]
            )
        ]
        table_ = np.array(found).reshape(-1, 5)
        whole = table_.astype(np.int64)
        kinks = (whole[:, 0], table_[:, 1], whole[:, 2])
        self._insert(index, kinks, (table_[:, 3], table_[:, 4]))
        z = self._flat(node.source)
        for codes, pair in ((self.first, (0, 1)), (self.last, (-2, -1))):
            level = np.where(real, (z[pair[0]] + z[pair[1]])[table], -np.inf)
            # An earlier entry that is as large to rounding wins.
            near = level >= level.max(axis=1, keepdims=True) - tau[:, None]
            codes[index] = table[np.arange(len(table)), near.argmax(axis=1)]

    def _insert(
        self,
        index: int,
        kinks: Kinks,
        sizes: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        """Add kinks, those that coincide to rounding once, and carry values there."""
        interval, share, unit = kinks
        if not len(interval):
            return
        order = np.lexsort((share, interval))
        interval, share, unit = interval[order], share[order], unit[order]
        speed, tau = (size[order] for size in sizes)
        same = interval[1:] == interval[:-1]
        close = (share[1:] - share[:-1]) * speed[1:] <= 2 * tau[1:]
        doubled = np.concatenate([[False], same & close])
        self.doubtful += int(doubled.sum())
        kept = ~doubled
        interval, share, unit = interval[kept], share[kept], unit[kept]
        if len(self.t) + len(interval) > self.most:
            raise TooManyError
        t = self.t[interval] + share * (self.t[interval + 1] - self.t[interval])
        place = np.insert(np.arange(len(self.t)), interval + 1, -1)
        fresh = np.nonzero(place < 0)[0]
        old = np.nonzero(place >= 0)[0]
        self.t = np.insert(self.t, interval + 1, t)
        self.node = np.insert(self.node, interval + 1, index)
        self.unit = np.insert(self.unit, interval + 1, unit)
        left, right = torch.from_numpy(interval), torch.from_numpy(interval + 1)
        for node, value in self._values.items():
            weight = torch.from_numpy(share).reshape(-1, *[1] * (value.ndim - 1))
            wide = value.new_empty((len(self.t), *value.shape[1:]))
            wide[torch.from_numpy(old)] = value
            wide[torch.from_numpy(fresh)] = torch.lerp(
                value[left], value[right], weight
            )
            self._values[node] = wide


def _envelope(
    low: NDArray[np.float64], high: NDArray[np.float64], first: int, tau: float
) -> list[tuple[float, int, float]]:
    """Return where on an interval another line takes over, which, and how fast."""
    real = np.isfinite(low)
    slope = np.where(real, high, 0.0) - np.where(real, low, 0.0)
    at, who = 0.0, int(first)
    found: list[tuple[float, int, float]] = []
    # A tie at either end is no kink inside.
    while high[who] < high.max() - tau:
        steeper = real & (slope > slope[who])
        if not steeper.any():
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            meets = (low[who] - low) / (slope - slope[who])
        meets = np.where(steeper, np.maximum(meets, at), np.inf)
        soonest = meets.min()
        if soonest >= 1.0:
            break
        tied = steeper & (meets <= soonest)
        nxt = int(np.where(tied, slope, -np.inf).argmax())
        speed = float(slope[nxt] - slope[who])
        if soonest * speed > tau:
            found.append((float(soonest), nxt, speed))
        at, who = float(soonest), nxt
    return found
