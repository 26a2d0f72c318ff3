"""Certified radii: how far the nearest change of a decision is, exact or bracketed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.domain import Box, as_box
from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral, polyhedral
from relulens.robustness.lipschitz.operator_norms import Norm, checked_norm
from relulens.robustness.radius.attack import (
    distance,
    nearby_change,
    verified,
)
from relulens.robustness.radius.bounds import certified_lower
from relulens.robustness.radius.distance import Polyhedron, row_norms
from relulens.robustness.radius.margins import (
    checked_labels,
    decision,
    predicted,
)
from relulens.robustness.radius.walk import EDGE, Question, Walk

METHODS = ("walk", "bounds")

CLOSE = 1e-6
"""Relative difference of the two bounds below which a radius counts as exact."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CertifiedRadius:
    """Brackets of the distances to the nearest changes of decisions.

    As an array it is the lower bounds.

    Attributes:
        lower: No input of the domain nearer than this is classified otherwise.
        upper: Distance of ``witness``; infinite if none was found.
        witness: Inputs [N, *input_shape] at which the decision is another one, or tied
            with another; NaN where there is none.
        complete: Whether the bounds agree to a relative 1e-6, or are both infinite.
        verdict: ``"exact"``, ``"bracket"``, ``"unreachable"`` if the decision never
            changes, or ``"misclassified"`` if the label is not the network's decision.
        label: The classes asked about.
        regions: Regions that the walk went through.
        reasons: Why a radius is not exact; empty if it is.
        norm: The norm of changes of the input.
        method: ``"walk"`` or ``"bounds"``.
    """

    lower: Float[Tensor, " batch"]
    upper: Float[Tensor, " batch"]
    witness: Float[Tensor, " batch *input"]
    complete: Bool[Tensor, " batch"]
    verdict: tuple[str, ...]
    label: Int[Tensor, " batch"]
    regions: Int[Tensor, " batch"]
    reasons: tuple[str, ...]
    norm: Norm
    method: str

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self.lower.shape[0]

    def __getitem__(self, sample: int | slice | Tensor) -> Tensor:
        """Return the lower bound of one input, or of several."""
        return self.lower[sample]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return the lower bounds."""
        return np.array(self.lower.cpu().numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        done = int(self.complete.sum())
        return f"CertifiedRadius({len(self)} inputs, {done} exact, norm={self.norm!r})"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Job:
    network: Network
    region: Polyhedral
    norm: Norm
    method: str
    regions: int
    low: Tensor
    high: Tensor
    seed: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _One:
    lower: float
    upper: float
    witness: Tensor | None
    verdict: str
    regions: int
    reason: str


def certified_radius(
    network: Network,
    x: object,
    /,
    norm: Norm | float = 2,
    *,
    labels: object = None,
    method: str = "walk",
    domain: Box | None = None,
    budget: float = 60.0,
    regions: int = 100_000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CertifiedRadius:
    r"""Return how far every input is from the nearest one of another class.

    The class is the first largest output; of a single output, whether it is positive.
    ``"walk"`` goes through the regions around the input, the nearest first, and solves
    in each for the nearest point where another class catches up: exact once no region
    is nearer than the best one found. ``"bounds"`` brackets the distance with bounds
    over growing boxes below and an attack above.

    Args:
        network: A piecewise-affine network.
        x: Inputs [N, *input_shape].
        norm: 1, 2 or ``"inf"``: of changes of the input.
        labels: Classes [N]; the network's own decisions by default.
        method: ``"walk"`` or ``"bounds"``.
        domain: Inputs that count; the network's domain by default, else all.
        budget: Seconds for the whole call; what is left is shared among the inputs
            that are left.
        regions: Most regions that a walk goes through for one input.
        seed: Of the attack's random starts.
        progress: Called with the number of inputs done and of all.

    Returns:
        A bracket for every input, with a witness whose decision was verified.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.
        NotPolyhedralError: A node is not piecewise affine; all are named.
        InvalidArgumentError: Another argument is outside what it can be, or an input
            lies outside the domain.

    Cost:
        For a walk, a projection for every region nearer than the answer, and for the
        faces of these.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[3.0, 4.0]], [0.0]), ([[1.0]], [-5.0])])
        >>> found = certified_radius(network, [[3.0, 4.0]], norm=2)
        >>> round(float(found.lower[0]), 6), found.verdict
        (4.0, ('exact',))
    """
    region = polyhedral(network, network.output, question="certified_radius")
    wide = converted(network, torch.float64)
    point = wide.as_input(x)
    _check(method, budget, regions)
    low, high = _sides(wide, domain, point)
    job = _Job(
        network=wide,
        region=polyhedral(wide, region.end),
        norm=checked_norm(norm),
        method=method,
        regions=regions,
        low=low,
        high=high,
        seed=seed,
    )
    own = predicted(wide, point)
    count = point.shape[0]
    asked = own if labels is None else checked_labels(wide, labels, count)
    end = time.monotonic() + budget
    found: list[_One] = []
    for i in range(count):
        share = max(0.0, end - time.monotonic()) / (count - i)
        right = int(asked[i]) == int(own[i])
        found.append(_one(job, point[i], int(asked[i]), right, share))
        if progress is not None:
            progress(i + 1, count)
    return _result(job, point, asked, found)


def _check(method: str, budget: float, regions: int) -> None:
    if method not in METHODS:
        raise InvalidArgumentError(
            f"cannot find radii by method {method!r}: it is none of the 2 there are,"
            " 'walk' and 'bounds'. Use one of them."
        )
    if not (budget >= 0 and regions >= 1):
        raise InvalidArgumentError(
            f"cannot use a budget of {budget} s and {regions} regions: they must be at"
            " least 0 and 1. Pass more."
        )


def _sides(network: Network, domain: Box | None, x: Tensor) -> tuple[Tensor, Tensor]:
    shape = network.input_shape
    chosen = network.domain if domain is None else domain
    box = Box(-math.inf, math.inf) if chosen is None else as_box(chosen)
    try:
        low = box.low.to(network.device).expand(shape)
        high = box.high.to(network.device).expand(shape)
    except RuntimeError as error:
        raise InvalidArgumentError(
            f"cannot use the domain: its bounds have shapes {list(box.low.shape)} and"
            f" {list(box.high.shape)}, and the input has {list(shape)}. Pass numbers or"
            " arrays of that shape."
        ) from error
    outside = ((x < low) | (x > high)).flatten(1).any(1)
    if bool(outside.any()):
        raise InvalidArgumentError(
            f"cannot find radii within the domain {box}: {int(outside.sum())} of"
            f" {x.shape[0]} inputs lie outside. Clip them, or pass a larger domain."
        )
    return low, high


def _question(job: _Job, x: Tensor, label: int) -> Question:
    flat = x.flatten()
    eye = np.eye(flat.numel())
    above = (job.high.flatten() - flat).numpy(force=True)
    below = (flat - job.low.flatten()).numpy(force=True)
    up, down = np.isfinite(above), np.isfinite(below)
    rows = np.concatenate([eye[up], -eye[down]])
    walls = Polyhedron(
        rows=rows,
        right=np.concatenate([above[up], below[down]]),
        norms=row_norms(rows, job.norm),
    )
    return Question(
        network=job.network,
        region=job.region,
        x=x,
        decision=decision(job.network, label),
        norm=job.norm,
        walls=walls,
    )


def _one(job: _Job, x: Tensor, label: int, right: bool, seconds: float) -> _One:
    """Return the bracket of one input."""
    if not right:
        return _One(
            lower=0.0,
            upper=0.0,
            witness=x,
            verdict="misclassified",
            regions=0,
            reason="",
        )
    deadline = time.monotonic() + seconds
    question = _question(job, x, label)
    if bool(question.decision.margins(job.network, x[None])[0] <= 0):
        return _One(
            lower=0.0, upper=0.0, witness=x, verdict="exact", regions=0, reason=""
        )
    source = torch.Generator().manual_seed(job.seed)
    near = nearby_change(question, job.low, job.high, source)
    if job.method == "bounds":
        return _bracket(job, question, near)
    walk = Walk(question=question)
    if near is not None:
        walk.best = distance(question, near) * (1 + EDGE)
    walk.run(deadline, job.regions)
    if walk.least < walk.best and not walk.ended:
        most = walk.best if math.isfinite(walk.best) else _far(question)
        shown = certified_lower(question, job.low, job.high, most)
        walk.least = max(walk.least, shown)
    if walk.step is not None:
        exact = verified(question, question.moved(walk.step), job.low, job.high)
        both = [point for point in (near, exact) if point is not None]
        near = min(both, key=lambda p: distance(question, p)) if both else None
    return _closed(walk, question, near)


def _bracket(job: _Job, question: Question, near: Tensor | None) -> _One:
    upper = math.inf if near is None else distance(question, near)
    most = upper if math.isfinite(upper) else _far(question)
    lower = certified_lower(question, job.low, job.high, most)
    exact = lower >= upper * (1 - CLOSE)
    return _One(
        lower=min(lower, upper),
        upper=upper,
        witness=near,
        verdict="exact" if exact else "bracket",
        regions=0,
        reason="" if exact else "bounds over boxes are not exact",
    )


def _far(question: Question) -> float:
    """Return a radius to start from where no change of the decision is known."""
    return 10.0 * (1.0 + float(question.x.abs().max()))


def _closed(walk: Walk, question: Question, near: Tensor | None) -> _One:
    """Return the bracket that a walk leaves."""
    upper = math.inf if near is None else distance(question, near)
    lower = min(walk.least * (1 - EDGE), upper)
    if math.isinf(lower):
        verdict = "unreachable"
    else:
        verdict = "exact" if lower >= upper * (1 - CLOSE) else "bracket"
    reason = ""
    if verdict == "bracket":
        reason = f"the walk ended after {walk.regions} regions"
    return _One(
        lower=lower,
        upper=upper,
        witness=near,
        verdict=verdict,
        regions=walk.regions,
        reason=reason,
    )


def _result(job: _Job, x: Tensor, asked: Tensor, found: list[_One]) -> CertifiedRadius:
    like = {"dtype": torch.float64, "device": x.device}
    witness = torch.full_like(x, math.nan)
    for i, one in enumerate(found):
        if one.witness is not None:
            witness[i] = one.witness
    done = [one.verdict in ("exact", "unreachable", "misclassified") for one in found]
    return CertifiedRadius(
        lower=torch.tensor([one.lower for one in found], **like),
        upper=torch.tensor([one.upper for one in found], **like),
        witness=witness,
        complete=torch.tensor(done, dtype=torch.bool, device=x.device),
        verdict=tuple(one.verdict for one in found),
        label=asked.to(x.device),
        regions=torch.tensor([one.regions for one in found], dtype=torch.int64),
        reasons=tuple(one.reason for one in found),
        norm=job.norm,
        method=job.method,
    )
