"""All pieces of a union: every choice is excluded in whole numbers, or is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from relulens.certificates.exact_maps import Codes, ExactMaps, Row, limit_rows
from relulens.certificates.piece import PieceProof
from relulens.certificates.statement import Limits
from relulens.certificates.verification import Verification, accepted, refused
from relulens.certificates.whole_numbers import null_vector


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cover:
    """A tree of choices, one a unit, whose leaves are excluded or are pieces.

    A leaf is excluded by rows with multipliers that are unique up to scale: their
    combination is a constant that contradicts its sign. What strict rows exclude is an
    open region that is empty; the closures of the others still cover everything.

    Attributes:
        codes: Choices of every leaf [leaves, units], minus one where none was needed.
        support: Positions of the rows that exclude each leaf, one after the other.
        starts: Where each leaf's begin, and their end; none for a piece.
        closed: Proofs that the pieces, in order, have no direction that never leaves;
            empty where that is not needed.
    """

    codes: Int8[Tensor, "leaves units"]
    support: Int64[Tensor, " rows"]
    starts: Int64[Tensor, " ends"]
    closed: tuple[PieceProof, ...]

    def leaves(self) -> list[tuple[Codes, list[int]]]:
        """Return the choices of every leaf and the rows that exclude it."""
        ends, places = self.starts.tolist(), self.support.tolist()
        return [
            (tuple(code for code in line if code >= 0), places[begin:end])
            for line, begin, end in zip(
                self.codes.tolist(), ends[:-1], ends[1:], strict=True
            )
        ]

    def pieces(self) -> list[Codes]:
        """Return the choices of the leaves that are not excluded."""
        return [codes for codes, support in self.leaves() if not support]

    def check(
        self, maps: ExactMaps, point: Float[Tensor, " columns"], limits: Limits | None
    ) -> Verification:
        """Check that no choice is missing, and every exclusion.

        Args:
            maps: The exact maps of the layer's union.
            point: The variable, whose features are meant.
            limits: What the variable is known to satisfy.
        """
        features = maps.features(point.numpy())[1]
        domain = limit_rows(limits, maps.size)
        leaves = self.leaves()
        if not _complete(maps, [codes for codes, _ in leaves]):
            return refused("the leaves do not cover all choices")
        for codes, support in leaves:
            if not support and len(codes) < maps.units:
                return refused("a piece has choices left")
            rows = [*domain, *maps.rows(codes, features)]
            if support and not excludes([rows[i] for i in support if i < len(rows)]):
                return refused(f"choices {codes} are not excluded")
        return accepted(f"{len(leaves)} leaves cover all choices")

    def bounded(
        self, maps: ExactMaps, point: Float[Tensor, " columns"]
    ) -> Verification:
        """Check that no piece has a direction that never leaves."""
        pieces = self.pieces()
        stated = [tuple(proof.codes.tolist()) for proof in self.closed]
        if stated != pieces:
            return refused(
                f"{len(stated)} proofs are not about the {len(pieces)} pieces"
            )
        for proof in self.closed:
            found = proof.check(maps, point)
            if not (found and proof.closed):
                return found if not found else refused("a direction may be left")
        return accepted("all pieces are bounded")


def _complete(maps: ExactMaps, leaves: Sequence[Codes]) -> bool:
    """Tell whether every full list of choices starts with exactly one leaf."""
    known = set(leaves)
    if len(known) != len(leaves):
        return False
    waiting: list[Codes] = [()]
    met = 0
    while waiting:
        codes = waiting.pop()
        if codes in known:
            met += 1
            continue
        if len(codes) >= maps.units or met + len(waiting) > len(leaves):
            return False
        waiting += [(*codes, code) for code in range(maps.choices(len(codes)))]
    return met == len(leaves)


def excludes(rows: Sequence[Row]) -> bool:
    """Tell whether the only combination that cancels contradicts its sign.

    The constant part is let to cancel too where the combination is not unique else.
    """
    if not rows:
        return False
    table = [list(column) for column in zip(*(r.numbers for r in rows), strict=True)]
    factors = null_vector(table[:-1], len(rows))
    if factors is None:
        factors = null_vector(table, len(rows))
    if factors is None:
        return False
    free = [f for f, row in zip(factors, rows, strict=True) if row.meaning != "equal"]
    total = sum(f * c for f, c in zip(factors, table[-1], strict=True))
    for sign in (1, -1):
        if all(sign * factor >= 0 for factor in free):
            strict = all(row.meaning == "strict" for row in rows)
            if sign * total > 0 or (strict and total == 0):
                return True
    return False


def cover_of(
    leaves: Sequence[tuple[Codes, Sequence[int]]],
    closed: tuple[PieceProof, ...],
    units: int,
) -> Cover:
    """Return a cover from its leaves."""
    codes = torch.full((len(leaves), units), -1, dtype=torch.int8)
    starts = [0]
    places: list[int] = []
    for number, (chosen, support) in enumerate(leaves):
        codes[number, : len(chosen)] = torch.tensor(chosen, dtype=torch.int8)
        places += support
        starts.append(len(places))
    return Cover(
        codes=codes,
        support=torch.tensor(places, dtype=torch.int64),
        starts=torch.tensor(starts, dtype=torch.int64),
        closed=closed,
    )
