"""The pre-image of features: how much of a layer's input they determine, proved."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from relulens.certificates.statement import (
    Reading,
    Statement,
    statement_at,
    subject_of,
)
from relulens.certificates.subjects import LayerMap, RegionMap, Weights, weights_of
from relulens.certificates.verdict import Closed, PreimageCertificate
from relulens.errors import InvalidArgumentError
from relulens.graph.freeze import node_values
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum
from relulens.graph.tolerances import Tolerances
from relulens.preimage.classify import Classified, classify, whole_bounded
from relulens.preimage.from_features import for_features
from relulens.preimage.question import Question, question
from relulens.preimage.result import Preimage, Verdict
from relulens.preimage.whole_union import WholeUnion, whole_union


def preimage(
    network: Network,
    x: object = None,
    /,
    *,
    layer: int | str,
    features: object = None,
    scope: Literal["layer", "region", "network"] | None = None,
    domain: object = None,
    budget: int = 2000,
    tol: Tolerances | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Preimage]:
    r"""Return how much a layer's features determine of what the layer reads.

    The pre-image of :math:`y = \mathrm{relu}(Ax + b)` is the polyhedron
    :math:`A_S x + b_S = y_S,\; A_Z x + b_Z \le 0` with S the positive units: a
    singleton iff active and tight rows leave no direction, bounded iff all rows do.

    Args:
        network: The network.
        x: Inputs [N, *input_shape]; exactly one of ``x`` and ``features`` is given.
        layer: Index into ``network.layers``, or any name.
        features: Features [N, *shape of the layer], for a layer whose features fix one
            piece (ReLU, leaky ReLU, clamp, affine).
        scope: ``"layer"``: in the space of all that the layer reads; ``"region"``: in
            the input space, on x's region; ``"network"``: in the input space, over all
            regions, or where that is not finished undecided with the pieces found. May
            be left out for a layer that reads the input alone, where all are one.
        domain: A ``Box`` on the input, a region of it that ``region_polytope`` returns,
            or a pair (A, b) for ``A v <= b`` on the variable; the network's domain by
            default, where the variable is the input.
        budget: The most choices of units' sides to look at where the pre-image is a
            union (``scope="network"``, abs, negative slopes, maxima).
        tol: ``tol.sign`` says which arguments are zero to rounding.
        seed: For the parts of the search that are random.
        progress: Called with the number done and the number of all.

    Returns:
        One result an input; a verdict comes with a certificate that was checked, and
        ``"undecided"`` with the reason.

    Raises:
        InvalidArgumentError: Both or none of ``x`` and ``features``, an unknown scope,
            a domain that does not fit or does not hold x, features outside the range.
        ShapeError: An array has another shape than needed.
        UnknownNameError: No layer has this name.
        NotPolyhedralError: The layer is curved and may repeat values.

    Cost:
        Per input one factorisation of the active rows [k, n], one product with their
        kernel, 0 to 15 Newton steps, one inverse [n, n]: for a layer 784 to 3500 about
        0.2 s. Certificates hold up to 4 n^2 bytes each.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])
        >>> preimage(network, [[2.0]], layer=0)[0].verdict
        'singleton'
    """
    if (x is None) == (features is None):
        given = 0 if x is None else 2
        raise InvalidArgumentError(
            f"cannot ask for a pre-image: {given} of x and features are given, and 1 is"
            " needed. Pass inputs as x, or features alone."
        )
    tolerances = tol or Tolerances()
    asked = question(network, layer, scope, domain, tolerances)
    if features is not None:
        return for_features(asked, features, progress)
    points = asked.network.as_input(x)
    return _for_inputs(asked, points, budget, progress)


def _for_inputs(
    asked: Question,
    points: Tensor,
    budget: int,
    progress: Callable[[int, int], None] | None,
) -> list[Preimage]:
    states = variables(asked, points)
    shared: Weights | None = None
    results: list[Preimage] = []
    for i in range(points.shape[0]):
        x = points[i : i + 1]
        subject = subject_of(asked.network, asked.target, asked.scope, x, asked.limits)
        weights = shared if shared is not None else weights_of(subject)
        if asked.scope == "layer":
            shared = weights
        results.append(one_preimage(asked, subject, weights, x, states[i], budget))
        if progress is not None:
            progress(i + 1, points.shape[0])
    return results


def variables(asked: Question, points: Tensor) -> Tensor:
    """Return what the question is about at every input, flat [N, columns]."""
    if asked.variable.leaves == (0,):
        return points.flatten(1)
    values = node_values(asked.network, points, asked.variable.leaves)
    return torch.cat([values[i].flatten(1) for i in asked.variable.leaves], dim=1)


def read(
    asked: Question,
    subject: LayerMap | RegionMap,
    weights: Weights,
    x: Tensor,
    point: Tensor,
    reading: Reading = "exact",
) -> Statement:
    """Return the conditions at one input.

    Raises:
        InvalidArgumentError: The input is outside the domain.
    """
    statement = statement_at(
        asked.network,
        asked.target,
        subject,
        weights,
        x,
        point,
        limits=asked.limits,
        tol=asked.tolerance,
        reading=reading,
    )
    if (statement.slack < 0).any():
        count, worst = int((statement.slack < 0).sum()), float(statement.slack.min())
        raise InvalidArgumentError(
            f"cannot ask about an input outside its domain: {count} of its conditions"
            f" fail, the worst by {-worst:.3g}. Pass inputs inside, or a larger domain."
        )
    return statement


def one_preimage(
    asked: Question,
    subject: LayerMap | RegionMap,
    weights: Weights,
    x: Tensor,
    point: Tensor,
    budget: int = 0,
) -> Preimage:
    """Return the result for one input, whose variable has the value ``point``."""
    statement = read(asked, subject, weights, x, point)
    found = classify(statement, weights, finite=asked.finite)
    readings = _readings(asked, subject, weights, x, point, statement, found)
    verdict, reason = found.verdict, found.reason
    if not statement.settled and len(set(readings)) > 1:
        verdict = "undecided"
        reason = (
            f"{statement.boundary.numel()} units are zero to rounding, and it matters"
        )
    union: Closed | None = None
    whole: WholeUnion | None = None
    if statement.one_of_many:
        verdict, reason, union = _whole(
            asked, statement, weights, found, verdict, reason
        )
    if asked.whole or (verdict == "undecided" and statement.one_of_many):
        if verdict == "undecided" and not statement.settled:
            found = replace(found, verdict="undecided")
        whole = whole_union(asked, found, weights, x, point, budget=budget)
        verdict, reason = whole.verdict, whole.reason
    certificate = _certificate(asked, x, verdict, found, union, whole)
    if certificate is not None and not certificate.check(
        statement, weights, parts=False
    ):
        verdict, certificate = "undecided", None
    return Preimage(
        verdict=verdict,
        piece=found.piece,
        dimension=found.dimension,
        variable=asked.variable.name,
        scope="network" if asked.whole else asked.scope,
        active=statement.active,
        inequalities=statement.below.count,
        columns=weights.ins,
        rank=found.rank,
        gap=found.gap,
        tight=int(statement.tight.size),
        boundary=statement.boundary,
        readings=readings,
        margin=found.margin,
        certificate=certificate,
        reason=reason,
        point=point.clone(),
        residual=0.0,
        pieces=() if whole is None else whole.pieces,
        complete=whole is not None and whole.complete,
    )


def _readings(
    asked: Question,
    subject: LayerMap | RegionMap,
    weights: Weights,
    x: Tensor,
    point: Tensor,
    statement: Statement,
    found: Classified,
) -> tuple[Verdict, Verdict]:
    if statement.boundary.numel() == 0:
        return found.piece, found.piece
    off = read(asked, subject, weights, x, point, "off")
    on = read(asked, subject, weights, x, point, "on")
    return (
        classify(off, weights, finite=asked.finite).piece,
        classify(on, weights, finite=asked.finite).piece,
    )


def _whole(
    asked: Question,
    statement: Statement,
    weights: Weights,
    found: Classified,
    verdict: Verdict,
    reason: str,
) -> tuple[Verdict, str, Closed | None]:
    """Return what x's piece says about the union of all pieces."""
    if verdict in {"unbounded", "undecided"}:
        return verdict, reason, None
    if verdict == "singleton":
        return (
            "undecided",
            "x's piece is a point, and other pieces are not ruled out",
            None,
        )
    if asked.finite or not isinstance(asked.target.kind, Maximum):
        return verdict, reason, None
    cone = whole_bounded(statement, weights)
    if cone.left == "none" and isinstance(cone.certificate, Closed):
        return verdict, "all pieces are bounded", cone.certificate
    return "undecided", "x's piece is bounded, and other pieces may not be", None


def _certificate(
    asked: Question,
    x: Tensor,
    verdict: Verdict,
    found: Classified,
    union: Closed | None,
    whole: WholeUnion | None,
) -> PreimageCertificate | None:
    if verdict == "undecided":
        return None
    elsewhere = None if whole is None else whole.elsewhere
    return PreimageCertificate(
        verdict=verdict,
        network=asked.network,
        layer=asked.target.name,
        scope=asked.scope,
        x=x,
        features=None,
        limits=asked.limits,
        tolerance=asked.tolerance,
        reading="exact",
        tangent=found.tangent,
        recession=None if verdict == "unbounded" and elsewhere else found.recession,
        union=union,
        whole=whole is not None,
        cover=None if whole is None else whole.cover,
        elsewhere=elsewhere,
    )
