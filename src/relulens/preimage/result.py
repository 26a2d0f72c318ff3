"""The value that a question about a pre-image returns."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jaxtyping import Float, Int8, Int64
from torch import Tensor

from relulens.certificates.piece import PieceProof
from relulens.certificates.verdict import PreimageCertificate

Verdict: TypeAlias = Literal["singleton", "bounded", "unbounded", "empty", "undecided"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Piece:
    """One piece of a union: all values with one choice for every unit.

    Attributes:
        verdict: ``"singleton"``, ``"bounded"``, ``"unbounded"`` or ``"undecided"``; a
            domain's box counts as a condition.
        dimension: To rounding; nothing where it is not settled.
        codes: Side of every two-slope unit, place of the winner of every group.
        point: The point of the piece nearest to x, to rounding [columns].
        distance: Its distance from x.
        exact: Whether a rational point of the piece was found, so that it exists.
        component: Number of the connected component, to rounding; x's is 0.
        certificate: Proof in whole numbers that no direction is left, or that one is,
            with the rational point.
    """

    verdict: Verdict
    dimension: int | None
    codes: Int8[Tensor, " units"]
    point: Float[Tensor, " columns"]
    distance: float
    exact: bool
    component: int
    certificate: PieceProof | None

    def __repr__(self) -> str:
        """Return the verdict on one line."""
        return f"Piece({self.verdict!r}, dimension={self.dimension})"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Preimage:
    """All values of a variable that give the same features.

    Attributes:
        verdict: ``"singleton"``: one value; ``"bounded"``: more than one, within a ball
            (sometimes called finite, though there are infinitely many);
            ``"unbounded"``; ``"empty"``; ``"undecided"``.
        piece: The verdict on x's own piece, where the whole is a union (abs, maxima);
            else the verdict.
        dimension: Dimension of x's piece; nothing where it was not computed.
        variable: What it lives in: ``"input"``, or names of layers.
        scope: ``"layer"``, ``"region"`` or ``"network"``.
        active: Conditions that hold with equality: for ReLU the positive units.
        inequalities: Conditions that hold as inequalities.
        columns: Coordinates of the variable.
        rank: Rank of the equalities; nothing where it was not needed.
        gap: Where the rank was cut: the last pivot that counts over the next one.
        tight: How many inequalities hold with equality at x.
        boundary: Units whose argument is zero to rounding.
        readings: Verdicts if these are read as zero, and if they are read as positive.
        margin: How far the deciding test was from its limit, 0 at the limit; nothing
            where counting or rank settled it.
        certificate: The proof; nothing if undecided.
        reason: In words.
        point: A value of the variable that gives the features, if one is known.
        residual: Largest violation of the conditions at ``point``.
        pieces: Pieces of the union that were found, x's own first, where it was
            searched: for ``scope="network"``, abs, negative slopes and maxima.
        complete: Whether it is proved that there are no others.
    """

    verdict: Verdict
    piece: Verdict
    dimension: int | None
    variable: str
    scope: str
    active: int
    inequalities: int
    columns: int
    rank: int | None
    gap: float | None
    tight: int
    boundary: Int64[Tensor, " units"]
    readings: tuple[Verdict, Verdict]
    margin: float | None
    certificate: PreimageCertificate | None
    reason: str
    point: Float[Tensor, " ins"] | None
    residual: float
    pieces: tuple[Piece, ...] = ()
    complete: bool = False

    def __repr__(self) -> str:
        """Return the verdict on one line."""
        dimension = "?" if self.dimension is None else str(self.dimension)
        return (
            f"Preimage({self.verdict!r}, dimension={dimension}, {self.active} active of"
            f" {self.active + self.inequalities} conditions on {self.columns}"
            f" coordinates of {self.variable})"
        )
