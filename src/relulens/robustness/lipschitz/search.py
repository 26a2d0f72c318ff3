"""Branch and bound for the largest slope: boxes or signs, the loosest first."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from relulens.graph.domain import Box
from relulens.graph.freeze import Frozen
from relulens.graph.nodes import TwoSlope
from relulens.regions.enumeration import linear_regions
from relulens.robustness.lipschitz.boxes import Evaluated, evaluated
from relulens.robustness.lipschitz.climb import Steepest, batch, climb, drawn
from relulens.robustness.lipschitz.gates import Gates
from relulens.robustness.lipschitz.patterns import THIN, inside, patterns
from relulens.robustness.lipschitz.problem import Problem

BISECTED = 6
"""Most free entries of the input for which boxes are bisected; else signs are split."""

LEAF = 6.0
"""Logarithm, base 2, of the most patterns of a box that are tried one by one."""

ENUMERATED_UNITS = 64
"""Most entries of the state for which it is tried to list all regions."""

REGIONS_A_SECOND = 10_000
"""How many are asked for in the time that is left; a few times more would be done."""

PATIENCE = 0.25
"""Share of the time before all regions are listed."""

ROUNDING = 1e-12
"""Relative difference below which two slopes count as equal."""


@dataclass(slots=True, eq=False)
class Open:
    """Parts of the box that are not closed yet.

    Attributes:
        low: Lowest inputs [M, *input_shape].
        high: Highest inputs.
        upper: Bounds [M].
        side: Which entry, or which unit of all two-slope units, is split next [M].
        splits: Signs asked of units, by node [M, *shape]; empty if boxes are bisected.
    """

    low: Tensor
    high: Tensor
    upper: Tensor
    side: Tensor
    splits: dict[int, Tensor]

    def take(self, places: Tensor) -> "Open":
        """Return some of the parts."""
        return Open(
            low=self.low[places],
            high=self.high[places],
            upper=self.upper[places],
            side=self.side[places],
            splits={i: part[places] for i, part in self.splits.items()},
        )

    def joined(self, other: "Open") -> "Open":
        """Return these parts and others."""
        return Open(
            low=torch.cat([self.low, other.low]),
            high=torch.cat([self.high, other.high]),
            upper=torch.cat([self.upper, other.upper]),
            side=torch.cat([self.side, other.side]),
            splits={
                i: torch.cat([part, other.splits[i]]) for i, part in self.splits.items()
            },
        )


def nothing() -> Open:
    """Return no parts."""
    none = torch.zeros(0, dtype=torch.float64)
    side = torch.zeros(0, dtype=torch.int64)
    return Open(low=none, high=none, upper=none, side=side, splits={})


@dataclass(slots=True, eq=False)
class Search:
    """A branch and bound.

    Attributes:
        problem: What is asked.
        gap: Largest ratio of the bounds that ends it.
        deadline: When it ends, on ``time.monotonic``.
        steepest: The lower bound.
        source: Of random points.
        closed: Largest bound of a part that was closed.
        first: Bound of the whole box, before it is divided.
        interval: The same from interval slopes.
        rounding: What rounding can do to the slope of a single pattern.
        boxes: Parts bounded.
        programs: Linear programs solved.
        thin: Patterns left out because their regions are thinner than ``THIN``.
        open: What is left.
        absent: Patterns that do not occur in the box.
        enumerated: Whether it was tried to list all regions.
        regions: How many there are, if that ended.
    """

    problem: Problem
    gap: float
    deadline: float
    steepest: Steepest
    source: torch.Generator
    closed: float = 0.0
    first: float = math.inf
    interval: float = math.inf
    rounding: float = 0.0
    boxes: int = 0
    programs: int = 0
    thin: int = 0
    open: Open = field(default_factory=nothing)
    absent: set[bytes] = field(default_factory=set)
    enumerated: bool = False
    regions: int = 0
    _enumerate_at: float = math.inf

    @property
    def limit(self) -> float:
        """Bounds up to this one need no more work."""
        return self.steepest.value * max(self.gap, 1.0 + ROUNDING)

    @property
    def upper(self) -> float:
        """The upper bound so far."""
        left = self.open.upper
        return max(self.closed, float(left.max()) if left.numel() else 0.0)

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Bound the whole box, climb, and divide until the gap or the time is up."""
        problem = self.problem
        low, high = problem.low[None], problem.high[None]
        splits = {
            readers[0]: torch.zeros(
                (1, *problem.network.nodes[source].shape),
                dtype=torch.int8,
                device=low.device,
            )
            for source, readers in _readers(problem).items()
            if problem.width > BISECTED
        }
        climb(self.steepest, self.source, 64)
        whole = torch.full_like(low.flatten()[:1], math.inf)
        self.open = self._bounded(low, high, splits, whole)
        if self.upper > self.limit:
            climb(self.steepest, self.source, 4096 if batch(problem) >= 256 else 256)
        self._enumerate_at = time.monotonic() + PATIENCE * self._left()
        while self._close() and self._left() > 0:
            if self._all_regions():
                return
            some = self._taken()
            children = self._bounded(*_divided(some), some.upper.repeat(2))
            self.open = self.open.joined(children)
            if progress is not None:
                progress(self.boxes, self.boxes + self.open.upper.numel())

    def _left(self) -> float:
        """Return the seconds that are left."""
        return self.deadline - time.monotonic()

    def _all_regions(self) -> bool:
        """Enumerate all regions where that is quicker; tell whether it was done."""
        problem = self.problem
        if self.enumerated or time.monotonic() < self._enumerate_at:
            return False
        self.enumerated = True
        few = problem.network.state_size <= ENUMERATED_UNITS
        if not (few and bool(problem.free.all()) and problem.width <= BISECTED):
            return False
        most = int(REGIONS_A_SECOND * self._left())
        box = Box(problem.low, problem.high)
        found = linear_regions(problem.network, box, budget=max(1, most))
        if not found.complete:
            return False
        self.regions = found.count
        self.closed = float(self.steepest.offer(found.points).max())
        self.open = self.open.take(torch.zeros(0, dtype=torch.int64))
        return True

    def _close(self) -> bool:
        """Close what is low enough; tell whether anything is left."""
        done = self.open.upper <= self.limit
        stuck = self.open.side < 0
        shut = done | stuck
        if bool(shut.any()):
            self.closed = max(self.closed, float(self.open.upper[shut].max()))
            self.open = self.open.take((~shut).nonzero().flatten())
        return self.open.upper.numel() > 0 and self.closed <= self.limit

    def _taken(self) -> Open:
        """Take the loosest parts out of those that are open."""
        order = self.open.upper.argsort(descending=True)
        count = max(1, batch(self.problem) // 4)
        some = self.open.take(order[:count])
        self.open = self.open.take(order[count:])
        return some

    def _bounded(
        self, low: Tensor, high: Tensor, splits: dict[int, Tensor], known: Tensor
    ) -> Open:
        """Bound parts, try a point of each, and close those with few patterns."""
        problem = self.problem
        found = evaluated(problem, low, high, splits)
        self.boxes += low.shape[0]
        if self.boxes == 1:
            self.first, self.interval = float(found.upper), float(found.interval)
            self.rounding = float(found.rounding)
        else:
            self.steepest.offer(drawn(low, high, self.source))
        upper = torch.minimum(torch.where(found.empty, -1.0, found.upper), known)
        few = (found.choices <= LEAF) & (upper > self.limit)
        places = few.nonzero().flatten().tolist()
        if places:
            upper[few] = torch.minimum(upper[few], self._leaves(found.gates, places))
        side = _sides(problem, found, low, high, splits)
        # A box whose patterns were all tried has nothing left to split.
        side = torch.where(few | found.empty, -1, side)
        return Open(low=low, high=high, upper=upper, side=side, splits=splits)

    def _leaves(self, can: Gates, places: list[int]) -> Tensor:
        """Return bounds of boxes whose patterns are tried one by one."""
        several = (patterns(self.problem, can, place) for place in places)
        bounds = [
            self._occurring(frozen, self.problem.norms(frozen)) for frozen in several
        ]
        return torch.tensor(bounds, dtype=torch.float64, device=self.problem.low.device)

    def _occurring(self, frozen: Frozen, norms: Tensor) -> float:
        """Return the largest slope of the patterns that may occur."""
        for place in norms.argsort(descending=True).tolist():
            value = float(norms[place])
            if value <= self.limit or not self._absent(frozen, place):
                return value
        return -1.0

    def _absent(self, frozen: Frozen, place: int) -> bool:
        """Tell whether a pattern has no region in the box; if it has, stand in it."""
        key = b"".join(
            part[place].numpy(force=True).tobytes() for part in frozen.gates.values()
        )
        if key in self.absent:
            return True
        self.programs += 1
        found = inside(self.problem, frozen, place)
        if found.radius <= THIN:
            self.thin += found.radius >= -THIN
            self.absent.add(key)
            return True
        if found.point is not None:
            self.steepest.offer(found.point[None])
        return False


def _readers(problem: Problem) -> dict[int, list[int]]:
    """Return the two-slope nodes that read each node: they share their signs."""
    found: dict[int, list[int]] = {}
    for i, node in problem.region.nonlinear():
        if isinstance(node, TwoSlope):
            found.setdefault(node.source, []).append(i)
    return found


def _sides(
    problem: Problem,
    found: Evaluated,
    low: Tensor,
    high: Tensor,
    splits: dict[int, Tensor],
) -> Tensor:
    """Return which entry or unit to split, -1 if there is none."""
    if not splits:
        reach = (high - low).flatten(1)
        # Where no unit is open, the longest side is as good as any.
        score = (found.pulls + torch.finfo(reach.dtype).tiny) * reach
        best, side = score.max(1)
        return torch.where(reach.gather(1, side[:, None])[:, 0] > 0, side, -1)
    parts = [
        torch
        .stack([found.stakes[i] * found.gates.open[i] for i in readers])
        .sum(0)
        .flatten(1)
        * (splits[readers[0]].flatten(1) == 0)
        for readers in _readers(problem).values()
    ]
    best, side = torch.cat(parts, 1).max(1)
    return torch.where(best > 0, side, -1)


def _divided(some: Open) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
    """Return both halves of every part."""
    count = some.side.numel()
    low, high = (
        some.low.repeat(2, *[1] * (some.low.ndim - 1)),
        some.high.repeat(2, *[1] * (some.low.ndim - 1)),
    )
    every = torch.arange(count, device=low.device)
    if not some.splits:
        first, last = low.flatten(1), high.flatten(1)
        middle = (some.low.flatten(1) + some.high.flatten(1)).gather(
            1, some.side[:, None]
        )[:, 0] / 2
        last[every, some.side] = middle
        first[every + count, some.side] = middle
        return first.reshape(low.shape), last.reshape(high.shape), {}
    splits = {i: torch.cat([part, part]) for i, part in some.splits.items()}
    start = 0
    for signs in splits.values():
        flat = signs.flatten(1)
        mine = (some.side >= start) & (some.side < start + flat.shape[1])
        rows, units = every[mine], some.side[mine] - start
        flat[rows, units] = 1
        flat[rows + count, units] = -1
        start += flat.shape[1]
    return low, high, splits
