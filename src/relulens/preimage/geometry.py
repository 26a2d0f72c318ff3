"""The shape of a pre-image: centres, widths, diameter, free directions, samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.certificates.statement import Statement, subject_of
from relulens.certificates.subjects import Weights, weights_of
from relulens.errors import InvalidArgumentError, MemoryLimitError, SolverError
from relulens.graph.arrays import tensor_of
from relulens.graph.network import Network
from relulens.graph.tolerances import Tolerances
from relulens.preimage.bounding_image import Ranges, bounding_image, widths
from relulens.preimage.centres import BarrierCentre, barrier_centre, largest_ball
from relulens.preimage.counts import check_count
from relulens.preimage.diameter import Diameter, climb, diameter
from relulens.preimage.extents import Programs
from relulens.preimage.hit_and_run import Walk, hit_and_run
from relulens.preimage.preimage import read, variables
from relulens.preimage.question import Question, question
from relulens.preimage.recession_span import RecessionSpan, recession_span
from relulens.preimage.reduced import Reduced, reduced

WORK = 4e11
"""Multiplications that the bounding image's programs may take by default."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Samples:
    """Points of a bounded piece, uniform as far as the chains mixed.

    Attributes:
        points: The points [count, columns].
        spread: Largest split R-hat over coordinates of the hull; near one if mixed.
        effective: Smallest number of independent draws they are worth.
        steps: Steps that every chain took.
        mixed: Whether R-hat is below 1.05 and the effective size at least 100.
    """

    points: Float[Tensor, "count columns"]
    spread: float
    effective: float
    steps: int
    mixed: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Geometry:
    """The shape of x's piece of a pre-image.

    Attributes:
        verdict: ``"singleton"``, ``"bounded"``, ``"unbounded"``, or ``"undecided"``, to
            rounding; ``preimage`` gives a proof.
        dimension: Of the piece; nothing if undecided.
        variable: What it lives in.
        centre: Centre of the largest ball in the affine hull [columns].
        radius: Radius of that ball, checked; infinite if balls of every size fit.
        radius_bound: No ball inside the piece is larger.
        widths: Ranges along the directions asked for.
        image: Range of every coordinate: the bounding image.
        diameter: Largest distance of two points.
        inner: Every point this near to the barrier's centre, within the affine hull, is
            inside; nothing where the piece is unbounded.
        outer: No point is farther from it.
        recession: Orthonormal basis of what directions that never leave span [r,
            columns].
        lineality: Orthonormal basis of the lines inside [l, columns].
        samples: Points of the piece, if asked for and bounded.
        programs: Linear programs solved.
        reason: In words, where something is missing.
    """

    verdict: Literal["singleton", "bounded", "unbounded", "undecided"]
    dimension: int | None
    variable: str
    centre: Float[Tensor, " columns"] | None
    radius: float
    radius_bound: float
    widths: Ranges | None
    image: Ranges | None
    diameter: Diameter | None
    inner: float | None
    outer: float | None
    recession: Float[Tensor, "r columns"] | None
    lineality: Float[Tensor, "l columns"] | None
    samples: Samples | None
    programs: int
    reason: str

    def __repr__(self) -> str:
        """Return the verdict and the main numbers on one line."""
        if self.diameter is None:
            return f"Geometry({self.verdict!r}: {self.reason})"
        return (
            f"Geometry({self.verdict!r}, dimension={self.dimension},"
            f" radius={self.radius:.4g}, diameter between {self.diameter.lower:.4g} and"
            f" {self.diameter.upper:.4g})"
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Wanted:
    directions: Array
    programs: int | None
    samples: int
    seed: int
    progress: Callable[[int, int], None] | None


def preimage_geometry(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str,
    scope: Literal["layer", "region"] | None = None,
    domain: object = None,
    directions: object = None,
    programs: int | None = None,
    samples: int = 0,
    tol: Tolerances | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Geometry]:
    """Return the shape of the set of values that give the features of each input.

    It is x's own piece: where the layer is a union of pieces (abs, maxima), the others
    are not part of it.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: Index into ``network.layers``, or any name.
        scope: As for ``preimage``.
        domain: As for ``preimage``.
        directions: Directions [k, columns] whose ranges are wanted.
        programs: The most linear programs that go into the bounding image; two for
            every coordinate settle all. By default 200, and fewer on large pieces, so
            that they take about half a minute; ``reason`` says how many were left out.
        samples: How many uniform samples of a bounded piece to draw.
        tol: ``tol.sign`` says which arguments are zero to rounding.
        seed: For the samples, and for the search for a far pair.
        progress: Called with the programs of the bounding image done and their budget.

    Returns:
        One geometry an input. Values that are *found* belong to points of the set;
        *bounds* follow from multipliers checked on the raw rows with rounding.

    Raises:
        InvalidArgumentError: Directions, scope or domain do not fit, or a number of
            samples or programs is negative.
        NotPolyhedralError: The layer, or one before it, is curved.
        UnknownNameError: No layer has this name.

    Cost:
        Per input at most 24 linear programs (4 for large pieces) and those of the
        budget, each 10 to 25 products ``G^T D G`` [q, q] over all inequalities: in 700
        dimensions seconds each.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> A = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> network = from_layers([(A, [-1.0] * 4), ([[1.0] * 4], None)])
        >>> found = preimage_geometry(network, [[0.0, 0.0]], layer=0)[0]
        >>> round(found.radius, 6), round(found.diameter.lower, 6)
        (1.0, 2.828427)
    """
    verb = "measure a pre-image"
    check_count(samples, name="samples", least=0, verb=verb)
    if programs is not None:
        check_count(programs, name="programs", least=0, verb=verb)
    asked = question(network, layer, scope, domain, tol or Tolerances())
    points = asked.network.as_input(x)
    wanted = _Wanted(
        directions=_directions(asked, directions),
        programs=programs,
        samples=samples,
        seed=seed,
        progress=progress,
    )
    states = variables(asked, points)
    shared: Weights | None = None
    results: list[Geometry] = []
    for i in range(points.shape[0]):
        at = points[i : i + 1]
        subject = subject_of(asked.network, asked.target, asked.scope, at, asked.limits)
        weights = weights_of(subject) if shared is None else shared
        if asked.scope == "layer":
            shared = weights
        statement = read(asked, subject, weights, at, states[i])
        results.append(_one(asked, statement, weights, wanted))
    return results


def _directions(asked: Question, directions: object) -> Array:
    size = asked.variable.size
    if directions is None:
        return np.zeros((0, size))
    held = tensor_of(directions, subject="directions").cpu().to(torch.float64)
    if held.ndim < 2 or held[0].numel() != size or not bool(held.isfinite().all()):
        raise InvalidArgumentError(
            f"cannot measure along directions {list(held.shape)}: each needs {size}"
            f" finite entries, as {asked.variable.name} has. Pass [k, {size}]."
        )
    return held.reshape(held.shape[0], -1).numpy()


def _one(
    asked: Question, statement: Statement, weights: Weights, wanted: _Wanted
) -> Geometry:
    try:
        piece = reduced(statement, weights)
        if isinstance(piece, str):
            return _nothing(asked, piece)
        return _measured(asked, piece, wanted)
    except (MemoryLimitError, SolverError) as error:
        return _nothing(asked, str(error))


def _nothing(asked: Question, reason: str) -> Geometry:
    return Geometry(
        verdict="undecided",
        dimension=None,
        variable=asked.variable.name,
        centre=None,
        radius=0.0,
        radius_bound=float("inf"),
        widths=None,
        image=None,
        diameter=None,
        inner=None,
        outer=None,
        recession=None,
        lineality=None,
        samples=None,
        programs=0,
        reason=reason,
    )


def _measured(asked: Question, piece: Reduced, wanted: _Wanted) -> Geometry:
    none = np.zeros((piece.dimension, 0))
    known = RecessionSpan(span=none, lines=none) if asked.finite else None
    free = known or recession_span(piece.rows)
    if free is None:
        return _nothing(asked, "which directions never leave is not settled")
    bounded = free.span.shape[1] == 0
    n, q = piece.basis.shape
    ball = largest_ball(piece.rows, piece.slack, bounded=bounded)
    middle = None
    if bounded and q:
        middle = barrier_centre(piece.rows, piece.slack, ball.centre)
    reach = _reach(middle, bounded, q)
    low, high = _known(asked, n)
    programs = Programs(
        piece=piece,
        centre=ball.centre,
        radius=reach,
        low=low,
        high=high,
        bounded=bounded,
    )
    if q and bounded:
        climb(programs, middle, seed=wanted.seed)
    along = widths(programs, wanted.directions)
    budget = wanted.programs
    if budget is None:
        budget = _affordable(*piece.rows.shape)
    image = bounding_image(programs, middle, budget, wanted.progress)
    verdict: Literal["singleton", "bounded", "unbounded"] = "unbounded"
    if bounded:
        verdict = "bounded" if q else "singleton"
    return Geometry(
        verdict=verdict,
        dimension=q,
        variable=asked.variable.name,
        centre=torch.from_numpy(piece.origin + piece.basis @ ball.centre),
        radius=ball.radius if q else 0.0,
        radius_bound=_radius_bound(piece, ball.multipliers, reach) if q else 0.0,
        widths=along,
        image=image,
        diameter=diameter(programs, middle, image),
        inner=None if middle is None else float(middle.largest**-0.5),
        outer=None if middle is None else middle.reach,
        recession=torch.from_numpy((piece.basis @ free.span).T.copy()),
        lineality=torch.from_numpy((piece.basis @ free.lines).T.copy()),
        samples=_samples(piece, middle, wanted),
        programs=programs.solved,
        reason=_missing(bounded, q, image, found=middle is not None),
    )


def _affordable(p: int, q: int) -> int:
    """Return how many linear programs [p, q] fit into the work allowed by default."""
    return int(min(200, max(8, WORK // (20.0 * max(p * q * q, 1)))))


def _missing(bounded: bool, q: int, image: Ranges, *, found: bool) -> str:
    parts = []
    if not bounded:
        parts.append("no ellipsoid or samples: the piece is unbounded")
    elif q and not found:
        parts.append("no ellipsoid: Newton steps did not reach the barrier's centre")
    left = int((~image.complete).sum())
    if left:
        parts.append(
            f"the bounding image is coarse for {left} of {image.complete.numel()}"
            " coordinates, pass more programs"
        )
    return "; ".join(parts)


def _reach(middle: BarrierCentre | None, bounded: bool, q: int) -> float:
    """Return how far a point of the set can be from the origin, which is in it."""
    if bounded and q == 0:
        return 0.0
    return np.inf if middle is None else 2 * middle.reach


def _known(asked: Question, n: int) -> tuple[Array, Array]:
    limits = asked.limits
    if limits is None or limits.low is None or limits.high is None:
        return np.full(n, -np.inf), np.full(n, np.inf)
    return limits.low.numpy(), limits.high.numpy()


def _radius_bound(piece: Reduced, multipliers: Array, reach: float) -> float:
    """Return ``(m . slack + |G^T m| reach) / sum m``: no ball is larger."""
    total = float(multipliers.sum())
    if not total > 0 or not np.isfinite(reach):
        return float("inf")
    pull = float(np.linalg.norm(multipliers @ piece.rows)) + 1e-14 * total
    return (float(multipliers @ piece.slack) + pull * reach) / total * (1 + 1e-12)


def _samples(
    piece: Reduced, middle: BarrierCentre | None, wanted: _Wanted
) -> Samples | None:
    if middle is None or wanted.samples == 0:
        return None
    walk: Walk = hit_and_run(
        piece.rows,
        piece.slack,
        middle.centre,
        middle.hessian,
        count=wanted.samples,
        seed=wanted.seed,
    )
    return Samples(
        points=torch.from_numpy(piece.origin + walk.points @ piece.basis.T),
        spread=walk.spread,
        effective=walk.effective,
        steps=walk.steps,
        mixed=walk.spread < 1.05 and walk.effective >= 100,
    )
