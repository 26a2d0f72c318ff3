"""Classify one statement: singleton, bounded or unbounded, each with its proof."""

from dataclasses import dataclass

import numpy as np

from relulens.certificates.statement import Statement
from relulens.certificates.subjects import Weights
from relulens.certificates.system import System, rows_of, take
from relulens.errors import MemoryLimitError
from relulens.preimage.cone import Certificate, Cone, decide
from relulens.preimage.dimension import implied_rank
from relulens.preimage.kernel import Kernel, kernel
from relulens.preimage.projected import projected
from relulens.preimage.result import Verdict

KERNEL_COLUMNS = 4096
"""Past so many coordinates the dimension is left open where counting settles all."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Classified:
    """A verdict on one statement.

    Attributes:
        verdict: The whole set's.
        piece: x's own piece's.
        dimension: Of the piece, if computed.
        rank: Of the equalities, if computed.
        gap: The pivot gap behind it.
        margin: Of the deciding test.
        tangent: Proof about directions that stay for a while.
        recession: Proof about directions that never leave.
        reason: In words.
    """

    verdict: Verdict
    piece: Verdict
    dimension: int | None
    rank: int | None
    gap: float | None
    margin: float | None
    tangent: Certificate | None
    recession: Certificate | None
    reason: str


def _result(
    verdict: Verdict,
    reason: str,
    *,
    dimension: int | None = None,
    left: Kernel | None = None,
    rank: int | None = None,
    margin: float | None = None,
    tangent: Certificate | None = None,
    recession: Certificate | None = None,
) -> Classified:
    return Classified(
        verdict=verdict,
        piece=verdict,
        dimension=dimension,
        rank=left.rank if left is not None else rank,
        gap=None if left is None else left.gap,
        margin=margin,
        tangent=tangent,
        recession=recession,
        reason=reason,
    )


def classify(statement: Statement, weights: Weights, *, finite: bool) -> Classified:
    """Return the verdict on one statement.

    Args:
        statement: The conditions at a point.
        weights: The rows as numbers.
        finite: Whether a finite box bounds the variable.

    Cost:
        As ``decide``, once or twice, with one factorisation for both.
    """
    n, k = weights.ins, statement.equal.count
    if not finite and k < n and k + statement.below.count <= n:
        return _counted(statement, weights)
    left: Kernel | None = None
    if k >= n:
        cone = decide(statement.tangent(), weights)
        if cone.left == "none":
            return _single(cone, n)
        left = cone.kernel
    try:
        left = kernel(take(weights, statement.equal).matrix) if left is None else left
    except MemoryLimitError as error:
        return _result("undecided", str(error))
    return _by_cones(statement, weights, left, finite=finite)


def _counted(statement: Statement, weights: Weights) -> Classified:
    cone = decide(statement.cone(), weights)
    left = None
    if weights.ins <= KERNEL_COLUMNS:
        left = kernel(take(weights, statement.equal).matrix)
    dimension = None if left is None else _dimension(statement, weights, left)
    return _result(
        "unbounded",
        cone.reason,
        dimension=dimension,
        left=left,
        recession=cone.certificate,
    )


def _single(cone: Cone, rank: int) -> Classified:
    known = rank if cone.kernel is None else None
    return _result(
        "singleton",
        cone.reason,
        dimension=0,
        left=cone.kernel,
        rank=known,
        margin=cone.margin,
        tangent=cone.certificate,
    )


def _dimension(statement: Statement, weights: Weights, left: Kernel) -> int | None:
    freedom = weights.ins - left.rank
    tight = statement.tight
    if freedom == 0 or tight.size == 0:
        return freedom
    try:
        rows = take(weights, statement.below.at(tight)).matrix
        inside = projected(rows, left.basis)
    except MemoryLimitError:
        return None
    implied = implied_rank(inside.rows)
    return None if implied is None else freedom - implied


def _by_cones(
    statement: Statement, weights: Weights, left: Kernel, *, finite: bool
) -> Classified:
    tangent = decide(statement.tangent(), weights, left)
    if tangent.left == "none":
        return _single(tangent, weights.ins)
    if tangent.left == "undecided" and left.rank == weights.ins:
        return _result("undecided", tangent.reason, left=left, margin=0.0)
    dimension = _dimension(statement, weights, left)
    if finite:
        verdict: Verdict = "bounded" if tangent.left == "some" else "undecided"
        return _result(
            verdict,
            tangent.reason,
            dimension=dimension,
            left=left,
            margin=tangent.margin,
            tangent=tangent.certificate,
        )
    cone = decide(statement.cone(), weights, left)
    if cone.left == "some":
        return _result(
            "unbounded",
            cone.reason,
            dimension=dimension,
            left=left,
            margin=cone.margin,
            recession=cone.certificate,
        )
    if cone.left == "none" and tangent.left == "some":
        return _result(
            "bounded",
            cone.reason,
            dimension=dimension,
            left=left,
            margin=cone.margin,
            tangent=tangent.certificate,
            recession=cone.certificate,
        )
    open_ = cone if cone.left == "undecided" else tangent
    return _result(
        "undecided", open_.reason, dimension=dimension, left=left, margin=0.0
    )


def whole_bounded(statement: Statement, weights: Weights) -> Cone:
    """Return whether every piece of a union is bounded, by its common conditions.

    Each piece of a maximum keeps all entries below the features, so that the cone of
    all rows, none with equality, holds every piece's directions.
    """
    none = rows_of(np.zeros(0, dtype=np.int64))
    below = statement.equal.with_rows(statement.below)
    return decide(System(subject=statement.subject, equal=none, below=below), weights)
