"""The nearest change of a decision, by a walk over regions, the nearest first.

A queue holds regions with lower bounds of their distances. Whatever changes the
decision lies in a region that is reached from the input's own one over faces no
farther away; so once no bound is below the nearest change found, that one is nearest.
"""

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import SolverError
from relulens.graph.freeze import Frozen, freeze
from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral
from relulens.robustness.lipschitz.operator_norms import Norm
from relulens.robustness.lipschitz.patterns import affine_forms, flips, inequalities
from relulens.robustness.radius.distance import (
    Polyhedron,
    length,
    row_norms,
    shortest_step,
)
from relulens.robustness.radius.margins import Decision

EDGE = 1e-9
"""Relative error that the distances of programs are trusted to keep."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Question:
    """One input and what is asked about it.

    Attributes:
        network: The network, float64.
        region: Its nodes.
        x: The input [*input_shape].
        decision: What holds there.
        norm: What is near.
        walls: Inequalities of the domain for steps from the input.
    """

    network: Network
    region: Polyhedral
    x: Tensor
    decision: Decision
    norm: Norm
    walls: Polyhedron

    def moved(self, step: NDArray[np.float64]) -> Tensor:
        """Return the input after a step."""
        change = torch.from_numpy(np.ascontiguousarray(step)).to(self.x.device)
        return self.x + change.reshape(self.x.shape)


@dataclass(slots=True, eq=False)
class Walk:
    """A walk.

    Attributes:
        question: What is asked.
        best: Distance of the nearest change of the decision found.
        step: The step there, if any was found.
        least: No change is nearer than this; infinite if there is none.
        regions: Regions that were walked over.
        failed: Least bound of a region whose program was not solved.
        ended: Whether no region is left that is nearer than ``best``.
    """

    question: Question
    best: float = float("inf")
    step: NDArray[np.float64] | None = None
    least: float = 0.0
    regions: int = 0
    failed: float = float("inf")
    ended: bool = False
    _queue: list[tuple[float, int, bool, dict[int, Tensor]]] = field(
        default_factory=list
    )
    _seen: set[bytes] = field(default_factory=set)
    _pushed: int = 0

    def run(self, deadline: float, most: int) -> None:
        """Walk until the nearest change is known, or time or regions run out."""
        question = self.question
        start = freeze(question.network, question.x[None], question.region.end)
        self._seen.add(_key(start.gates))
        self._push(0.0, False, dict(start.gates))
        while self._queue:
            self.least = min(self._queue[0][0], self.failed, self.best)
            late = time.monotonic() >= deadline or self.regions >= most
            if self._queue[0][0] >= self.best:
                break
            if late:
                return
            bound, _, exact, gates = heapq.heappop(self._queue)
            self._visit(bound, exact, gates)
        self.least = min(self.failed, self.best)
        self.ended = True

    def _push(self, bound: float, exact: bool, gates: dict[int, Tensor]) -> None:
        if bound < self.best:
            self._pushed += 1
            heapq.heappush(self._queue, (bound, self._pushed, exact, gates))

    def _visit(self, bound: float, exact: bool, gates: dict[int, Tensor]) -> None:
        """Measure a region's distance; once that is the least bound, look into it."""
        question = self.question
        one = Frozen(
            network=question.network,
            x=question.x[None],
            end=question.region.end,
            gates=gates,
            arguments={},
            values={},
        )
        free = torch.ones(
            question.x.numel(), dtype=torch.bool, device=question.x.device
        )
        reach = torch.ones(question.x.numel(), dtype=torch.float64, device=free.device)
        forms = affine_forms(question.region, one, free, question.x, reach)
        closed, count = self._closed(one, forms)
        if not exact:
            found = self._distance(closed, bound)
            if found is None:
                return
            if self._queue and found * (1 - EDGE) > self._queue[0][0]:
                self._push(found * (1 - EDGE), True, gates)
                return
        self.regions += 1
        self._changes(closed, forms[question.region.end].flatten(1), bound)
        self._neighbours(one, closed, count)

    def _closed(self, one: Frozen, forms: dict[int, Tensor]) -> tuple[Polyhedron, int]:
        """Return the region within the domain, and how many rows are its own."""
        walls = self.question.walls
        rows, right = inequalities(self.question.region, one, forms)
        norms = row_norms(rows, self.question.norm)
        closed = Polyhedron(
            rows=np.concatenate([rows, walls.rows]),
            right=np.concatenate([right, walls.right]),
            norms=np.concatenate([norms, walls.norms]),
        )
        return closed, len(rows)

    def _distance(self, closed: Polyhedron, bound: float) -> float | None:
        """Return the distance of a region, nothing if it is empty or too far."""
        try:
            step = shortest_step(closed, self.question.norm, self.best)
        except SolverError:
            least = max(bound, closed.least * (1 - EDGE))
            self.failed = min(self.failed, least)
            return least
        return None if step is None else length(step, self.question.norm)

    def _changes(self, closed: Polyhedron, output: Tensor, bound: float) -> None:
        """Look for the nearest change of the decision in a region."""
        question = self.question
        margins = (output @ question.decision.rows.T).numpy(force=True)
        for row, value in zip(margins[:-1].T, margins[-1], strict=True):
            # The margin is row u + value; the decision holds while it is positive.
            cut = closed.with_row(row, -float(value), question.norm)
            if cut.least >= self.best:
                continue
            try:
                step = shortest_step(cut, question.norm, self.best)
            except SolverError:
                self.failed = min(self.failed, max(bound, cut.least))
                continue
            if step is not None:
                self.best, self.step = length(step, question.norm), step

    def _neighbours(self, one: Frozen, closed: Polyhedron, count: int) -> None:
        """Queue the regions across every face that may be near enough."""
        norms, right = closed.norms[:count], closed.right[:count]
        varies = norms > 0
        away = np.where(varies, right / np.where(varies, norms, 1.0), np.inf)
        across = flips(self.question.region, one)
        for place in np.nonzero(away < self.best)[0]:
            node, unit, gate = across[place]
            changed = one.gates[node].clone()
            changed.view(-1)[unit] = gate
            gates = {**one.gates, node: changed}
            key = _key(gates)
            if key not in self._seen:
                self._seen.add(key)
                self._push(max(0.0, float(away[place]) * (1 - EDGE)), False, gates)


def _key(gates: Mapping[int, Tensor]) -> bytes:
    return b"".join(part.numpy(force=True).tobytes() for part in gates.values())
