"""All pieces of a small union, found with a proof that no other piece exists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from relulens.certificates.cover import excludes
from relulens.certificates.exact_maps import Codes, ExactMaps, Row
from relulens.certificates.piece import combines, recedes, satisfied
from relulens.certificates.rounding import Array
from relulens.certificates.system import Indices
from relulens.errors import SolverError
from relulens.numerics.least_squares import nonnegative_least_squares

NEAR = 1e-9
"""A residual below it, of rows of norm one, calls for an exact contradiction."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UnionPiece:
    """A choice for every unit whose piece is not excluded.

    Attributes:
        codes: The choices.
        nearest: The piece's point nearest to x, to rounding [n].
        rows: All rows of the piece and the domain.
    """

    codes: Codes
    nearest: Array
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Union:
    """What the search ended with.

    Attributes:
        leaves: Choices, and the rows that exclude them; none for a piece.
        pieces: The pieces, x's own first if it is among them.
        complete: Whether every choice is a leaf.
        tried: Choices looked at.
        reason: Why it is not complete.
    """

    leaves: tuple[tuple[Codes, tuple[int, ...]], ...]
    pieces: tuple[UnionPiece, ...]
    complete: bool
    tried: int
    reason: str


def search(
    maps: ExactMaps,
    own: Codes,
    features: list[Fraction],
    domain: Sequence[Row],
    point: Array,
    *,
    budget: int,
    progress: Callable[[int, int], None] | None = None,
) -> Union:
    """Return all pieces of a union, by choosing one unit's code after the other.

    Args:
        maps: The exact maps.
        own: Codes at x, which are tried first.
        features: The features there.
        domain: What the variable is known to satisfy.
        point: The variable's value there [n].
        budget: The most choices to look at.
        progress: Called with the number of choices looked at and the budget.

    Cost:
        Two small least-squares problems a choice, and one elimination in whole numbers
        where a choice is excluded.
    """
    leaves: list[tuple[Codes, tuple[int, ...]]] = []
    pieces: list[UnionPiece] = []
    waiting: list[Codes] = [()]
    tried = 0
    while waiting:
        codes = waiting.pop()
        if tried >= budget:
            reason = f"the budget of {budget} choices ended"
            return _ended(leaves, pieces, tried, reason)
        tried += 1
        if progress is not None:
            progress(tried, budget)
        rows = [*domain, *maps.rows(codes, features)]
        found = _looked(rows, len(domain), point)
        if isinstance(found, str):
            return _ended(leaves, pieces, tried, "a contradiction is known to rounding")
        if isinstance(found, list):
            leaves.append((codes, tuple(found)))
            continue
        if len(codes) == maps.units:
            leaves.append((codes, ()))
            pieces.append(UnionPiece(codes=codes, nearest=found, rows=tuple(rows)))
            continue
        unit = len(codes)
        others = [c for c in range(maps.choices(unit)) if c != own[unit]]
        waiting += [(*codes, code) for code in (*others, own[unit])]
    return Union(
        leaves=tuple(leaves),
        pieces=tuple(pieces),
        complete=True,
        tried=tried,
        reason=f"all choices are covered, {tried} looked at",
    )


def _ended(
    leaves: list[tuple[Codes, tuple[int, ...]]],
    pieces: list[UnionPiece],
    tried: int,
    reason: str,
) -> Union:
    return Union(
        leaves=tuple(leaves),
        pieces=tuple(pieces),
        complete=False,
        tried=tried,
        reason=reason,
    )


def _looked(rows: Sequence[Row], domain: int, point: Array) -> Array | list[int] | str:
    """Return the nearest point, or rows that exclude, or ``"open"``."""
    table = table_of(rows, point.size)
    sides = [i for i, row in enumerate(rows) if i >= domain and row.meaning != "equal"]
    if not _open(table[sides], point):
        return _support(rows, table, sides, point, strict=True)
    nearest = nearest_point(table, [row.meaning == "equal" for row in rows], point)
    if nearest is None:
        return _support(rows, table, list(range(len(rows))), point, strict=False)
    return nearest


def table_of(rows: Sequence[Row], columns: int) -> Array:
    """Return rows as floats, the largest entry of each one; zero rows stay zero."""
    table = np.zeros((len(rows), columns + 1))
    for place, row in enumerate(rows):
        largest = max(map(abs, row.numbers), default=0)
        if largest:
            table[place] = [value / largest for value in row.numbers]
    return table


def _moved(table: Array, point: Array) -> tuple[Array, Array]:
    """Return rows of norm one and what is left to zero at the point."""
    value = table[:, :-1] @ point + table[:, -1]
    size = np.sqrt((table[:, :-1] ** 2).sum(1))
    size = np.where(size > 0, size, np.maximum(np.abs(value), 1.0))
    return table[:, :-1] / size[:, None], value / size


def _open(table: Array, point: Array) -> bool:
    """Tell whether all rows are negative at some point (Gordan)."""
    rows, value = _moved(table, point)
    moving = np.abs(rows).sum(1) > 0
    if (value[~moving] > 0).any():
        return False
    rows, value = rows[moving], value[moving]
    if value.max(initial=-1.0) < -1e-6:
        return True
    count, n = rows.shape
    system = np.zeros((n + 2, count + 1))
    system[:n, :-1], system[n, :-1], system[n + 1, :-1] = rows.T, value, 1.0
    system[n, -1], system[n + 1, -1] = -1.0, 1.0
    wanted = np.zeros(n + 2)
    wanted[-1] = 1.0
    rest = _rest(system, wanted)[0]
    if float(np.linalg.norm(rest)) <= NEAR or not rest[n] > 1e-14:
        return False
    return bool((rows @ (rest[:n] / rest[n]) + value).max(initial=-1.0) < 0)


def _rest(system: Array, wanted: Array) -> tuple[Array, Array]:
    try:
        values, _ = nonnegative_least_squares(system, wanted)
    except SolverError:
        return np.zeros(wanted.size), np.zeros(system.shape[1])
    return wanted - system @ values, values


def nearest_point(table: Array, equal: Sequence[bool], point: Array) -> Array | None:
    """Return the point nearest to one with ``rows <= 0``, equalities ``= 0``."""
    system, wanted, _ = _distance_system(table, equal, point)
    if system.shape[1] == 0:
        return point
    rest, _ = _rest(system, wanted)
    if float(np.linalg.norm(rest)) <= NEAR or not abs(rest[-1]) > 1e-14:
        return None
    return point - rest[:-1] / rest[-1]


def _distance_system(
    table: Array, equal: Sequence[bool], point: Array
) -> tuple[Array, Array, Indices]:
    """Return Lawson and Hanson's least-distance system, and each column's row."""
    rows, value = _moved(table, point)
    both = np.flatnonzero(np.array(equal, dtype=bool))
    places = np.concatenate([np.arange(len(rows)), both])
    sign = np.concatenate([np.ones(len(rows)), -np.ones(both.size)])
    columns = np.column_stack([-rows, value])[places] * sign[:, None]
    wanted = np.zeros(rows.shape[1] + 1)
    wanted[-1] = 1.0
    system = np.array(columns.T, dtype=np.float64, order="C")
    return system, wanted, places


def _support(
    rows: Sequence[Row],
    table: Array,
    places: Sequence[int],
    point: Array,
    *,
    strict: bool,
) -> list[int] | str:
    """Return rows whose only combination excludes the choice, or ``"open"``."""
    for place in places:
        if not any(rows[place].numbers[:-1]) and excludes([rows[place]]):
            return [place]
    part = table[list(places)]
    equal = [rows[i].meaning == "equal" and not strict for i in places]
    tries: list[Array] = []
    if strict:
        unit, value = _moved(part, point)
        system = np.vstack([unit.T, value, np.ones(len(part))])
        system = np.column_stack([system, [*np.zeros(part.shape[1] - 1), -1.0, 1.0]])
        wanted = np.zeros(part.shape[1] + 1)
        wanted[-1] = 1.0
        tries.append(_rest(system, wanted)[1][:-1])
    else:
        system, wanted, owner = _distance_system(part, equal, point)
        values = _rest(system, wanted)[1]
        joined = np.zeros(len(part))
        np.add.at(joined, owner, values)
        tries.append(joined)
    for values in tries:
        for least in (1e-13, 1e-10, 1e-7):
            used = np.flatnonzero(values > least * max(float(values.max()), 1e-300))
            chosen = [places[int(i)] for i in used]
            if excludes([rows[i] for i in chosen]):
                return chosen
    return "open"


def exact_point(piece: UnionPiece) -> list[Fraction] | None:
    """Return a rational point of a piece near its nearest one, if that is found.

    Rows that hold with equality there are kept so, which a rational elimination does.
    """
    rows = piece.rows
    table = table_of(rows, piece.nearest.size)
    value = np.abs(table[:, :-1] @ piece.nearest + table[:, -1])
    for least in (1e-12, 1e-9, 1e-7):
        held = [
            i
            for i, row in enumerate(rows)
            if row.meaning == "equal" or value[i] < least
        ]
        point = _solved([rows[i] for i in held], piece.nearest)
        if point is not None and satisfied(rows, point, len(point)):
            return point
    return None


def _solved(rows: Sequence[Row], near: Array) -> list[Fraction] | None:
    """Return an exact solution of all rows, free coordinates as they are."""
    n = near.size
    table = [[Fraction(v) for v in row.numbers] for row in rows]
    pivots: list[int] = []
    for column in range(n):
        place = len(pivots)
        found = next((i for i in range(place, len(table)) if table[i][column]), None)
        if found is None:
            continue
        table[place], table[found] = table[found], table[place]
        head = table[place][column]
        table[place] = [v / head for v in table[place]]
        for i, row in enumerate(table):
            if i != place and row[column]:
                factor = row[column]
                table[i] = [
                    a - factor * b for a, b in zip(row, table[place], strict=True)
                ]
        pivots.append(column)
    if any(row[-1] for row in table[len(pivots) :]):
        return None
    point = [Fraction(v) for v in near.tolist()]
    free = [j for j in range(n) if j not in pivots]
    for row, pivot in zip(table, pivots, strict=False):
        point[pivot] = -row[-1] - sum((row[j] * point[j] for j in free), Fraction(0))
    return point


def directions_of(piece: UnionPiece) -> list[list[int]] | list[Fraction] | None:
    """Return rows that combine to plus and minus every coordinate, or a direction.

    Nothing if neither is exact.

    Cost:
        Two small least-squares problems a coordinate.
    """
    rows, n = piece.rows, piece.nearest.size
    table = table_of(rows, n)[:, :-1]
    size = np.sqrt((table**2).sum(1))
    table = table / np.where(size > 0, size, 1.0)[:, None]
    both = np.array([row.meaning == "equal" for row in rows], dtype=bool)
    owner = np.concatenate([np.arange(len(rows)), np.flatnonzero(both)])
    system = np.ascontiguousarray(np.concatenate([table, -table[both]]).T)
    supports: list[list[int]] = []
    for place in range(2 * n):
        wanted = np.zeros(n)
        wanted[place // 2] = -1.0 if place % 2 else 1.0
        rest, values = wanted, np.zeros(0)
        if system.shape[1]:
            rest, values = _rest(system, wanted)
        if float(np.linalg.norm(rest)) > NEAR:
            return _exact_direction(rows, table, rest)
        joined = np.zeros(len(rows))
        np.add.at(joined, owner, values)
        support = _combining(rows, joined, place, n)
        if support is None:
            return None
        supports.append(support)
    return supports


def _combining(
    rows: Sequence[Row], values: Array, place: int, n: int
) -> list[int] | None:
    for least in (1e-13, 1e-10, 1e-7):
        used = np.flatnonzero(values > least * float(values.max())).tolist()
        if combines([rows[i] for i in used], *divmod(place, 2), n):
            return used
    return None


def _exact_direction(
    rows: Sequence[Row], table: Array, near: Array
) -> list[Fraction] | None:
    near = near / np.abs(near).max()
    value = np.abs(table @ near)
    for least in (1e-12, 1e-9, 1e-7):
        held = [
            Row((*row.numbers[:-1], 0), "equal")
            for row, size in zip(rows, value, strict=True)
            if row.meaning == "equal" or size < least
        ]
        found = _solved(held, near)
        if found is not None and recedes(rows, found, near.size):
            return found
    return None


def components(pieces: Sequence[UnionPiece]) -> list[int]:
    """Return which pieces are connected, by points that two of them share."""
    label = list(range(len(pieces)))
    for one in range(len(pieces)):
        for two in range(one):
            if label[one] != label[two] and _touch(pieces[one], pieces[two]):
                old, new = max(label[one], label[two]), min(label[one], label[two])
                label = [new if part == old else part for part in label]
    order = {part: place for place, part in enumerate(dict.fromkeys(label))}
    return [order[part] for part in label]


def _touch(one: UnionPiece, two: UnionPiece) -> bool:
    rows = [*one.rows, *two.rows]
    table = table_of(rows, one.nearest.size)
    equal = [row.meaning == "equal" for row in rows]
    return nearest_point(table, equal, one.nearest) is not None
