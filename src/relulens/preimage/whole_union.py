"""What holds for all pieces of a union, where x's own piece is one of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.cover import Cover, cover_of
from relulens.certificates.exact_maps import Codes, ExactMaps, exact_maps, limit_rows
from relulens.certificates.piece import PieceProof
from relulens.certificates.subjects import Weights
from relulens.preimage.classify import Classified
from relulens.preimage.dimension import implied_rank
from relulens.preimage.kernel import kernel
from relulens.preimage.projected import projected
from relulens.preimage.question import Question
from relulens.preimage.result import Piece, Verdict
from relulens.preimage.union_search import (
    Union,
    UnionPiece,
    components,
    directions_of,
    exact_point,
    search,
    table_of,
)

COLUMNS, UNITS = 24, 512
"""Larger unions are not searched: their pieces are too many."""

_TOUCHING = 1e-7


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WholeUnion:
    """What all pieces say.

    Attributes:
        verdict: The whole union's.
        reason: In words.
        cover: Proof that there are no other pieces, where the verdict rests on it.
        elsewhere: Another point, where the verdict rests on it.
        pieces: The pieces found, x's own first.
        complete: Whether no other piece exists.
    """

    verdict: Verdict
    reason: str
    cover: Cover | None = None
    elsewhere: PieceProof | None = None
    pieces: tuple[Piece, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Member:
    codes: Codes
    source: UnionPiece
    proof: PieceProof | None
    public: Piece


def whole_union(
    asked: Question,
    found: Classified,
    weights: Weights,
    x: Tensor,
    point: Tensor,
    *,
    budget: int,
    progress: Callable[[int, int], None] | None = None,
) -> WholeUnion:
    """Return what all pieces say, as far as a search within a budget goes.

    Args:
        asked: The question.
        found: The verdict on x's own piece.
        weights: The rows as numbers.
        x: The input [1, *input_shape].
        point: The variable's value at x [ins].
        budget: The most choices of units to look at.
        progress: Called with the number of these and the budget.
    """
    maps = None
    if weights.ins <= COLUMNS:
        maps = exact_maps(asked.network, asked.target, whole=asked.scope == "region")
    if maps is None or maps.units > UNITS:
        return _unsearched(asked, found, weights.ins)
    at = point.numpy()
    own, features = maps.features(at)
    domain = limit_rows(asked.limits, maps.size)
    union = search(maps, own, features, domain, at, budget=budget, progress=progress)
    members = [_member(asked, piece, x, point) for piece in union.pieces]
    members.sort(key=lambda member: member.codes != own)
    parts = components([member.source for member in members])
    public = tuple(
        _numbered(member.public, part)
        for member, part in zip(members, parts, strict=True)
    )
    return _judged(asked, found, maps, union, members, public, own, point)


def _unsearched(asked: Question, found: Classified, columns: int) -> WholeUnion:
    said = f"x's piece is {found.piece}"
    if found.verdict == "unbounded" or (asked.finite and found.verdict == "bounded"):
        return WholeUnion(verdict=found.verdict, reason=found.reason)
    reason = (
        f"{said}; other pieces are not searched on {columns} coordinates (at most"
        f" {COLUMNS}, and {UNITS} units)"
    )
    return WholeUnion(verdict="undecided", reason=reason)


def _judged(
    asked: Question,
    found: Classified,
    maps: ExactMaps,
    union: Union,
    members: list[_Member],
    public: tuple[Piece, ...],
    own: Codes,
    at: Tensor,
) -> WholeUnion:
    """Return the verdict that the pieces add up to."""
    mine = found.verdict
    count = f"{len(members)} pieces: {union.reason}"
    other = _another(members, own, at)
    open_ = _unbounded(members, own, other, mine) if not asked.finite else None
    whole = union.complete and all(_closed(member) for member in members)
    several = mine == "bounded" or other is not None
    verdict: Verdict = "undecided"
    reason = "some pieces are known to rounding only"
    cover, elsewhere = None, None
    if mine == "unbounded":
        verdict, reason = "unbounded", "x's own piece is unbounded"
    elif open_ is not None:
        verdict, reason, elsewhere = "unbounded", "a piece is unbounded", open_
    elif several and (asked.finite or whole):
        verdict, reason = "bounded", "all are bounded"
        cover = None if asked.finite else _cover(maps, union, members)
        elsewhere = None if mine == "bounded" else other
    elif whole and mine == "singleton" and len(members) == 1:
        verdict, reason = "singleton", "no other piece exists"
        cover = _cover(maps, union, members)
    elif not union.complete:
        reason = f"x's piece is {mine}, only a part"
    return WholeUnion(
        verdict=verdict,
        reason=f"{reason}; {count}",
        cover=cover,
        elsewhere=elsewhere,
        pieces=public,
        complete=union.complete,
    )


def _unbounded(
    members: list[_Member], own: Codes, other: PieceProof | None, mine: Verdict
) -> PieceProof | None:
    """Return an exact point with a direction that never leaves, if there is one."""
    if other is not None and other.direction:
        return other
    if mine != "undecided":
        return None
    return next((member.proof for member in members if _free(member, own)), None)


def _free(member: _Member, own: Codes) -> bool:
    """Tell whether x's own piece is exactly unbounded."""
    proof = member.proof
    return (
        member.codes == own
        and proof is not None
        and bool(proof.direction)
        and bool(proof.point)
    )


def _closed(member: _Member) -> bool:
    return member.proof is not None and member.proof.closed


def _cover(maps: ExactMaps, union: Union, members: list[_Member]) -> Cover:
    order = {member.codes: member for member in members}
    proofs = [order[codes].proof for codes, support in union.leaves if not support]
    whole = tuple(proof for proof in proofs if proof is not None)
    return cover_of(union.leaves, whole, maps.units)


def _another(members: list[_Member], own: Codes, at: Tensor) -> PieceProof | None:
    """Return another exact point, on an unbounded piece if there is one."""
    best: PieceProof | None = None
    for member in members:
        proof = member.proof
        if proof is None or member.codes == own or not proof.apart(at):
            continue
        if proof.direction:
            return proof
        best = best or proof
    return best


def _member(asked: Question, piece: UnionPiece, x: Tensor, point: Tensor) -> _Member:
    exact, free = exact_point(piece), directions_of(piece)
    proof = _proof(asked, piece, x, exact, free)
    dimension = _dimension(piece)
    verdict: Verdict = "undecided"
    if proof is not None and proof.direction:
        verdict = "unbounded"
    elif proof is not None and proof.closed:
        verdict = "singleton" if dimension == 0 else "bounded"
    public = Piece(
        verdict=verdict,
        dimension=dimension,
        codes=torch.tensor(piece.codes, dtype=torch.int8),
        point=torch.from_numpy(piece.nearest),
        distance=float(np.linalg.norm(piece.nearest - point.numpy())),
        exact=exact is not None,
        component=0,
        certificate=proof,
    )
    return _Member(codes=piece.codes, source=piece, proof=proof, public=public)


def _proof(
    asked: Question,
    piece: UnionPiece,
    x: Tensor,
    exact: list[Fraction] | None,
    free: list[list[int]] | list[Fraction] | None,
) -> PieceProof | None:
    """Return what is proved about a piece, if anything is."""
    starts: list[int] = [0]
    places: list[int] = []
    direction: list[str] = []
    for part in free or []:
        if isinstance(part, Fraction):
            direction.append(str(part))
            continue
        places += part
        starts.append(len(places))
    if exact is None and not free:
        return None
    return PieceProof(
        network=asked.network,
        layer=asked.target.name,
        scope=asked.scope,
        x=x,
        limits=asked.limits,
        codes=torch.tensor(piece.codes, dtype=torch.int8),
        point=" ".join(map(str, exact or [])),
        direction=" ".join(direction),
        support=torch.tensor(places, dtype=torch.int64),
        starts=torch.tensor(starts, dtype=torch.int64),
    )


def _dimension(piece: UnionPiece) -> int | None:
    """Return a piece's dimension from the rows that are tight at its nearest point."""
    table = table_of(piece.rows, piece.nearest.size)
    equal = np.array([row.meaning == "equal" for row in piece.rows], dtype=bool)
    basis = kernel(np.ascontiguousarray(table[equal, :-1])).basis
    value = np.abs(table[:, :-1] @ piece.nearest + table[:, -1])
    tight = table[~equal & (value < _TOUCHING), :-1]
    freedom = int(basis.shape[1])
    if freedom == 0 or tight.shape[0] == 0:
        return freedom
    inside = projected(np.ascontiguousarray(tight), basis)
    implied = implied_rank(inside.rows) if inside.rows.shape[0] else 0
    return None if implied is None else freedom - implied


def _numbered(piece: Piece, part: int) -> Piece:
    return replace(piece, component=part)
