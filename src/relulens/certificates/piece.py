"""One piece of a union in whole numbers: a point of it, and which directions it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from jaxtyping import Float, Int8, Int64
from torch import Tensor

from relulens.certificates.exact_maps import (
    Codes,
    ExactMaps,
    Row,
    exact_maps,
    limit_rows,
)
from relulens.certificates.statement import Limits, Scope, variable_at
from relulens.certificates.target import target_of
from relulens.certificates.verification import Verification, accepted, refused
from relulens.certificates.whole_numbers import null_vector
from relulens.graph.network import Network


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PieceProof:
    """What is proved about one piece of the union of all values with x's features.

    Attributes:
        network: The network, float64.
        layer: Name of the layer.
        scope: ``"layer"`` or ``"region"``: what the variable is.
        x: The input [1, *input_shape].
        limits: What the variable is known to satisfy.
        codes: Choice of every unit on the piece [units].
        point: A point of the piece as fractions separated by blanks, or empty.
        direction: A direction that never leaves, likewise, or empty.
        support: Positions of rows that combine to plus and minus every coordinate, one
            after the other, so that no direction is left; or none.
        starts: Where each combination's begin, and their end.
    """

    network: Network
    layer: str
    scope: Scope
    x: Tensor
    limits: Limits | None
    codes: Int8[Tensor, " units"]
    point: str
    direction: str
    support: Int64[Tensor, " rows"]
    starts: Int64[Tensor, " ends"]

    @property
    def closed(self) -> bool:
        """Whether it says that no direction is left."""
        return self.support.numel() > 0

    def verify(self) -> Verification:
        """Check the proof from the raw weights, the input, and nothing else."""
        target = target_of(self.network, self.layer)
        maps = exact_maps(self.network, target, whole=self.scope == "region")
        at = variable_at(self.network, target, self.scope, self.x)
        return self.check(maps, at)

    def check(self, maps: ExactMaps, at: Float[Tensor, " columns"]) -> Verification:
        """Check the proof with maps that were made before."""
        codes: Codes = tuple(self.codes.tolist())
        if len(codes) != maps.units:
            return refused(f"{len(codes)} choices for {maps.units} units")
        if any(not 0 <= code < maps.choices(i) for i, code in enumerate(codes)):
            return refused("a choice does not exist")
        features = maps.features(at.numpy())[1]
        rows = [*limit_rows(self.limits, maps.size), *maps.rows(codes, features)]
        if self.point and not satisfied(rows, fractions(self.point), maps.size):
            return refused("the point has other features, or lies outside the domain")
        if self.direction and not recedes(rows, fractions(self.direction), maps.size):
            return refused("the direction leaves the piece, or is zero")
        if self.closed and not spans(rows, self._supports(), maps.size):
            return refused("the rows leave a direction")
        if not (self.point or self.direction or self.closed):
            return refused("nothing is proved")
        return accepted("the piece is as stated")

    def _supports(self) -> list[list[int]]:
        ends, places = self.starts.tolist(), self.support.tolist()
        return [places[a:b] for a, b in pairwise(ends)]

    def apart(self, at: Float[Tensor, " columns"]) -> bool:
        """Tell whether it has a point that is not the one given."""
        here = [Fraction(value) for value in at.tolist()]
        return bool(self.point) and fractions(self.point) != here


def fractions(text: str) -> list[Fraction]:
    """Return numbers from text."""
    return [Fraction(part) for part in text.split()]


def _times(row: Row, vector: Sequence[Fraction]) -> Fraction:
    pairs = zip(row.numbers, vector, strict=False)
    return sum((number * value for number, value in pairs), Fraction(0))


def satisfied(rows: Sequence[Row], point: Sequence[Fraction], size: int) -> bool:
    """Tell whether an exact point satisfies all rows, strict ones at least weakly."""
    if len(point) != size:
        return False
    for row in rows:
        total = _times(row, point) + row.numbers[-1]
        if total > 0 or (row.meaning == "equal" and total != 0):
            return False
    return True


def recedes(rows: Sequence[Row], direction: Sequence[Fraction], size: int) -> bool:
    """Tell whether an exact direction, not zero, never leaves what the rows bound."""
    if len(direction) != size or not any(direction):
        return False
    for row in rows:
        total = _times(row, direction)
        if total > 0 or (row.meaning == "equal" and total != 0):
            return False
    return True


def spans(rows: Sequence[Row], supports: Sequence[Sequence[int]], size: int) -> bool:
    """Tell whether rows combine to plus and minus every coordinate, so none is free."""
    if len(supports) != 2 * size:
        return False
    for place, support in enumerate(supports):
        if any(not 0 <= i < len(rows) for i in support):
            return False
        if not combines([rows[i] for i in support], *divmod(place, 2), size):
            return False
    return True


def combines(rows: Sequence[Row], coordinate: int, minus: int, size: int) -> bool:
    """Tell whether the only combination of rows is plus (minus) a coordinate.

    Inequalities have multipliers of one sign, equalities of any.
    """
    unit = [int(j == coordinate) * (-1 if minus else 1) for j in range(size)]
    table = [*(list(row.numbers[:-1]) for row in rows), unit]
    factors = null_vector(
        [list(column) for column in zip(*table, strict=True)], len(table)
    )
    if factors is None or factors[-1] == 0:
        return False
    sign = -1 if factors[-1] > 0 else 1
    return all(
        row.meaning == "equal" or sign * factor >= 0
        for row, factor in zip(rows, factors[:-1], strict=True)
    )
