"""The proof of a whole verdict about one input's features."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.cover import Cover
from relulens.certificates.farkas import Farkas
from relulens.certificates.given_features import slack_at, statement_from
from relulens.certificates.piece import PieceProof
from relulens.certificates.rank import FullRank, RowCount
from relulens.certificates.recession import Recession
from relulens.certificates.spanning import PositiveSpanning
from relulens.certificates.statement import (
    Limits,
    Reading,
    Scope,
    Statement,
    statement_at,
    subject_of,
    variable_at,
)
from relulens.certificates.subjects import Weights, weights_of
from relulens.certificates.system import Rows, System
from relulens.certificates.target import target_of
from relulens.certificates.union import UnionCheck, leaving, within
from relulens.certificates.verification import Verification, refused
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum

Closed: TypeAlias = FullRank | PositiveSpanning
Open: TypeAlias = Recession | RowCount
VERDICTS = ("singleton", "bounded", "unbounded", "empty")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PreimageCertificate:
    """What proves a pre-image's verdict, with the input it is about.

    Attributes:
        verdict: What is proved: ``"singleton"``, ``"bounded"``, ``"unbounded"`` or
            ``"empty"``.
        network: The network, float64.
        layer: Name of the layer.
        scope: ``"layer"`` or ``"region"``.
        x: The input [1, *input_shape], if the features came from one.
        features: The features [1, *shape], if they were given instead.
        limits: What the variable is known to satisfy.
        tolerance: Arguments below it, relative to their terms, count as zero.
        point: A value of the variable that gives the features, if these were given.
        reading: How arguments that are zero to rounding are read.
        tangent: Proof about directions that stay in the set for a while: none for a
            singleton, some for a bounded set.
        recession: Proof about directions that never leave: none for a bounded set,
            unless a finite box bounds it, some for an unbounded one.
        union: Proof that all pieces are bounded, where x's is one of many.
        contradiction: Proof that there is no point, for an empty set.
        whole: Whether the verdict is about all pieces of a union, not x's alone.
        cover: Proof that the union has no other pieces than those listed.
        elsewhere: Another point with the same features, where x's piece is one point.
    """

    verdict: str
    network: Network
    layer: str
    scope: Scope
    x: Tensor | None
    features: Tensor | None
    limits: Limits | None
    tolerance: float
    reading: Reading
    point: Tensor | None = None
    tangent: Closed | Open | None = None
    recession: Closed | Open | None = None
    union: Closed | None = None
    contradiction: Farkas | None = None
    whole: bool = False
    cover: Cover | None = None
    elsewhere: PieceProof | None = None

    def __repr__(self) -> str:
        """Return what is proved on one line."""
        return (
            f"PreimageCertificate({self.verdict!r}, layer={self.layer!r},"
            f" scope={self.scope!r})"
        )

    def verify(self) -> Verification:
        """Check the proof from the raw weights, the input, and nothing else."""
        target = target_of(self.network, self.layer)
        origin = torch.zeros((1, *self.network.input_shape), dtype=torch.float64)
        start = origin if self.x is None else self.x
        subject = subject_of(self.network, target, self.scope, start, self.limits)
        weights = weights_of(subject)
        if self.x is not None:
            point = variable_at(self.network, target, self.scope, self.x)
            statement = statement_at(
                self.network,
                target,
                subject,
                weights,
                self.x,
                point,
                limits=self.limits,
                tol=self.tolerance,
                reading=self.reading,
            )
            if (statement.slack < 0).any():
                return refused("the input is outside the set it is said to lie in")
        elif self.features is not None:
            statement = statement_from(
                self.network,
                target,
                subject,
                weights,
                self.features,
                self.limits,
                self.point,
            )
            if not self._met(statement, weights):
                return refused("the point does not give the features")
        else:
            return refused("neither an input nor features are given")
        return self.check(statement, weights)

    def _met(self, statement: Statement, weights: Weights) -> bool:
        if self.point is None:
            return self.verdict == "empty"
        right = statement.right[: statement.equal.count]
        equal = slack_at(weights, statement.equal, right, self.point.numpy())
        return not equal.any() and bool((statement.slack >= 0).all())

    def check(
        self, statement: Statement, weights: Weights, *, parts: bool = True
    ) -> Verification:
        """Check the proof against a statement that was made before.

        Args:
            statement: The conditions at the input.
            weights: The rows as numbers.
            parts: Whether the parts are checked too, not only that they are about these
                conditions.
        """
        given = weights if parts else None
        match self.verdict:
            case "singleton":
                return self._single(statement, given)
            case "unbounded" if self.recession is None and self.elsewhere is not None:
                return self._union().unbounded(statement.point, self.elsewhere)
            case "unbounded":
                return self._open(self.recession, statement.cone(), given)
            case "bounded":
                return self._bounded(statement, given)
            case "empty":
                return self._empty(statement, weights)
            case _:
                return refused(f"{self.verdict!r} is none of {', '.join(VERDICTS)}")

    def _union(self) -> UnionCheck:
        target = target_of(self.network, self.layer)
        return UnionCheck(
            network=self.network,
            target=target,
            scope=self.scope,
            limits=self.limits,
        )

    def _single(self, statement: Statement, given: Weights | None) -> Verification:
        if (self.whole or statement.one_of_many) and self.cover is None:
            return refused("other pieces of the union are not ruled out")
        closed = self._closed(self.tangent, statement.tangent(), given)
        if closed and self.cover is not None:
            return self._union().alone(statement.point, self.cover, given is not None)
        return closed

    def _bounded(self, statement: Statement, given: Weights | None) -> Verification:
        if not self._finite():
            closed = self._all_closed(statement, given)
            if not closed:
                return closed
        if self.elsewhere is not None:
            return self._union().several(statement.point, self.elsewhere)
        return self._open(self.tangent, statement.tangent(), given)

    def _all_closed(self, statement: Statement, given: Weights | None) -> Verification:
        if self.cover is not None:
            return self._union().closed(statement.point, self.cover, given is not None)
        if self.whole:
            return refused("other pieces of the union are not looked at")
        closed = self._closed(self.recession, statement.cone(), given)
        kind = target_of(self.network, self.layer).kind
        if closed and statement.one_of_many and isinstance(kind, Maximum):
            every = System(
                subject=statement.subject,
                equal=statement.equal.at(np.zeros(0, dtype=np.int64)),
                below=statement.equal.with_rows(statement.below),
            )
            closed = self._closed(self.union, every, given)
        return closed

    def _finite(self) -> bool:
        return self.limits is not None and self.limits.finite

    def _closed(
        self, part: Closed | Open | None, system: System, weights: Weights | None
    ) -> Verification:
        if not isinstance(part, FullRank | PositiveSpanning):
            return refused("no proof that no direction is left")
        return within(part, system, weights)

    def _open(
        self, part: Closed | Open | None, system: System, weights: Weights | None
    ) -> Verification:
        if not isinstance(part, Recession | RowCount):
            return refused("no proof that a direction is left")
        return leaving(part, system, weights)

    def _empty(self, statement: Statement, weights: Weights) -> Verification:
        part = self.contradiction
        if part is None:
            return refused("no contradiction is given")
        used, given = part.system, statement
        rows = used.equal.with_rows(used.below)
        known = _values(given.equal, given.right[: given.equal.count])
        below = _values(given.below, given.right[given.equal.count :])
        stated = part.values.tolist()
        for place, key in enumerate(_keys(rows)):
            source = known if place < used.equal.count else below
            if source.get(key) != stated[place]:
                return refused(
                    "the proof uses conditions that the features do not give"
                )
        return part.check(weights)


def _keys(rows: Rows) -> list[tuple[int, float]]:
    return list(zip(rows.index.tolist(), rows.sign.tolist(), strict=True))


def _values(rows: Rows, right: np.ndarray) -> dict[tuple[int, float], float]:
    return dict(zip(_keys(rows), right.tolist(), strict=True))
