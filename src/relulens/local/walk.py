"""Walk from region to region over faces that do not matter, nearest first."""

import heapq
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import SolverError
from relulens.graph.freeze import Frozen, freeze
from relulens.graph.tangent import adjoint_walk, tangent, tangent_walk
from relulens.local.crossing import CHANGE
from relulens.local.faces import Faces, face_rows, faces
from relulens.local.jacobian import flat_rows
from relulens.local.row_norms import row_norms
from relulens.local.search import Search
from relulens.numerics.projection import nearest_point

MOST_REGIONS = 256
"""Regions that are walked over before a sample is given up."""

MOST_WITHOUT = 32
"""The same as long as no face was found that matters: there may be none."""

MOST_ROWS = 400
"""Faces of one region that may matter at once."""

INSIDE = 1e-7
"""Share of the distance by which a face is entered away from its edges."""

LEAST = 1e-9
"""The least that is stepped, relative to the largest entry: well above rounding."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Walked:
    """How far the output's map holds, by all regions within reach.

    Attributes:
        distance: The distance, or a lower bound.
        upper: Distance of the nearest face found that matters.
        complete: Whether the two are one.
        towards: Unit vector to the nearest point of that face; zeros if none was found.
        faces: The faces that share its hyperplane; empty if the walk found none nearer
            than what it was given.
        regions: Regions walked over.
    """

    distance: float
    upper: float
    complete: bool
    towards: Float[Tensor, " inputs"]
    faces: Faces | None
    regions: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Near:
    """The faces of a region that its ball may touch, seen from the sample.

    ``rows d >= right`` for steps ``d`` from the sample that end in the region.
    """

    faces: Faces
    rows: np.ndarray
    right: np.ndarray


@dataclass(slots=True, eq=False)
class _State:
    search: Search
    x: Tensor
    best: float
    towards: Tensor
    found: Faces | None = None
    seen: set[bytes] = field(default_factory=set)
    queue: list[tuple[float, int, Tensor]] = field(default_factory=list)
    regions: int = 0
    pushed: int = 0
    thin: float = torch.inf

    def push(self, distance: float, point: Tensor) -> None:
        self.pushed += 1
        heapq.heappush(self.queue, (distance, self.pushed, point))


def walked(search: Search, x: Tensor, upper: float) -> Walked | None:
    """Return how far the output's map holds around a sample.

    Args:
        search: The network, with exact norms.
        x: The sample [1, *input_shape].
        upper: Distance of a face that matters, possibly infinite.

    Returns:
        What was found; nothing if a region has too many faces within reach, or a
        projection did not end.
    """
    state = _State(
        search=search, x=x, best=upper, towards=torch.zeros_like(x).flatten()
    )
    state.push(0.0, _off_faces(x))
    try:
        while state.queue and state.queue[0][0] < state.best:
            most = MOST_REGIONS if state.best < torch.inf else MOST_WITHOUT
            if state.regions >= most:
                break
            _, _, point = heapq.heappop(state.queue)
            _visit(state, point)
    except (_TooManyError, SolverError):
        return None
    ahead = state.queue[0][0] if state.queue else torch.inf
    reached = min(ahead, state.best, state.thin)
    if reached >= state.best * (1 - 1e-9):
        reached = state.best
    return Walked(
        distance=reached,
        upper=state.best,
        complete=reached == state.best,
        towards=state.towards,
        faces=state.found,
        regions=state.regions,
    )


def _off_faces(x: Tensor) -> Tensor:
    """Return a point next to the sample, as it may lie on faces that do not matter.

    The region of the tie convention may be flat there.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    return x + 0.01 * LEAST * (float(x.abs().max()) or 1.0) * drawn / drawn.norm()


class _TooManyError(Exception):
    """More faces are within reach than are worth comparing."""


def _visit(state: _State, point: Tensor) -> None:
    """Look at the faces of the region of a point, and pass those of no matter."""
    search = state.search
    one = freeze(search.network, point, search.network.output, keep=search.kept)
    name = b"".join(gate.numpy().tobytes() for gate in one.gates.values())
    if name in state.seen:
        return
    state.seen.add(name)
    state.regions += 1
    near = _near_faces(state, one)
    if near is None:
        return
    done = np.zeros(len(near.right), dtype=bool)
    for place in np.argsort(np.abs(near.right)):
        if done[place] or abs(near.right[place]) >= state.best:
            continue
        shared = _sharing(near, int(place))
        done |= shared
        _pass(state, one, near, int(place), shared)


def _near_faces(state: _State, one: Frozen) -> _Near | None:
    """Return the faces within reach, or nothing if the whole region is out of it."""
    search = state.search
    norms = row_norms(one, search.steps, list(search.arguments))
    listed = faces(one, norms, 0, dict(search.region.nonlinear()))
    if not len(listed):
        return _Near(faces=listed, rows=np.zeros((0, 0)), right=np.zeros(0))
    here = listed.value + _rates(one, listed, state.x - one.x)
    sign = _inner_side(one, listed)
    step = (sign * here / listed.norm).numpy()
    if (step < -state.best * (1 + 1e-9)).any():
        return None
    places = (
        torch.from_numpy(np.abs(step) <= state.best * (1 + 1e-9)).nonzero().flatten()
    )
    if len(places) > MOST_ROWS:
        raise _TooManyError
    some = listed.take(places)
    rows = face_rows(one, some)
    unit = sign[places, None] * rows / rows.norm(dim=1, keepdim=True)
    return _Near(faces=some, rows=unit.numpy(), right=-step[places.numpy()])


def _rates(one: Frozen, listed: Faces, direction: Tensor) -> Float[Tensor, " faces"]:
    """Return how the inequalities change along a direction."""
    sources = set(listed.source.tolist())
    shown = tangent_walk(one, direction, keep=sources)
    rate = torch.zeros(len(listed), dtype=torch.float64)
    for source, value in shown.items():
        mine = (listed.source == source).nonzero().flatten()
        flat = value.flatten()
        rate[mine] = flat[listed.plus[mine]]
        pairs = mine[listed.minus[mine] >= 0]
        rate[pairs] -= flat[listed.minus[pairs]]
    return rate


def _inner_side(one: Frozen, listed: Faces) -> Float[Tensor, " faces"]:
    """Return 1 where the region has the inequality's value positive, else -1."""
    sign = torch.ones(len(listed), dtype=torch.float64)
    for index in listed.node.unique().tolist():
        gate = one.gates[index].flatten()
        if gate.dtype == torch.bool:
            mine = (listed.node == index).nonzero().flatten()
            sign[mine] = torch.where(gate[listed.unit[mine]], 1.0, -1.0).to(sign)
    return sign


def _sharing(near: _Near, place: int) -> np.ndarray:
    """Return which faces have the same hyperplane, from either side."""
    cosine = near.rows @ near.rows[place]
    size = np.abs(near.right[place]) + 1e-12
    together = np.abs(near.right - np.sign(cosine) * near.right[place]) <= 1e-9 * size
    return (np.abs(cosine) >= 1 - 1e-9) & together


def _pass(
    state: _State, one: Frozen, near: _Near, place: int, shared: np.ndarray
) -> None:
    """Take a face as the nearest that matters, or enter the region behind it."""
    step = _step_to(near, place, shared, 0.0)
    if step is None or np.linalg.norm(step) >= state.best:
        return
    distance = float(np.linalg.norm(step))
    margin = max(INSIDE * distance, LEAST * (float(state.x.abs().max()) or 1.0))
    entry = _step_to(near, place, shared, margin)
    if entry is None:
        # Too thin to enter: what lies behind it stays unknown.
        state.thin = min(state.thin, distance)
        return
    outwards = -near.rows[place]
    shape = state.x.shape
    beyond = torch.from_numpy(entry + 0.5 * margin * outwards).reshape(shape) + state.x
    made = (beyond - state.x).flatten().numpy()
    if near.right[place] - near.rows[place] @ made < 0.25 * margin:
        # Rounding kept it on this side.
        state.thin = min(state.thin, distance)
        return
    some = near.faces.take(torch.from_numpy(np.nonzero(shared)[0]))
    if _matters(state, one, beyond, torch.from_numpy(outwards).reshape(shape), some):
        state.best = distance
        state.found = some
        scale = distance if distance > 0 else 1.0
        way = step / scale if distance > 0 else outwards
        state.towards = torch.from_numpy(np.ascontiguousarray(way))
    else:
        state.push(distance, beyond)


def _step_to(
    near: _Near, place: int, shared: np.ndarray, margin: float
) -> np.ndarray | None:
    """Return the shortest step to a face, away from the others by a margin."""
    kept = np.nonzero(~shared)[0]
    order = np.concatenate([[place], kept])
    right = near.right[order] + margin
    right[0] = near.right[place]
    scale = max(float(np.abs(right).max()), 1e-300)
    found = nearest_point(near.rows[order], right / scale, equal=0)
    return None if found is None else found * scale


def _matters(
    state: _State, one: Frozen, beyond: Tensor, outwards: Tensor, some: Faces
) -> bool:
    """Tell whether the output's map is another one behind a face."""
    network = state.search.network
    if len(some) == 1 and _gain(state, one, some) != 0:
        return True
    here = flat_rows(tangent(one, outwards, end=network.output))
    behind = freeze(network, beyond, network.output)
    there = flat_rows(tangent(behind, outwards, end=network.output))
    size = float(torch.maximum(here.abs(), there.abs()).amax())
    return float((there - here).abs().amax()) > CHANGE * size


def _gain(state: _State, one: Frozen, some: Faces) -> float:
    """Return what reaches the output of the face's unit, in a random direction."""
    network = state.search.network
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(network.output_shape, generator=generator, dtype=torch.float64)
    found = [0.0]

    def visit(index: int, weights: Tensor) -> None:
        if index == int(some.node):
            found[0] = float(weights.flatten()[int(some.unit)])

    adjoint_walk(one, {network.output: drawn[None]}, visit=visit)
    return found[0]
