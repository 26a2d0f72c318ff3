"""The nearest face of one region: candidates in order, then what lies between."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.freeze import Frozen, frozen_part
from relulens.graph.nodes import Maximum
from relulens.graph.polyhedral import source_name
from relulens.local.crossing import crossing
from relulens.local.examined import (
    SAME,
    Examined,
    block_length,
    examine,
    gains,
    nothing_examined,
)
from relulens.local.excess import excess, relus_over_maxima
from relulens.local.faces import Faces, entry_faces, faces, joined
from relulens.local.margin import TightUnit
from relulens.local.row_norms import RowNorms
from relulens.local.search import Search
from relulens.local.walk import Walked, walked

MOST_EXAMINED = 8192
"""Faces looked at one by one before a sample is given up."""

WIDENINGS = 8
"""How often the radius is doubled while no face is known that matters."""


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
    gain = gains(search, one, listed) if search.effective else torch.ones(len(listed))
    # At one distance, those that surely matter first.
    order = (gain == 0).to(torch.int8).argsort(stable=True)
    order = order[lower[order].argsort(stable=True)]
    done = nothing_examined(one)
    low, length = 0, block_length(search)
    while low < len(order) and float(lower[order[low]]) < done.best:
        if low >= MOST_EXAMINED:
            break
        block = order[low : low + length]
        examine(search, one, listed.take(block), gain[block], done)
        low, length = low + len(block), 2 * length
    return _decided(search, one, norms, sample, done, lower[order], low)


def _decided(
    search: Search,
    one: Frozen,
    norms: RowNorms,
    sample: int,
    done: Examined,
    lower: Tensor,
    seen: int,
) -> Nearest:
    best = done.best
    gave_up = seen < len(lower) and float(lower[seen]) < best
    bound = min(best, float(lower[seen])) if gave_up else best
    passed = done.distance[~done.counts] < bound * (1 - SAME)
    normal, units = _sharing(search, one, done, best)
    if not (search.effective and bool(passed.any())):
        found = _Bracket(lower=bound, upper=best, normal=normal, units=units)
    else:
        # The nearest face that counts may lie outside the region, behind those that do
        # not; there it is another one, or none.
        true = best < torch.inf and _bends(search, one, done, best)
        found = _Bracket(
            lower=_proved(search, one, norms, sample, done, bound),
            upper=best if true else torch.inf,
            normal=normal if true else torch.zeros_like(normal),
            units=units if true else (),
        )
        if found.lower < found.upper and search.exact:
            found = _walked(search, one, bound, found)
    complete = found.lower == found.upper
    return Nearest(
        distance=found.lower,
        upper=found.upper,
        complete=complete,
        normal=found.normal,
        units=found.units,
        examined=seen,
        reason="" if complete else _reason(gave_up, seen),
        deviation=_deviation(done),
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Bracket:
    lower: float
    upper: float
    normal: Tensor
    units: tuple[TightUnit, ...]


def _reason(gave_up: bool, seen: int) -> str:
    if gave_up:
        return f"{seen} faces nearer than any effective one; more were not examined"
    return "units that switch nearer may change what lies beyond them"


def _bends(search: Search, one: Frozen, done: Examined, best: float) -> bool:
    """Tell whether the output's slope is another one behind the nearest face."""
    chosen = torch.where(done.counts, done.distance, torch.inf).argmin()[None]
    blur = search.tolerances.sign * done.faces.scale[chosen] / done.norm[chosen]
    distance = done.distance[chosen]
    end = search.network.output
    found = crossing(one, end, done.normal[chosen], distance, blur, 0.0)
    return bool(found.beyond)


def _walked(search: Search, one: Frozen, bound: float, known: _Bracket) -> _Bracket:
    """Return the bracket after a walk over all regions within reach."""
    radius, best = known.upper, known
    for _ in range(WIDENINGS):
        if radius == torch.inf:
            radius = 2 * bound
        way = walked(search, one.x, radius)
        if way is None or way.distance < best.lower:
            return best
        if way.faces is not None:
            normal, units = way.towards, _named(search, way)
            return _Bracket(
                lower=way.distance, upper=way.upper, normal=normal, units=units
            )
        best = _Bracket(
            lower=way.distance, upper=best.upper, normal=best.normal, units=best.units
        )
        if not way.complete or best.upper < torch.inf or radius == torch.inf:
            return best
        radius = 2 * radius
    return best


def _named(search: Search, way: Walked) -> tuple[TightUnit, ...]:
    some: Faces | None = way.faces
    if some is None:
        return ()
    pairs = zip(some.node.tolist(), some.unit.tolist(), strict=True)
    named = [TightUnit(layer=source_name(search.network, n), unit=u) for n, u in pairs]
    return tuple(dict.fromkeys(named))


def _proved(
    search: Search,
    one: Frozen,
    norms: RowNorms,
    sample: int,
    done: Examined,
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
    search: Search, norms: RowNorms, sample: int, done: Examined
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
    search: Search, one: Frozen, done: Examined, best: float
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


def _deviation(done: Examined) -> float:
    known = done.norm > 0
    if not bool(known.any()):
        return 0.0
    ratio = done.faces.norm[known] / done.norm[known] - 1
    finite = torch.isfinite(done.distance[known])
    return float(ratio[finite].abs().max()) if bool(finite.any()) else 0.0
