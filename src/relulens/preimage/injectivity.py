"""Whether a layer tells all values of what it reads apart."""

from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.certificates.subjects import GivenMatrix, LayerMap, Weights, weights_of
from relulens.certificates.system import Indices, System, rows_of
from relulens.certificates.target import clamp_width, slopes
from relulens.certificates.whole_numbers import at_least_zero, reduced, whole_rows
from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.graph.tolerances import Tolerances
from relulens.preimage.cone import Certificate, Cone, decide
from relulens.preimage.fewest_active import fewest_active
from relulens.preimage.flats import by_flats
from relulens.preimage.opposite_rows import opposite_rows
from relulens.preimage.question import Question, question

_EXACT_COLUMNS = 24
_PAIRED_ENTRIES = 3_000_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Injectivity:
    """Whether different values always give different features.

    Attributes:
        verdict: ``"injective"``, ``"not"`` or ``"undecided"``.
        method: What settled it: ``"flats"`` (exact), ``"opposite rows"``, ``"rank"``,
            ``"search"``, ``"counting"`` (maxima), ``"saturation"`` (clamps),
            ``"symmetry"`` (abs), or ``"none"``.
        reason: In words.
        rows: Units with a row that is not zero.
        columns: Coordinates of what the layer reads.
        point: A point with the fewest active units found [columns]; nothing if the
            search was not needed.
        active: Units that are not negative there, in exact arithmetic on the float64
            coefficients.
        flats: Flats of rows that were checked; 0 if none.
        certificate: Proof of full rank behind the verdict, where it rests on one.
        context: What is known about layers with so many rows a column.
    """

    verdict: Literal["injective", "not", "undecided"]
    method: str
    reason: str
    rows: int
    columns: int
    point: Float[Tensor, " columns"] | None
    active: Int64[Tensor, " units"]
    flats: int
    certificate: Certificate | None
    context: str

    def __repr__(self) -> str:
        """Return the verdict on one line."""
        return (
            f"Injectivity({self.verdict!r}, {self.rows} rows on {self.columns}"
            f" coordinates: {self.reason})"
        )


def injectivity(
    network: object,
    /,
    *,
    layer: int | str | None = None,
    bias: object = None,
    flats: int = 20_000,
    starts: int = 20,
    seed: int = 0,
) -> Injectivity:
    r"""Return whether a layer is injective on all values of what it reads.

    :math:`x \mapsto \mathrm{relu}(Wx + b)` is injective iff at every x the rows with
    :math:`w_i x + b_i \ge 0` span. Inputs that a network can have may be fewer, so
    "not" is about the layer alone.

    Args:
        network: A network with ``layer``, or the matrix W [m, n] of a ReLU layer.
        layer: Index into ``network.layers``, or any name; for a network only.
        bias: Constant parts [m], for a matrix only; zero by default.
        flats: The most sets of n - 1 rows that the exact decision may look at.
        starts: Starts of the search for a point with few active units.
        seed: For the search.

    Raises:
        InvalidArgumentError: The arguments do not fit together.
        NotFiniteError: A number is NaN or infinite.
        NotPolyhedralError: The layer is curved.
        UnknownNameError: No layer has this name.

    Cost:
        The exact decision solves ``binomial(m, n - 1)`` problems of about 0.2 ms; the
        search is a few hundred products with W. It is coNP-complete in general.

    Example:
        >>> injectivity([[1.0], [-1.0]]).verdict
        'injective'
    """
    if isinstance(network, Network):
        if layer is None or bias is not None:
            raise InvalidArgumentError(
                "cannot ask about injectivity: a network was given with layer"
                f" {layer!r} and bias {bias!r}. Pass the layer, and no bias."
            )
        return _of_layer(network, layer, flats, starts, seed)
    if layer is not None:
        raise InvalidArgumentError(
            f"cannot ask about injectivity: layer {layer!r} was given with a"
            f" {type(network).__name__}, which has none. Pass a network, or no layer."
        )
    subject = GivenMatrix(matrix=torch.from_numpy(_array(network, 2)))
    weights = weights_of(subject)
    if bias is not None:
        weights.offset = _array(bias, 1)
    if weights.offset.size != weights.outs or weights.ins == 0:
        raise InvalidArgumentError(
            f"cannot ask about injectivity: {weights.offset.size} constant parts do not"
            f" fit a matrix [{weights.outs}, {weights.ins}]. Pass one a row, and at"
            " least one column."
        )
    return _relu(subject, weights, flats, starts, seed)


def _array(values: object, axes: int) -> Array:
    held = torch.as_tensor(values).detach().cpu().to(torch.float64)
    if held.ndim != axes:
        raise InvalidArgumentError(
            f"cannot ask about injectivity: an array has {held.ndim} axes, and {axes}"
            " are needed. Pass W [m, n] and bias [m]."
        )
    if not bool(held.isfinite().all()):
        raise NotFiniteError(
            f"cannot ask about injectivity: {int((~held.isfinite()).sum())} of"
            f" {held.numel()} numbers are NaN or infinite. Remove those rows."
        )
    return np.ascontiguousarray(held.numpy())


def _of_layer(
    network: Network, layer: int | str, flats: int, starts: int, seed: int
) -> Injectivity:
    asked = question(network, layer, "layer", None, Tolerances())
    subject = LayerMap(network=asked.network, node=asked.target.argument)
    weights = weights_of(subject)
    kind = asked.target.kind
    rank = _full_rank(subject, weights, np.arange(weights.outs))
    if rank.left == "some":
        return _result(weights, "not", "rank", "one direction changes no argument")
    if asked.target.injective:
        if rank.left == "undecided":
            return _result(weights, "undecided", "none", rank.reason)
        reason = "the rows have full rank, and the operation is injective"
        return _result(weights, "injective", "rank", reason, proof=rank.certificate)
    if isinstance(kind, TwoSlope) and asked.target.upper is None:
        negative, positive = slopes(kind)
        if not negative.any() and (positive != 0).all():
            return _relu(subject, weights, flats, starts, seed)
    return _repeating(asked, weights, seed)


def _repeating(asked: Question, weights: Weights, seed: int) -> Injectivity:
    """Return "not" for operations that certainly repeat values, else "undecided"."""
    kind = asked.target.kind
    if isinstance(kind, Maximum):
        groups = int(np.prod(kind.shape))
        if groups < weights.ins:
            reason = f"{groups} winners, and {weights.ins} are needed near any point"
            return _result(weights, "not", "counting", reason)
    elif asked.target.upper is not None:
        point = _saturated(weights, clamp_width(asked.network, asked.target), seed)
        if point is not None:
            reason = "at a point all units are outside their bounds, and stay so nearby"
            return _result(weights, "not", "saturation", reason, point=point)
    elif isinstance(kind, TwoSlope):
        negative, positive = slopes(kind)
        even = bool((negative == -positive).all())
        if even and not (weights.offset.any() or weights.offset_radius.any()):
            reason = "x and -x have the same features"
            return _result(weights, "not", "symmetry", reason)
    reason = "only ReLU and injective operations are decided for the whole layer"
    return _result(weights, "undecided", "none", reason)


def _saturated(weights: Weights, width: Array, seed: int) -> Array | None:
    """Return a point where every unit is clearly outside its bounds, if found."""
    generator = np.random.default_rng(seed)
    reach = float(np.abs(weights.offset).max(initial=0.0) + width.max(initial=0.0))
    for power in range(0, 13, 3):
        point = generator.standard_normal(weights.ins) * (1.0 + reach) * 10.0**power
        size = np.asarray(abs(weights.matrix) @ np.abs(point)) + np.abs(weights.offset)
        doubt = 1e-12 * size + weights.radius * np.abs(point).max(initial=0.0)
        doubt = doubt + weights.offset_radius
        value = np.asarray(weights.matrix @ point) + weights.offset
        if ((value < -doubt) | (value > width + doubt)).all():
            return point
    return None


def _full_rank(
    subject: GivenMatrix | LayerMap, weights: Weights, places: Indices
) -> Cone:
    none = rows_of(np.zeros(0, dtype=np.int64))
    return decide(System(subject=subject, equal=rows_of(places), below=none), weights)


def _relu(
    subject: GivenMatrix | LayerMap,
    weights: Weights,
    flats: int,
    starts: int,
    seed: int,
) -> Injectivity:
    held = weights.matrix
    rows = held if isinstance(held, np.ndarray) else held.toarray()
    used = np.flatnonzero(np.abs(rows).sum(1) > 0)
    rank = _full_rank(subject, weights, used)
    if rank.left == "some":
        return _result(weights, "not", "rank", "one direction changes no argument")
    kept, offset = np.ascontiguousarray(rows[used]), weights.offset[used]
    n = rows.shape[1]
    if rows.size <= _PAIRED_ENTRIES:
        pairs = opposite_rows(kept, offset)
        proof = _full_rank(subject, weights, used[pairs]) if pairs.size >= n else None
        if proof is not None and proof.left == "none":
            reason = "of opposite rows that span, one is active everywhere"
            return _result(
                weights, "injective", "opposite rows", reason, proof=proof.certificate
            )
    point, _ = fewest_active(kept, offset, starts=starts, seed=seed)
    active = used[at_least_zero(kept, offset, point)]
    if active.size < n:
        reason = f"{active.size} units are active at a point, and {n} are needed"
        return _result(weights, "not", "search", reason, point=point, active=active)
    if n <= _EXACT_COLUMNS and len(reduced(whole_rows(rows[active]))[1]) < n:
        reason = "the active units at a point do not span"
        return _result(weights, "not", "search", reason, point=point, active=active)
    if comb(kept.shape[0], n - 1) > flats or rank.left != "none":
        reason = f"no point with fewer than {active.size} active units was found"
        return _result(weights, "undecided", "none", reason, point=point, active=active)
    return _by_flats(weights, kept, offset, used, point)


def _by_flats(
    weights: Weights, kept: Array, offset: Array, used: Indices, point: Array
) -> Injectivity:
    answer = by_flats(kept, offset)
    at = point if answer.point is None else answer.point
    reasons = {
        "injective": "at every point the active units span",
        "not": "the active units at a point do not span",
        "undecided": f"{answer.open} of {answer.flats} flats are not settled",
    }
    return _result(
        weights,
        answer.verdict,
        "none" if answer.verdict == "undecided" else "flats",
        reasons[answer.verdict],
        point=at,
        active=used[at_least_zero(kept, offset, at)],
        flats=answer.flats,
    )


def _result(
    weights: Weights,
    verdict: Literal["injective", "not", "undecided"],
    method: str,
    reason: str,
    *,
    point: Array | None = None,
    active: Indices | None = None,
    flats: int = 0,
    proof: Certificate | None = None,
) -> Injectivity:
    count = int((np.asarray(abs(weights.matrix).sum(1)).reshape(-1) > 0).sum())
    held = np.zeros(0, dtype=np.int64) if active is None else active
    return Injectivity(
        verdict=verdict,
        method=method,
        reason=reason,
        rows=count,
        columns=weights.ins,
        point=None if point is None else torch.from_numpy(point),
        active=torch.from_numpy(held),
        flats=flats,
        certificate=proof,
        context=_context(count, weights.ins),
    )


def _context(m: int, n: int) -> str:
    return (
        f"{m / n:.3g} rows a coordinate. A ReLU layer needs at least 2, and 2 are"
        " enough by construction; independent Gaussian rows need 3.4 to 10.5, with"
        " 7.65 a proven upper bound and 6.698 the prediction of statistical physics."
    )
