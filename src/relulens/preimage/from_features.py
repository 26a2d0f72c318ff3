"""Pre-images from features alone: first a point, or a proof that there is none."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import lstsq
from torch import Tensor

from relulens.certificates.farkas import Farkas
from relulens.certificates.given_features import FEASIBLE, slack_at, statement_from
from relulens.certificates.rank import RankEvidence
from relulens.certificates.rounding import Array
from relulens.certificates.statement import Statement, subject_of
from relulens.certificates.subjects import Weights, weights_of
from relulens.certificates.system import numpy_of, take
from relulens.certificates.target import Target, clamp_width, slopes
from relulens.certificates.verdict import PreimageCertificate
from relulens.errors import InvalidArgumentError, NotFiniteError, ShapeError
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, TwoSlope
from relulens.numerics.least_squares import nonnegative_least_squares
from relulens.preimage.classify import classify
from relulens.preimage.kernel import kernel
from relulens.preimage.proofs import inverse_of, pivot_rows
from relulens.preimage.question import Question
from relulens.preimage.result import Preimage, Verdict


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Start:
    """A point that satisfies conditions, or multipliers that contradict them.

    Attributes:
        point: The point [ins], or nothing.
        multipliers: One a row, equalities first, or nothing.
    """

    point: Array | None = None
    multipliers: Array | None = None


def for_features(
    asked: Question, features: object, progress: Callable[[int, int], None] | None
) -> list[Preimage]:
    """Return a result for every row of features.

    Raises:
        InvalidArgumentError: The scope is not ``"layer"``, or features lie outside the
            range of the layer's operation.
        ShapeError: The features have another shape than the layer's.
        NotFiniteError: A feature is NaN or infinite.
    """
    if asked.scope != "layer":
        raise InvalidArgumentError(
            "cannot start from features on a region: 0 inputs are given, and 1 says"
            " which region. Pass x, or scope='layer'."
        )
    values = _checked(asked, features)
    results: list[Preimage] = []
    weights: Weights | None = None
    origin = torch.zeros((1, *asked.network.input_shape), dtype=torch.float64)
    subject = subject_of(asked.network, asked.target, "layer", origin, asked.limits)
    for i in range(values.shape[0]):
        weights = weights_of(subject) if weights is None else weights
        row = values[i : i + 1]
        statement = statement_from(
            asked.network, asked.target, subject, weights, row, asked.limits
        )
        start = feasible(statement, weights)
        results.append(_answer(asked, weights, row, statement, start))
        if progress is not None:
            progress(i + 1, values.shape[0])
    return results


def _checked(asked: Question, features: object) -> Tensor:
    values = torch.as_tensor(features).detach().cpu().to(torch.float64)
    shape = asked.network.nodes[asked.target.feature].shape
    if values.ndim == 0 or tuple(values.shape[1:]) != shape:
        missing = tuple(values.shape) == shape
        raise ShapeError(
            "features",
            tuple(values.shape),
            shape,
            "The batch axis is missing: pass features[None]."
            if missing
            else f"Pass what layer {asked.target.name!r} gives, batch axis first.",
        )
    if not bool(torch.isfinite(values).all()):
        bad = int((~torch.isfinite(values)).sum())
        raise NotFiniteError(
            f"cannot use features: {bad} of {values.numel()} numbers are NaN or"
            " infinite. Remove those rows."
        )
    low, high = feature_range(asked.network, asked.target)
    flat = values.flatten(1).numpy()
    outside = (flat < low) | (flat > high)
    if outside.any():
        raise InvalidArgumentError(
            f"cannot use features of layer {asked.target.name!r}: {int(outside.sum())}"
            f" of {flat.size} lie outside its range {low.min():g}..{high.max():g}, the"
            f" first is {flat[outside][0]:g}. Pass features the layer can give."
        )
    return values


def feature_range(network: Network, target: Target) -> tuple[Array, Array]:
    """Return the lowest and the highest value that the operation itself can give."""
    size = int(np.prod(network.nodes[target.feature].shape))
    low, high = np.full(size, -np.inf), np.full(size, np.inf)
    if not isinstance(target.kind, TwoSlope):
        return low, high
    if target.upper is not None:
        readout = network.nodes[target.feature]
        if isinstance(readout, Affine) and readout.bias is not None:
            bias = readout.bias.to(torch.float64).expand(readout.shape)
            high = bias.reshape(-1).numpy()
            low = high - clamp_width(network, target)
        return low, high
    negative, positive = slopes(target.kind)
    low[(negative <= 0) & (positive >= 0)] = 0.0
    high[(negative >= 0) & (positive <= 0)] = 0.0
    return low, high


def feasible(statement: Statement, weights: Weights) -> Start:
    """Return a point that satisfies the conditions, or multipliers against them.

    After the equalities are solved, one nonnegative least-squares problem gives either
    the nearest point or a contradiction (Lawson and Hanson's least-distance program).
    """
    equal = take(weights, statement.equal).matrix
    below = take(weights, statement.below).matrix
    k = statement.equal.count
    right = _sides(statement, weights)
    dense = equal if isinstance(equal, np.ndarray) else equal.toarray()
    left = kernel(dense)
    base = np.zeros(weights.ins)
    if k:
        base = lstsq(dense, right[:k], lapack_driver="gelsy")[0]
        rest = right[:k] - dense @ base
        if np.abs(rest).max() > FEASIBLE * max(np.abs(right[:k]).max(), 1e-300):
            none = np.zeros(statement.below.count)
            return Start(multipliers=np.concatenate([-rest, none]))
    gap = right[k:] - np.asarray(below @ base)
    if gap.min(initial=0.0) >= 0:
        return Start(point=base)
    inside = np.asarray(below @ left.basis)
    step, factors = _nearest(inside, gap)
    if step is not None:
        return Start(point=base + left.basis @ step)
    on_equal = np.zeros(k)
    on_equal[left.independent] = left.solve(-np.asarray(below.T @ factors))
    return Start(multipliers=np.concatenate([on_equal, factors]))


def _nearest(inside: Array, gap: Array) -> tuple[Array | None, Array]:
    """Return the shortest z with ``inside z <= gap``, or multipliers against it."""
    size = np.maximum(np.sqrt((inside**2).sum(1) + gap**2), 1e-300)
    table = np.concatenate([inside, gap[:, None]], axis=1) / size[:, None]
    wanted = np.zeros(inside.shape[1] + 1)
    wanted[-1] = -1.0
    found, distance = nonnegative_least_squares(np.ascontiguousarray(table.T), wanted)
    rest = wanted - table.T @ found
    if distance > 1e-8 and -rest[-1] > 1e-16:
        return rest[:-1] / -rest[-1], found
    return None, found / size


def _sides(statement: Statement, weights: Weights) -> Array:
    """Return right-hand sides with the offsets of the weights taken off."""
    rows = statement.equal.with_rows(statement.below)
    index, sign = rows.index.numpy(), numpy_of(rows.sign)
    plain = index < weights.outs
    right = statement.right.copy()
    right[plain] -= weights.offset[index[plain]] * sign[plain]
    return right


def _answer(
    asked: Question, weights: Weights, row: Tensor, open_: Statement, start: Start
) -> Preimage:
    if start.point is None:
        return _without_point(asked, weights, row, open_, start)
    point = torch.from_numpy(start.point)
    statement = statement_from(
        asked.network, asked.target, open_.subject, weights, row, asked.limits, point
    )
    k = statement.equal.count
    both = statement.equal.with_rows(statement.below)
    slack = slack_at(weights, both, statement.right, start.point)
    worst = max(np.abs(slack[:k]).max(initial=0.0), -slack[k:].min(initial=0.0))
    if worst > 0:
        reason = f"the nearest point found misses the conditions by {worst:.3g}"
        return _result(asked, weights, statement, "undecided", reason, None, worst)
    found = classify(statement, weights, finite=asked.finite)
    certificate = None
    if found.verdict != "undecided":
        certificate = PreimageCertificate(
            verdict=found.verdict,
            network=asked.network,
            layer=asked.target.name,
            scope="layer",
            x=None,
            features=row,
            limits=asked.limits,
            tolerance=asked.tolerance,
            reading="exact",
            point=point,
            tangent=found.tangent,
            recession=found.recession,
        )
    return replace(
        _result(
            asked, weights, statement, found.verdict, found.reason, certificate, 0.0
        ),
        dimension=found.dimension,
        rank=found.rank,
        gap=found.gap,
        margin=found.margin,
    )


def _without_point(
    asked: Question, weights: Weights, row: Tensor, statement: Statement, start: Start
) -> Preimage:
    """Return ``"empty"`` if the contradiction is a proof, else ``"undecided"``."""
    proof = _contradiction(statement, weights, start)
    if proof is None:
        reason = "neither a point nor a contradiction passed its check"
        return _result(asked, weights, statement, "undecided", reason, None, np.inf)
    certificate = PreimageCertificate(
        verdict="empty",
        network=asked.network,
        layer=asked.target.name,
        scope="layer",
        x=None,
        features=row,
        limits=asked.limits,
        tolerance=asked.tolerance,
        reading="exact",
        contradiction=proof,
    )
    reason = "the layer never gives these features"
    return _result(asked, weights, statement, "empty", reason, certificate, np.inf)


def _contradiction(
    statement: Statement, weights: Weights, start: Start
) -> Farkas | None:
    if start.multipliers is None:
        return None
    factors = start.multipliers / np.abs(start.multipliers).max()
    rows = take(weights, statement.equal.with_rows(statement.below)).matrix
    dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
    evidence: list[RankEvidence | None] = [None]
    if dense.shape[0] >= dense.shape[1]:
        k = statement.equal.count
        weight = np.abs(factors)
        weight[:k] = max(float(weight.max()), 1.0)
        chosen = pivot_rows(dense * weight[:, None])
        evidence.append(inverse_of(dense, chosen, torch.float64))
    for part in evidence:
        for whole in (_whole_numbers(factors), factors):
            proof = Farkas(
                system=statement.cone(),
                values=torch.from_numpy(statement.right),
                multipliers=torch.from_numpy(whole),
                evidence=part,
            )
            if proof.check(weights):
                return proof
    return None


def _whole_numbers(factors: Array) -> Array:
    """Return nearby ratios of small whole numbers, which may cancel exactly."""
    least = np.abs(factors[np.abs(factors) > 1e-9]).min()
    for scale in range(1, 61):
        ratio = factors / least * scale
        if np.abs(ratio - np.round(ratio)).max() < 1e-7 * max(np.abs(ratio).max(), 1.0):
            return np.round(ratio)
    return factors


def _result(
    asked: Question,
    weights: Weights,
    statement: Statement,
    verdict: Verdict,
    reason: str,
    certificate: PreimageCertificate | None,
    residual: float,
) -> Preimage:
    empty = verdict == "empty"
    return Preimage(
        verdict=verdict,
        piece=verdict,
        dimension=None,
        variable=asked.variable.name,
        scope="layer",
        active=statement.active,
        inequalities=statement.below.count,
        columns=weights.ins,
        rank=None,
        gap=None,
        tight=0 if empty else int(statement.tight.size),
        boundary=statement.boundary,
        readings=(verdict, verdict),
        margin=None,
        certificate=certificate,
        reason=reason,
        point=None if empty else statement.point,
        residual=residual,
    )
