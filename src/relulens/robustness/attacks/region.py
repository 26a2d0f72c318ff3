"""The strong sparse attack: beams over exact single changes, then fewer and fewer.

Inside a region the network is one affine map, so the gain of every change is known;
the candidates that gain most there, and those that gained most when each was tried
alone, are evaluated exactly, the best one is taken, and the map is taken anew around
the point reached. A beam per class to lead to keeps the search from one basin.
"""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from relulens.robustness.attacks.beams import arrived
from relulens.robustness.attacks.field import Field
from relulens.robustness.attacks.reduction import fewer, shrunk
from relulens.robustness.attacks.starts import overshoots, random_starts

LEADS = 16
"""Changes kept for each rival because they gain most alone."""
POOL = 8
"""Of these, how many are tried when sets are made smaller."""
STARTS = 3
"""Sets of each kind that are made smaller."""
PAIRS = 200_000
"""Most pairs of changes that are all tried."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Found:
    """Changes that the search ends with.

    Attributes:
        changes: Numbers of changes, or nothing.
        near: Sets of fewer changes that come closest to an attack.
        excluded: No fewer changes than this do it: all of them were tried.
    """

    changes: tuple[int, ...] | None
    near: tuple[tuple[int, ...], ...]
    excluded: int


def region_attack(field: Field, budget: int, *, fewest: bool, seed: int) -> Found:
    """Return as few changes to ends of the domain as found.

    Args:
        field: The single changes of one input.
        budget: Most changes that count as an attack.
        fewest: Whether to go on once the budget is kept.
        seed: Seed of the random starts.

    Cost:
        One evaluation of every change, some hundred for each step of a beam, and some
        thousand for each change that is taken back.
    """
    if not field.count:
        return Found(changes=None, near=(), excluded=1)
    alone, leads = _alone(field)
    excluded = 2 if alone.complete else 1
    if alone.best is not None:
        return Found(changes=(alone.best,), near=(), excluded=1)
    if budget == 1:
        return Found(changes=None, near=alone.near, excluded=excluded)
    pool = leads[:, :POOL].reshape(-1).unique()
    best = _searched(field, leads, pool, budget, fewest=fewest, seed=seed)
    size = field.count if best is None else len(best)
    if size > 2 and excluded == 2 and (fewest or budget == 2):
        pair, complete = _best_pair(field)
        best = best if pair is None else pair
        excluded = 3 if complete and pair is None else excluded
    near = alone.near if best is None else _near(field, best)
    return Found(changes=best, near=near, excluded=excluded)


def _searched(
    field: Field,
    leads: Int[Tensor, "rivals leads"],
    pool: Int[Tensor, " pool"],
    budget: int,
    *,
    fewest: bool,
    seed: int,
) -> tuple[int, ...] | None:
    """Return the smallest set that the starts lead to."""
    best: tuple[int, ...] | None = None
    enough = 2 if fewest else budget
    for kind in ("beams", "jumps", "chance"):
        for start in _starts(field, leads, kind, seed, needed=best is None):
            found = fewer(field, start, pool, enough)
            best = found if best is None or len(found) < len(best) else best
            if len(best) <= enough:
                return best
    return best


def _starts(
    field: Field, leads: Tensor, kind: str, seed: int, *, needed: bool
) -> list[tuple[int, ...]]:
    """Return the smallest attacks of one kind, to be made smaller."""
    found: list[tuple[int, ...]] = []
    if kind == "beams":
        found = arrived(field, leads)
    elif kind == "jumps":
        found = [shrunk(field, start) for start in overshoots(field)]
    elif needed:
        found = [shrunk(field, start) for start in random_starts(field, seed)]
    return sorted(found, key=len)[:STARTS]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Alone:
    best: int | None
    near: tuple[tuple[int, ...], ...]
    complete: bool


def _alone(field: Field) -> tuple[_Alone, Tensor]:
    """Evaluate single changes, and return the best ones for each rival."""
    every = torch.arange(field.count, device=field.point.device)
    complete = field.count <= 8 * field.tail.batch
    rivals = field.rivals
    if not complete:
        start = field.point.expand(len(rivals), -1)
        gains = field.gains(start, field.tail.outputs(start), rivals)
        every = gains.amax(0).topk(min(4 * field.tail.batch, field.count)).indices
    outputs = torch.cat([
        field.tail.outputs(field.point + field.rows(part))
        for part in every.split(max(field.tail.batch, 1))
    ])
    margin = field.margin(outputs)
    order = margin.argsort()
    first = int(order[0])
    gaps = torch.stack([
        field.gap(outputs, rival.expand(len(outputs))) for rival in rivals
    ])
    count = min(LEADS, len(every))
    leads = every[gaps.topk(count, largest=False).indices]
    near = tuple((int(every[i]),) for i in order[:STARTS])
    lowest = float(margin[first])
    best = int(every[first]) if lowest < 0 else None
    # Within the slack float32 cannot tell, so nothing is excluded.
    sure = complete and lowest > 2 * field.slack
    return _Alone(best=best, near=near, complete=sure), leads


def _best_pair(field: Field) -> tuple[tuple[int, ...] | None, bool]:
    """Try all pairs of changes if they are few, and return the best attack."""
    count = field.count
    if count * (count - 1) // 2 > min(PAIRS, 4 * field.tail.batch):
        return None, False
    pairs = torch.combinations(torch.arange(count, device=field.point.device))
    pairs = pairs[field.pixel[pairs[:, 0]] != field.pixel[pairs[:, 1]]]
    best, lowest = None, torch.inf
    for part in pairs.split(1 << 14):
        margin = field.margin(field.tail.outputs(field.at(part)))
        place = int(margin.argmin())
        if float(margin[place]) < lowest:
            best, lowest = tuple(part[place].tolist()), float(margin[place])
    return (best if lowest < 0 else None), lowest > 2 * field.slack


def _near(field: Field, best: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return an attack's sets with one change less, nearest to an attack first."""
    if len(best) < 2:
        return ()
    sets = list(itertools.combinations(best, len(best) - 1))
    table = torch.tensor(sets, device=field.point.device)
    margin = field.margin(field.tail.outputs(field.at(table)))
    return tuple(sets[i] for i in margin.argsort()[:STARTS].tolist())
