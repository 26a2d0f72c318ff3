"""The full pre-image of a small deep network: a union of polyhedra over regions."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from relulens.certificates.exact_maps import exact_maps, limit_rows
from relulens.certificates.rounding import Array
from relulens.certificates.statement import Limits
from relulens.errors import InvalidArgumentError
from relulens.graph.freeze import node_values
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.graph.polyhedral import polyhedral
from relulens.graph.tolerances import Tolerances
from relulens.preimage.counts import check_count
from relulens.preimage.pattern_maps import Units, units_of
from relulens.preimage.pattern_piece import (
    PatternPiece,
    feasible,
    pattern_piece,
    sides_of,
)
from relulens.preimage.question import Question, question
from relulens.preimage.union_search import components, search, table_of


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PreimagePieces:
    """Pieces of a full pre-image, one for every pattern that meets it.

    Attributes:
        pieces: The pieces, x's own first.
        component: Number of the connected component of each; x's is 0.
        complete: ``"all"``: no other piece exists; ``"component"``: x's component is
            whole, others may be missing; ``"none"``: the budget ended before.
        patterns: Patterns whose piece was tried.
        reason: In words.
    """

    pieces: tuple[PatternPiece, ...]
    component: tuple[int, ...]
    complete: Literal["all", "component", "none"]
    patterns: int
    reason: str

    def __repr__(self) -> str:
        """Return the counts on one line."""
        parts = len(set(self.component))
        return (
            f"PreimagePieces({len(self.pieces)} in {parts} components: {self.reason})"
        )


@dataclass(slots=True, eq=False, kw_only=True)
class _Walk:
    """Pieces found so far; a pattern is tried once."""

    units: Units
    features: Array
    extra: tuple[Array, Array]
    fixed: NDArray[np.bool_]
    budget: int
    tried: int = 0
    found: dict[bytes, PatternPiece | None]
    component: dict[bytes, int]

    def piece(self, pattern: NDArray[np.bool_]) -> PatternPiece | None:
        key = pattern.tobytes()
        if key not in self.found:
            self.tried += 1
            self.found[key] = pattern_piece(
                self.units, pattern, self.features, self.extra
            )
        return self.found[key]

    def spread(self, start: PatternPiece, number: int) -> bool:
        """Find all pieces that are connected with one; false if the budget ended."""
        if start.pattern.tobytes() in self.component:
            return True
        self.component[start.pattern.tobytes()] = number
        waiting = deque([start])
        while waiting:
            piece = waiting.popleft()
            for unit in piece.touched():
                if self.fixed[unit]:
                    continue
                if self.tried >= self.budget:
                    return False
                pattern = piece.pattern.astype(bool)
                pattern[unit] = ~pattern[unit]
                beside = self.piece(pattern)
                if beside is not None and pattern.tobytes() not in self.component:
                    self.component[pattern.tobytes()] = number
                    waiting.append(beside)
        return True


def preimage_pieces(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str,
    domain: object = None,
    budget: int = 2000,
    restarts: int = 50,
    tol: Tolerances | None = None,
    seed: int = 0,
) -> list[PreimagePieces]:
    """Return all inputs with the same features, over all regions of a small network.

    From x's piece a walk goes over every unit whose argument is zero somewhere on a
    piece, which finds x's component: pieces that share a point differ in units that are
    zero there. Other components are looked for from random inputs. Then all patterns
    are searched, layer by layer, with those cut off that no input has; if the budget
    suffices for that, nothing is missing.

    Args:
        network: A network of affine maps, ReLU, leaky ReLU, abs, clamps and maxima;
            with maxima all choices of winners are searched at once, without a walk.
        x: Inputs [N, *input_shape].
        layer: Index into ``network.layers``, or any name.
        domain: A ``Box``, a region or a pair (A, b) that inputs lie in, as for
            ``preimage``; the network's domain by default.
        budget: The most patterns to try in the walk, and again in the search of all.
        restarts: Random inputs that the walk starts from again.
        tol: As for ``preimage``; ties count as off.
        seed: For the restarts.

    Returns:
        One result an input. Emptiness and faces are decided by linear programs, to 1e-7
        in the input's unit.

    Raises:
        NotPolyhedralError: Curved nodes are involved.
        InvalidArgumentError: The domain does not fit or does not hold x, or the budget
            is not positive.
        UnknownNameError: No layer has this name.

    Cost:
        One linear program a pattern tried, and one a unit for every piece found.
    """
    verb = "find the pieces of a pre-image"
    check_count(budget, name="budget", least=1, verb=verb)
    check_count(restarts, name="restarts", least=0, verb=verb)
    asked = question(network, layer, "region", domain, tol or Tolerances())
    points = asked.network.as_input(x)
    polyhedral(asked.network, asked.target.feature, question="the whole pre-image")
    if _pooled(asked.network, asked.target.feature):
        return [_exactly(asked, points[i], budget) for i in range(points.shape[0])]
    units = units_of(asked.network, asked.target.feature)
    extra = _domain(asked.limits, asked.network.input_size)
    results = []
    for i in range(points.shape[0]):
        point = points[i : i + 1]
        outside = extra[0] @ point.reshape(-1).numpy() - extra[1]
        if (outside > 1e-12).any():
            raise InvalidArgumentError(
                "cannot ask about an input outside its domain:"
                f" {int((outside > 1e-12).sum())} of its conditions fail, the worst by"
                f" {outside.max():.3g}. Pass inputs inside, or a larger domain."
            )
        results.append(_one(units, point, extra, budget, restarts, seed))
    return results


def _pooled(network: Network, feature: int) -> bool:
    nodes = (network.nodes[i] for i in network.ancestors(feature))
    return any(isinstance(node, Maximum) for node in nodes)


def _exactly(asked: Question, point: Tensor, budget: int) -> PreimagePieces:
    """Return all pieces by choices of units, proved in whole numbers."""
    maps = exact_maps(asked.network, asked.target, whole=True)
    at = point.reshape(-1).numpy()
    own, features = maps.features(at)
    domain = limit_rows(asked.limits, maps.size)
    found = search(maps, own, features, domain, at, budget=budget)
    order = sorted(found.pieces, key=lambda piece: piece.codes != own)
    tables = [table_of(piece.rows, maps.size) for piece in order]
    equal = [[row.meaning == "equal" for row in piece.rows] for piece in order]
    return PreimagePieces(
        pieces=tuple(
            PatternPiece(
                pattern=np.array(piece.codes),
                point=piece.nearest,
                rows=np.concatenate([table, -table[both]])[:, :-1],
                right=-np.concatenate([table, -table[both]])[:, -1],
                sides=np.full(maps.units, -1),
            )
            for piece, table, both in zip(order, tables, equal, strict=True)
        ),
        component=tuple(components(order)),
        complete="all" if found.complete else "none",
        patterns=found.tried,
        reason="all pieces" if found.complete else found.reason,
    )


def _domain(limits: Limits | None, n: int) -> tuple[Array, Array]:
    if limits is not None and limits.low is not None and limits.high is not None:
        rows = np.concatenate([np.eye(n), -np.eye(n)])
        right = np.concatenate([limits.high.numpy(), -limits.low.numpy()])
        kept = np.isfinite(right)
        return rows[kept], right[kept]
    if limits is not None and limits.rows is not None and limits.bounds is not None:
        return limits.rows.numpy(), limits.bounds.numpy()
    return np.zeros((0, n)), np.zeros(0)


def _pattern(units: Units, x: Tensor) -> NDArray[np.bool_]:
    """Return the side of every unit at inputs [N, units]; zero counts as off."""
    wanted = [_source(units.network, i) for i in units.nodes]
    values = node_values(units.network, x, wanted)
    sides = [(values[i] > 0).reshape(x.shape[0], -1).numpy() for i in wanted]
    return np.concatenate([np.zeros((x.shape[0], 0), dtype=bool), *sides], axis=1)


def _source(network: Network, index: int) -> int:
    node = network.nodes[index]
    return node.source if isinstance(node, TwoSlope) else index


def _one(
    units: Units,
    x: Tensor,
    extra: tuple[Array, Array],
    budget: int,
    restarts: int,
    seed: int,
) -> PreimagePieces:
    own = _pattern(units, x)[0]
    value = node_values(units.network, x, [units.feature])[units.feature]
    walk = _Walk(
        units=units,
        features=value.reshape(-1).numpy(),
        extra=extra,
        fixed=_fixed(units),
        budget=budget,
        found={},
        component={},
    )
    start = walk.piece(own)
    if start is None:
        return _result(walk, "none", "x's own piece is empty to the solver's rounding")
    whole = walk.spread(start, 0)
    number = 1
    for pattern in _restarts(units, x, restarts, seed):
        pattern[walk.fixed] = own[walk.fixed]
        number = _join(walk, walk.piece(pattern), number)
    if not whole:
        return _result(walk, "none", f"the budget of {budget} patterns ended")
    every = _realised(walk, own)
    if every is None:
        return _result(
            walk, "component", "x's component is whole, others may be missing"
        )
    for pattern in every:
        number = _join(walk, walk.piece(pattern), number)
    reason = "all pieces"
    if walk.tried >= walk.budget:
        reason += "; the budget ended, so that some components may be one"
    return _result(walk, "all", reason)


def _join(walk: _Walk, piece: PatternPiece | None, number: int) -> int:
    """Add a piece with its component; return the next component's number."""
    if piece is None or piece.pattern.tobytes() in walk.component:
        return number
    walk.spread(piece, number)
    return number + 1


def _fixed(units: Units) -> NDArray[np.bool_]:
    """Return the units of the layer itself that features put on one side.

    Where the slope below zero is zero, a positive feature says on, and off holds all of
    a zero feature's piece.
    """
    fixed = np.zeros(units.count, dtype=bool)
    node = units.network.nodes[units.feature]
    if isinstance(node, TwoSlope) and units.feature in units.nodes:
        place = units.nodes.index(units.feature)
        flat = (node.negative == 0).expand(node.shape).reshape(-1).numpy()
        fixed[units.starts[place] : units.starts[place + 1]] = flat
    return fixed


def _restarts(
    units: Units, x: Tensor, restarts: int, seed: int
) -> Iterable[NDArray[np.bool_]]:
    generator = np.random.default_rng(seed)
    size = 1.0 + float(x.abs().max())
    for count in range(restarts):
        drawn = generator.standard_normal(x.shape) * size * (0.5 + 2.0 * (count % 4))
        yield _pattern(units, x + x.new_tensor(drawn))[0].copy()


def _realised(walk: _Walk, own: NDArray[np.bool_]) -> list[NDArray[np.bool_]] | None:
    """Return all patterns that inputs have, or nothing if the budget ends first."""
    units, waiting, spent = walk.units, [(own.copy(), 0)], 0
    done: list[NDArray[np.bool_]] = []
    while waiting:
        pattern, known = waiting.pop()
        if known == units.count:
            done.append(pattern)
            continue
        sides: tuple[bool, ...] = (False, True)
        if walk.fixed[known]:
            sides = (bool(own[known]),)
        for side in sides:
            spent += 1
            if spent > walk.budget:
                return None
            longer = pattern.copy()
            longer[known] = side
            if _has_inputs(walk, longer, known + 1):
                waiting.append((longer, known + 1))
    return done


def _has_inputs(walk: _Walk, pattern: NDArray[np.bool_], known: int) -> bool:
    arguments = walk.units.maps(pattern).arguments[:known]
    held = sides_of(arguments, pattern[:known])
    if held is None:
        return False
    rows = np.concatenate([held[0], walk.extra[0]])
    return feasible(rows, np.concatenate([held[1], walk.extra[1]])) is not None


def _result(
    walk: _Walk, complete: Literal["all", "component", "none"], reason: str
) -> PreimagePieces:
    kept = [(walk.found[key], number) for key, number in walk.component.items()]
    return PreimagePieces(
        pieces=tuple(piece for piece, _ in kept if piece is not None),
        component=tuple(number for piece, number in kept if piece is not None),
        complete=complete,
        patterns=walk.tried,
        reason=reason,
    )
