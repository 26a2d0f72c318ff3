"""Checks of what is said about all pieces of a union, from the raw weights."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.cover import Cover
from relulens.certificates.exact_maps import ExactMaps, exact_maps
from relulens.certificates.piece import PieceProof
from relulens.certificates.rank import FullRank, RowCount
from relulens.certificates.recession import Recession
from relulens.certificates.spanning import PositiveSpanning
from relulens.certificates.statement import Limits, Scope
from relulens.certificates.subjects import Weights
from relulens.certificates.system import Rows, System
from relulens.certificates.target import Target
from relulens.certificates.verification import Verification, accepted, refused
from relulens.graph.network import Network


def within(
    part: FullRank | PositiveSpanning, system: System, weights: Weights | None
) -> Verification:
    """Check that a proof that no direction is left is about a system, and the proof."""
    used = part.system
    if not (_among(used.equal, system.equal) and _among(used.below, system.below)):
        return refused("the proof uses conditions that the features do not give")
    if weights is None:
        return accepted("the proof is about these conditions")
    return part.check(weights)


def leaving(
    part: Recession | RowCount, system: System, weights: Weights | None
) -> Verification:
    """Check that a proof that a direction is left is about a system, and the proof."""
    used = part.system
    if not _among(system.equal, used.equal):
        return refused("the direction is free of an equality that the features give")
    if not _among(system.below, used.below.with_rows(used.equal)):
        return refused("the direction is free of a condition that the features give")
    if weights is None:
        return accepted("the proof is about these conditions")
    return part.check(weights)


def _among(rows: Rows, others: Rows) -> bool:
    """Tell whether all rows are among others; an equality covers both signs."""
    code = 2 * rows.index.numpy() + (rows.sign.numpy() > 0)
    other = 2 * others.index.numpy() + (others.sign.numpy() > 0)
    return bool(np.isin(code, other).all())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UnionCheck:
    """What a union's proofs are about.

    Attributes:
        network: The network, float64.
        target: The layer.
        scope: Whether the variable is the input or what the layer reads.
        limits: What it is known to satisfy.
    """

    network: Network
    target: Target
    scope: Scope
    limits: Limits | None

    def _maps(self) -> ExactMaps:
        return exact_maps(self.network, self.target, whole=self.scope == "region")

    def alone(self, point: Tensor, cover: Cover, parts: bool) -> Verification:
        """Check that x's piece is the only one."""
        maps = self._maps()
        if cover.pieces() != [maps.features(point.numpy())[0]]:
            return refused("other pieces of the union are not ruled out")
        return cover.check(maps, point, self.limits) if parts else _about()

    def closed(self, point: Tensor, cover: Cover, parts: bool) -> Verification:
        """Check that all pieces are bounded."""
        if not parts:
            return _about()
        maps = self._maps()
        if any(not self._same(proof) for proof in cover.closed):
            return refused("a piece is about another domain")
        covered = cover.check(maps, point, self.limits)
        return cover.bounded(maps, point) if covered else covered

    def several(self, point: Tensor, other: PieceProof) -> Verification:
        """Check that another point has the same features."""
        if not (self._same(other) and other.apart(point)):
            return refused("there is no other point")
        found = other.check(self._maps(), point)
        return accepted("another point has the same features") if found else found

    def unbounded(self, point: Tensor, other: PieceProof) -> Verification:
        """Check that another piece exists and is unbounded."""
        if not (self._same(other) and other.point and other.direction):
            return refused("no point of the piece, or no direction, is given")
        found = other.check(self._maps(), point)
        return accepted("another piece is unbounded") if found else found

    def _same(self, proof: PieceProof) -> bool:
        """Tell whether a proof is about the same domain."""
        mine, other = self.limits, proof.limits
        if mine is None or other is None:
            return other is None
        pairs = (
            (mine.low, other.low),
            (mine.high, other.high),
            (mine.rows, other.rows),
            (mine.bounds, other.bounds),
        )
        return all(
            a is b or (a is not None and b is not None and torch.equal(a, b))
            for a, b in pairs
        )


def _about() -> Verification:
    return accepted("the proof is about these conditions")
