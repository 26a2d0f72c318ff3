"""Beams, one or more for each class to lead to, that take the best change at a time."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relulens.robustness.attacks.field import Field

CANDIDATES = 40
"""Changes that a beam evaluates at a time."""
BEAMS = 9
"""Beams in all, if there are fewer classes to lead to."""
LONGEST = 30
"""Changes of a beam after which other starts are better."""
EXTRA = 3
"""Steps that the other beams take after the first one has arrived."""


def arrived(field: Field, leads: Int[Tensor, "rivals leads"]) -> list[tuple[int, ...]]:
    """Return the sets of the beams that reach an attack.

    Args:
        field: The single changes of one input.
        leads: Changes that gain most alone, for each rival.
    """
    seeds = min(max(1, BEAMS // len(field.rivals)), leads.shape[1])
    rivals = field.rivals.repeat_interleave(seeds)
    width = max(4, min(CANDIDATES, field.tail.batch // len(rivals)))
    own = leads.repeat_interleave(seeds, 0)[:, : max(2, 2 * width // 5)]
    chosen = leads[:, :seeds].reshape(-1, 1)
    found: list[tuple[int, ...]] = []
    last = min(LONGEST, int(field.pixel.unique().numel()))
    while len(chosen) and chosen.shape[1] < last:
        step, done, stuck = _step(field, chosen, rivals, own, width)
        chosen = torch.cat([chosen, step[:, None]], 1)
        if bool(done.any()) and not found:
            last = min(last, chosen.shape[1] + EXTRA)
        found += [tuple(row) for row in chosen[done].tolist()]
        kept = ~(done | stuck)
        chosen, rivals, own = chosen[kept], rivals[kept], own[kept]
    return found


def _step(
    field: Field,
    chosen: Int[Tensor, "beams size"],
    rivals: Int[Tensor, " beams"],
    own: Int[Tensor, "beams leads"],
    width: int,
) -> tuple[Int[Tensor, " beams"], Bool[Tensor, " beams"], Bool[Tensor, " beams"]]:
    """Return each beam's next change, whether it attacks, and whether none is left."""
    points = field.at(chosen)
    taken = used(field, chosen)
    gains = field.gains(points, field.tail.outputs(points), rivals)
    top = min(max(2, width - own.shape[1]), field.count)
    best = gains.masked_fill(taken, -torch.inf).topk(top, 1).indices
    trial = torch.cat([best, own], 1)
    spent = taken.gather(1, trial)
    outputs = field.tail.outputs(joined(field, points, trial).flatten(0, 1))
    each = rivals.repeat_interleave(trial.shape[1])
    margin = _of(field.margin(outputs), spent)
    gap = _of(field.gap(outputs, each), spent)
    least, place = margin.min(1)
    done = least < 0
    step = torch.where(done, place, gap.argmin(1))
    return trial.gather(1, step[:, None])[:, 0], done, spent.all(1)


def joined(
    field: Field, points: Float[Tensor, "sets size"], trial: Int[Tensor, "sets trials"]
) -> Float[Tensor, "sets trials size"]:
    """Return points after one more change each, for every change on trial."""
    added = field.rows(trial.reshape(-1)).reshape(*trial.shape, -1)
    return points[:, None] + added


def _of(values: Tensor, spent: Bool[Tensor, "beams trials"]) -> Tensor:
    return values.reshape(spent.shape).masked_fill(spent, torch.inf)


def used(
    field: Field, chosen: Int[Tensor, "sets size"]
) -> Bool[Tensor, "sets changes"]:
    """Return which changes touch a pixel that each set changes already."""
    mask = torch.zeros(
        (len(chosen), int(field.pixel.max()) + 1),
        dtype=torch.bool,
        device=field.point.device,
    )
    return mask.scatter_(1, field.pixel[chosen], True)[:, field.pixel]
