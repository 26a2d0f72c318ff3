"""Make an attack smaller: take changes back, and put one in the place of two."""

import itertools

import torch
from jaxtyping import Int
from torch import Tensor

from relulens.robustness.attacks.beams import joined
from relulens.robustness.attacks.field import Field

GAINING = 16
"""Changes tried in the place of two, for each of two rivals."""
COUPLES = 60
"""Couples of changes that are replaced by one, at most."""
SMALL = 8
"""Size from which every couple is worth trying."""


def shrunk(field: Field, start: tuple[int, ...]) -> tuple[int, ...]:
    """Take back as many changes at once as possible, those that matter least first."""
    device = field.point.device
    chosen = torch.tensor(start, device=device)
    while len(chosen) > SMALL:
        rows = field.rows(chosen)
        whole = field.point + rows.sum(0)
        order = field.margin(field.tail.outputs(whole - rows)).argsort()
        left = whole - rows[order].cumsum(0)
        good = (field.margin(field.tail.outputs(left[:-1])) < 0).nonzero().flatten()
        if not len(good):
            break
        chosen = chosen[order[int(good.max()) + 1 :]]
    return tuple(chosen.tolist())


def fewer(
    field: Field, start: tuple[int, ...], pool: Int[Tensor, " pool"], enough: int
) -> tuple[int, ...]:
    """Return an attack with as few changes as single steps lead to.

    Args:
        field: The single changes of one input.
        start: An attack.
        pool: Changes that are always tried in the place of two others.
        enough: Size at which to stop.
    """
    chosen = torch.tensor(start, device=field.point.device)
    while len(chosen) > max(enough, 1):
        smaller = _without_one(field, chosen)
        if smaller is None and len(chosen) > 2:
            smaller = _one_for_two(field, chosen, pool)
        if smaller is None:
            break
        chosen = smaller
    return tuple(chosen.tolist())


def _without_one(field: Field, chosen: Int[Tensor, " size"]) -> Tensor | None:
    rows = field.rows(chosen)
    margin = field.margin(field.tail.outputs(field.point + rows.sum(0) - rows))
    place = int(margin.argmin())
    if float(margin[place]) >= 0:
        return None
    return torch.cat([chosen[:place], chosen[place + 1 :]])


def _one_for_two(
    field: Field, chosen: Int[Tensor, " size"], pool: Int[Tensor, " pool"]
) -> Tensor | None:
    """Return the best set with two changes replaced by another one, if it attacks."""
    size = len(chosen)
    keep = [
        [i for i in range(size) if i not in couple]
        for couple in itertools.combinations(range(size), 2)
    ]
    kept = chosen[torch.tensor(keep, device=chosen.device)]
    points = field.at(kept)
    outputs = field.tail.outputs(points)
    if len(kept) > COUPLES:
        best = field.margin(outputs).argsort()[:COUPLES]
        kept, points, outputs = kept[best], points[best], outputs[best]
    trial = torch.cat([_gaining(field, points, outputs), pool.expand(len(kept), -1)], 1)
    spent = (field.pixel[trial][:, :, None] == field.pixel[kept][:, None, :]).any(2)
    best, lowest = None, 0.0
    rows = max(1, 4 * field.tail.batch // trial.shape[1])
    for part in torch.arange(len(kept), device=chosen.device).split(rows):
        moved = joined(field, points[part], trial[part]).flatten(0, 1)
        margin = field.margin(field.tail.outputs(moved))
        margin = margin.masked_fill(spent[part].reshape(-1), torch.inf)
        place = int(margin.argmin())
        if float(margin[place]) < lowest:
            row, column = divmod(place, trial.shape[1])
            lowest = float(margin[place])
            best = torch.cat([kept[part[row]], trial[part[row]][column : column + 1]])
    return best


def _gaining(field: Field, points: Tensor, outputs: Tensor) -> Tensor:
    """Return the changes that gain most towards each point's two nearest rivals."""
    places = outputs[:, field.rivals].topk(min(2, len(field.rivals)), 1).indices
    count = min(GAINING, field.count)
    return torch.cat(
        [
            field.gains(points, outputs, field.rivals[place]).topk(count, 1).indices
            for place in places.T
        ],
        1,
    )
