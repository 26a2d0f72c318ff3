"""How many linear regions meet a ball around an input."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.codes import codes
from relulens.graph.convert import converted
from relulens.graph.freeze import freeze
from relulens.graph.interval import interval
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.graph.polyhedral import polyhedral
from relulens.local.polytope import region_polytope
from relulens.numerics.linear_programs import Inequalities
from relulens.numerics.projection import nearest_point

BUDGET = 10_000
"""Default for the most regions."""

_INSIDE, _ACROSS, _NEAR = 1e-7, 1e-9, 1e-9
"""Shares of the radius: how far inside a face, how far across, and what is doubtful."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BallRegions:
    """The linear regions that meet the inside of a ball.

    Attributes:
        lower: Regions that were found, each with a point inside the ball.
        upper: No more than these; equal to ``lower`` if ``complete``, else the product
            over layers of the most cells that the units which may switch in the ball
            can make.
        points: A point of every region found [lower, *input_shape], in the ball.
        complete: Whether the walk ended and nothing was doubtful.
        doubtful: Faces whose part in the ball is thinner than rounding can tell.
        reason: In words, if not complete.
    """

    lower: int
    upper: int
    points: Float[Tensor, " regions *input"]
    complete: bool
    doubtful: int
    reason: str

    def __len__(self) -> int:
        """Return the number of regions found."""
        return self.lower

    def __repr__(self) -> str:
        """Return the bounds on one line."""
        if self.complete:
            return f"BallRegions({self.lower} regions)"
        most = str(self.upper) if self.upper < 10**12 else f"{float(self.upper):.3g}"
        return f"BallRegions({self.lower} to {most} regions: {self.reason})"


def regions_in_ball(
    network: Network,
    x: object,
    radius: float,
    /,
    *,
    norm: Literal[2, "inf"] | float = 2,
    budget: int = BUDGET,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> BallRegions:
    """Return how many linear regions meet the inside of a ball, and a point of each.

    A walk over faces: as a ball is convex, all regions that meet it are joined by faces
    that meet it. For each face the point of it nearest to the centre is found, in the
    span of the faces that the ball touches, so the input's size hardly matters.

    Args:
        network: A piecewise-affine network.
        x: The centre, of the network's input shape or with a batch axis of 1.
        radius: The radius, positive and finite, in the input's units.
        norm: 2, or ``"inf"`` (also ``math.inf``) for a cube of half that width.
        budget: Most regions; beyond it the answer is a bracket.
        seed: Of the point near the centre that the walk starts from.
        progress: Called with the regions walked over and the regions found.

    Raises:
        InvalidArgumentError: The radius, norm or budget is not one of these, or several
            inputs are given.
        ShapeError: ``x`` has another shape than the network's input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.
        NotPolyhedralError: A node is not piecewise affine; all are named.

    Cost:
        A region's rows, and a small least-distance problem (for cubes a linear
        program) a face that the ball touches.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 1.0]], None)])
        >>> regions_in_ball(network, [0.3], 0.5).lower
        2
    """
    polyhedral(network, network.output, question="regions_in_ball")
    size = math.inf if norm == "inf" else norm
    if not 0 < radius < math.inf or size not in (2, math.inf) or budget < 1:
        raise InvalidArgumentError(
            f"cannot count regions in a ball: radius {radius}, norm {norm!r} and"
            f" budget {budget} are given. Pass a positive finite radius, norm 2 or"
            " 'inf', and a budget of 1 or more."
        )
    given = x if isinstance(x, Tensor) else torch.as_tensor(np.asarray(x))
    if tuple(given.shape) == network.input_shape:
        given = given[None]
    centre = network.as_input(given)
    if centre.shape[0] != 1:
        raise InvalidArgumentError(
            f"cannot count regions in a ball: x holds {centre.shape[0]} inputs, and 1"
            " is needed. Pass one centre."
        )
    exact = converted(network, torch.float64, torch.device("cpu"))
    walk = _Walk(exact, centre[0].cpu().double(), float(radius), float(size))
    walk.run(budget, seed, progress)
    return walk.result(network.device)


class _Walk:
    """Regions met so far, by their patterns."""

    def __init__(
        self, network: Network, centre: Tensor, radius: float, norm: float
    ) -> None:
        self._network, self._centre = network, centre
        self._radius, self._norm = radius, norm
        self._seen: dict[bytes, Tensor] = {}
        self._open: deque[Tensor] = deque()
        self._doubtful = 0

    def _pattern(self, point: Tensor) -> bytes:
        frozen = freeze(self._network, point[None], self._network.output)
        parts = [code.numpy().tobytes() for code in codes(frozen).values()]
        return b"".join(parts)

    def _meet(self, point: Tensor) -> None:
        key = self._pattern(point)
        if key not in self._seen:
            self._seen[key] = point
            self._open.append(point)

    def run(
        self,
        budget: int,
        seed: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Walk until nothing is open or the budget is used up."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(
            self._centre.shape, generator=generator, dtype=torch.float64
        )
        # The centre may lie on a face; a random point near it does not.
        self._meet(self._centre + 1e-3 * self._radius * drawn / drawn.norm())
        walked = 0
        while self._open and len(self._seen) <= budget:
            point = self._open.popleft()
            self._cross(point)
            walked += 1
            if progress is not None:
                progress(walked, len(self._seen))

    def _cross(self, point: Tensor) -> None:
        """Look across every face of a point's region that meets the ball."""
        rows, right = self._rows(point)
        if not len(rows):
            return
        span, _ = np.linalg.qr(rows.T)
        flat = rows @ span
        here = self._pattern(point)
        for face in range(len(rows)):
            found = self._face_point(rows, flat, right, face, _INSIDE)
            if found is None:
                near = self._face_point(rows, flat, right, face, -_NEAR)
                self._doubtful += near is not None
                continue
            place = found if self._norm == math.inf else span @ found
            self._step(place, rows[face], here)

    def _rows(self, point: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the faces' planes that meet the ball, in units of the radius."""
        region = region_polytope(self._network, point[None])[0]
        said = ~region.constant
        rows = region.A.to_dense()[said].numpy()
        right = region.b[said].numpy() - rows @ self._centre.flatten().numpy()
        size = np.linalg.norm(rows, axis=1)
        live = size > 0
        rows, right = rows[live] / size[live, None], right[live] / size[live]
        right = right / self._radius
        reach = 1.0 if self._norm == 2 else np.abs(rows).sum(axis=1)
        near = np.abs(right) < reach
        rows, right = rows[near], right[near]
        # Faces on one plane are crossed together.
        keys = np.round(np.column_stack([rows, right]), 11)
        _, first = np.unique(keys, axis=0, return_index=True)
        return rows[np.sort(first)], right[np.sort(first)]

    def _face_point(
        self,
        rows: NDArray[np.float64],
        flat: NDArray[np.float64],
        right: NDArray[np.float64],
        face: int,
        margin: float,
    ) -> NDArray[np.float64] | None:
        """Return a point of a face, inside the ball and off all other faces."""
        if self._norm == math.inf:
            return _in_cube(rows, right, face, margin)
        bounds = -(right - margin)
        bounds[face] = -right[face]
        found = nearest_point(-flat, bounds, equal=face)
        if found is None or float(np.linalg.norm(found)) >= 1 - margin:
            return None
        return found

    def _step(
        self, place: NDArray[np.float64], normal: NDArray[np.float64], here: bytes
    ) -> None:
        for share in (_ACROSS, 10 * _ACROSS, 50 * _ACROSS):
            across = torch.from_numpy(place + share * normal).reshape(
                self._centre.shape
            )
            point = self._centre + self._radius * across
            if self._pattern(point) != here:
                self._meet(point)
                return
        self._doubtful += 1

    def result(self, device: torch.device) -> BallRegions:
        """Return what was found."""
        complete = not self._open and not self._doubtful
        count = len(self._seen)
        reason = ""
        if self._open:
            reason = f"the budget ended with {len(self._open)} regions not walked over"
        elif self._doubtful:
            reason = f"{self._doubtful} faces are too thin for rounding to tell"
        return BallRegions(
            lower=count,
            upper=count if complete else max(count, self._most()),
            points=torch.stack(list(self._seen.values())).to(device),
            complete=complete,
            doubtful=self._doubtful,
            reason=reason,
        )

    def _most(self) -> int:
        """Return a bound on the regions from how many units may switch in the ball."""
        region = polyhedral(self._network, self._network.output)
        nodes = region.nonlinear()
        # A little wider, so that rounding of the bounds does not matter.
        off = self._radius * (1 + 1e-9)
        low, high = (self._centre + s * off for s in (-1.0, 1.0))
        wanted = {node.source for _, node in nodes}
        bounds = interval(self._network, low[None], high[None], wanted)
        total = 1
        for _, node in nodes:
            total *= _cells(_switching(node, bounds[node.source]), low.numel())
        return total


def _switching(node: TwoSlope | Maximum, bounds: tuple[Tensor, Tensor]) -> int:
    """Return how many functions of a node may change sign, up to rounding."""
    low, high = bounds
    off = 1e-9 * torch.maximum(low.abs(), high.abs()).max()
    if isinstance(node, TwoSlope):
        bends = (node.positive != node.negative).expand(node.shape)
        return int(((low[0] <= off) & (high[0] >= -off) & bends).sum())
    table, real = node.groups.ragged.padded()
    best = low.flatten(1)[0][table].masked_fill(~real, -torch.inf).amax(1)
    live = ((high.flatten(1)[0][table] >= best[:, None] - off) & real).sum(1)
    return int((live * (live - 1) // 2).sum())


def _cells(planes: int, dimension: int) -> int:
    """Return the most cells that planes cut a space of some dimension into."""
    return sum(math.comb(planes, k) for k in range(min(planes, dimension) + 1))


def _in_cube(
    rows: NDArray[np.float64], right: NDArray[np.float64], face: int, margin: float
) -> NDArray[np.float64] | None:
    """Return the point of a face deepest inside the unit cube and the other faces."""
    count, n = rows.shape
    unit = np.eye(n)
    depth = np.ones((count + 1 + 2 * n + 1, 1))
    depth[face] = depth[count] = 0.0
    left = np.concatenate([rows, -rows[face][None], unit, -unit, np.zeros((1, n))])
    bounds = np.concatenate([right, [-right[face]], np.ones(2 * n), [1.0]])
    cost = np.zeros(n + 1)
    cost[-1] = 1.0
    found = Inequalities(np.hstack([left, depth]), bounds).maximise(cost)
    if found.status != "optimal" or found.value < margin:
        return None
    return found.point[:-1]
