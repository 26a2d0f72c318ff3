"""The nearest face of one region: candidates in order, decided in float64."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.freeze import Frozen, frozen_part
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum
from relulens.graph.polyhedral import Polyhedral, source_name
from relulens.graph.tangent import adjoint_walk
from relulens.graph.tolerances import Tolerances
from relulens.local.crossing import crossing
from relulens.local.excess import AbsoluteMaps, excess, relus_over_maxima
from relulens.local.faces import (
    Faces,
    entry_faces,
    face_rows,
    faces,
    joined,
)
from relulens.local.jacobian import pull
from relulens.local.margin import TightUnit
from relulens.local.row_norms import RowNorms

MOST_EXAMINED = 8192
"""Faces looked at one by one before a sample is given up."""

SAME = 4e-9
"""Relative difference below which two distances or normals are the same."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Search:
    """What stays the same from sample to sample.

    Attributes:
        region: The piecewise-affine network, in float64.
        arguments: The node that each nonlinear node reads.
        effective: Whether only faces count that change the output's map.
        margin: Relative safety of the screened norms.
        tolerances: What counts as zero.
        maps: Absolute maps, made when first needed.
    """

    region: Polyhedral
    arguments: Mapping[int, int]
    effective: bool
    margin: float
    tolerances: Tolerances
    maps: AbsoluteMaps = field(default_factory=AbsoluteMaps)

    @property
    def network(self) -> Network:
        """The network in float64."""
        return self.region.network


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Nearest:
    """The nearest face of one sample; fields as in ``BoundaryDistance``."""

    distance: float
    upper: float
    complete: bool
    normal: Float[Tensor, " inputs"]
    units: tuple[TightUnit, ...]
    examined: int
    reason: str
    deviation: float


@dataclass(slots=True, eq=False)
class _Examined:
    """Faces decided so far, exact distances ascending within each block."""

    faces: Faces
    distance: Tensor
    normal: Tensor
    norm: Tensor
    counts: Tensor

    @property
    def best(self) -> float:
        chosen = self.distance[self.counts]
        return float(chosen.min()) if chosen.numel() else torch.inf


def nearest_face(
    search: Search, frozen: Frozen, norms: RowNorms, sample: int
) -> Nearest:
    """Return the nearest face of one sample's region.

    Args:
        search: The network and what counts.
        frozen: It, frozen in float64 at a batch of samples.
        norms: Screened norms for the batch.
        sample: Which sample of the batch.
    """
    one = frozen_part(frozen, slice(sample, sample + 1))
    nodes = dict(search.region.nodes)
    listed = faces(frozen, norms, sample, dict(search.region.nonlinear()))
    if search.effective:
        over = relus_over_maxima(nodes)
        listed = joined([listed, entry_faces(frozen, norms, sample, over)])
    lower = listed.distances(search.tolerances) / (1 + search.margin)
    gain = _gains(search, one, listed) if search.effective else torch.ones(len(listed))
    # At one distance, those that surely matter first.
    order = (gain == 0).to(torch.int8).argsort(stable=True)
    order = order[lower[order].argsort(stable=True)]
    done = _empty(one)
    low, length = 0, _block_length(search)
    while low < len(order) and float(lower[order[low]]) < done.best:
        if low >= MOST_EXAMINED:
            break
        block = order[low : low + length]
        _examine(search, one, listed.take(block), gain[block], done)
        low, length = low + len(block), 2 * length
    return _decided(search, one, norms, sample, done, lower[order], low)


def _gains(search: Search, one: Frozen, listed: Faces) -> Float[Tensor, " faces"]:
    """Return what reaches the output of each face's unit, in a random direction.

    With all other operations frozen, so what ties would pass on is left out.
    """
    network = search.network
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(network.output_shape, generator=generator, dtype=torch.float64)
    found: dict[int, Tensor] = {}

    def visit(index: int, weights: Tensor) -> None:
        if index in search.arguments:
            found[index] = weights.flatten().clone()

    adjoint_walk(one, {network.output: drawn[None].to(one.x.device)}, visit=visit)
    gain = torch.zeros(len(listed), dtype=torch.float64, device=one.x.device)
    for index, values in found.items():
        mine = listed.node == index
        gain[mine] = values[listed.unit[mine]]
    return gain


def _block_length(search: Search) -> int:
    """Return how many faces to look at first: fewer where a pass costs more."""
    return max(2, min(16, 1_000_000 // max(search.network.state_size, 1)))


def _empty(one: Frozen) -> _Examined:
    width = one.network.input_size
    none = torch.zeros(0, dtype=torch.float64, device=one.x.device)
    return _Examined(
        faces=joined([]),
        distance=none,
        normal=none.reshape(0, width),
        norm=none,
        counts=none > 0,
    )


def _examine(
    search: Search, one: Frozen, block: Faces, gain: Tensor, done: _Examined
) -> None:
    """Decide a block of faces in float64 and add them to what is done."""
    tol = search.tolerances
    rows = face_rows(one, block)
    norm = rows.norm(dim=1)
    varies = norm > tol.row * block.norm
    size = block.value.abs()
    size = torch.where(size <= tol.sign * block.scale, 0.0, size)
    distance = torch.where(varies, size / norm, torch.inf)
    # Towards the face: down for what is positive (a winner's lead always counts so).
    leads = (block.value > 0) | (block.minus >= 0)
    towards = torch.where(leads, -1.0, 1.0)[:, None]
    normal = towards * rows / torch.where(varies, norm, 1.0)[:, None]
    counts = torch.isfinite(distance)
    if search.effective:
        blur = torch.where(varies, tol.sign * block.scale / norm, 0.0)
        known = (gain != 0) & counts & _alone(distance)
        best = min(done.best, float(torch.where(known, distance, torch.inf).amin()))
        open_ = counts & ~known & (distance < best)
        counts = known.clone()
        counts[open_] = _effective(
            search, one, normal[open_], distance[open_], blur[open_]
        )
    done.faces = joined([done.faces, block])
    done.distance = torch.cat([done.distance, distance])
    done.normal = torch.cat([done.normal, normal])
    done.norm = torch.cat([done.norm, norm])
    done.counts = torch.cat([done.counts, counts])


def _alone(distance: Tensor) -> Tensor:
    """Tell which faces cannot share their hyperplane with another of the block.

    What several units on one hyperplane do to the output may cancel.
    """
    ordered, order = distance.sort()
    apart = ordered[1:] - ordered[:-1] > SAME * ordered[1:]
    edge = torch.ones(1, dtype=torch.bool, device=distance.device)
    alone = torch.cat([edge, apart]) & torch.cat([apart, edge])
    result = torch.zeros_like(alone)
    result[order] = alone
    return result


def _effective(
    search: Search, one: Frozen, normal: Tensor, distance: Tensor, blur: Tensor
) -> Tensor:
    """Tell which faces change the output's map, nearest first, up to the first one."""
    counts = torch.zeros_like(distance, dtype=torch.bool)
    order = distance.argsort()
    network = search.network
    largest = _largest_row(one, network.output) if len(order) else 0.0
    step = max(1, min(64, 1_000_000 // max(network.state_size, 1)))
    for low in range(0, len(order), step):
        some = order[low : low + step]
        found = crossing(
            one, network.output, normal[some], distance[some], blur[some], largest
        )
        counts[some] = found.beyond
        if bool(found.beyond.any()):
            # Those further off that share the hyperplane are told by their normals.
            break
    return counts


def _largest_row(one: Frozen, end: int) -> float:
    size = one.network.output_size
    if size > 64:
        return 0.0
    unit = torch.eye(size, dtype=torch.float64, device=one.x.device)[None]
    rows = pull(one, unit, 0, end)
    return float(rows.norm(dim=1).max()) if rows.numel() else 0.0


def _decided(
    search: Search,
    one: Frozen,
    norms: RowNorms,
    sample: int,
    done: _Examined,
    lower: Tensor,
    seen: int,
) -> Nearest:
    best = done.best
    gave_up = seen < len(lower) and float(lower[seen]) < best
    bound = min(best, float(lower[seen])) if gave_up else best
    distance, reason = bound, ""
    if search.effective and bool(
        (done.distance[~done.counts] < bound * (1 - SAME)).any()
    ):
        distance = _proved(search, one, norms, sample, done, bound)
    if gave_up:
        reason = f"{seen} faces nearer than any effective one; more were not examined"
    elif distance < best:
        reason = "units that switch nearer may change what lies beyond them"
    normal, units = _sharing(search, one, done, best)
    return Nearest(
        distance=distance,
        upper=best,
        complete=not reason,
        normal=normal,
        units=units,
        examined=seen,
        reason=reason,
        deviation=_deviation(done),
    )


def _proved(
    search: Search,
    one: Frozen,
    norms: RowNorms,
    sample: int,
    done: _Examined,
    bound: float,
) -> float:
    """Return the bound if the output is affine up to it, else the largest proved."""
    exact = _with_exact_norms(search, norms, sample, done)
    end = search.network.output

    def affine_within(radius: float) -> bool:
        return excess(one, end, exact, 0, radius, search.maps) == 0.0

    low, high = _bracket(affine_within, float(done.distance.min()), bound)
    if high == bound:
        return bound
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if affine_within(middle) else (low, middle)
    return low


def _bracket(
    affine_within: Callable[[float], bool], nearest: float, bound: float
) -> tuple[float, float]:
    """Return a radius that is proved and one that is not, or the bound twice."""
    if bound < torch.inf:
        proved = affine_within(bound * (1 - SAME))
        return (bound, bound) if proved else (nearest * (1 - SAME), bound * (1 - SAME))
    low = nearest * (1 - SAME)
    for _ in range(1000):
        if not affine_within(2 * low):
            return low, 2 * low
        low *= 2
        if low in (0.0, torch.inf):
            break
    return (bound, bound) if low == torch.inf else (0.0, nearest)


def _with_exact_norms(
    search: Search, norms: RowNorms, sample: int, done: _Examined
) -> RowNorms:
    """Return the sample's norms, raised by the margin unless known exactly."""
    raised = 1 + search.margin
    entries = {i: v[sample : sample + 1] * raised for i, v in norms.entries.items()}
    leads = {i: v[sample : sample + 1] * raised for i, v in norms.leads.items()}
    for place in range(len(done.faces)):
        face = done.faces.take(torch.tensor([place]))
        node, unit, plus, minus = (
            int(part) for part in (face.node, face.unit, face.plus, face.minus)
        )
        if minus < 0:
            entries[int(face.source)][0, plus] = done.norm[place]
            continue
        kind = search.network.nodes[node]
        if isinstance(kind, Maximum):
            table, real = kind.groups.ragged.padded()
            leads[node][0, unit, real[unit] & (table[unit] == minus)] = done.norm[place]
    return RowNorms(entries=entries, leads=leads)


def _sharing(
    search: Search, one: Frozen, done: _Examined, best: float
) -> tuple[Tensor, tuple[TightUnit, ...]]:
    """Return the normal of the nearest face and all units that switch there."""
    network = search.network
    if best == torch.inf:
        return torch.zeros(network.input_size, dtype=torch.float64), ()
    chosen = torch.where(done.counts, done.distance, torch.inf).argmin()
    normal = done.normal[chosen]
    near = (done.distance - best).abs() <= SAME * best
    shares = near & ((done.normal @ normal).abs() >= 1 - SAME)
    places = [int(chosen), *(p for p in shares.nonzero().flatten().tolist())]
    units = [
        TightUnit(
            layer=source_name(network, int(done.faces.node[p])),
            unit=int(done.faces.unit[p]),
        )
        for p in places
    ]
    return normal, tuple(dict.fromkeys(units))


def _deviation(done: _Examined) -> float:
    known = done.norm > 0
    if not bool(known.any()):
        return 0.0
    ratio = done.faces.norm[known] / done.norm[known] - 1
    finite = torch.isfinite(done.distance[known])
    return float(ratio[finite].abs().max()) if bool(finite.any()) else 0.0
