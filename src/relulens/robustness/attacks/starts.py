"""Sets of many changes that are attacks, to be made smaller afterwards."""

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.robustness.attacks.field import Field

SIZES = (8, 16, 32, 64, 128, 256)
"""Sizes of the sets, in the order they are tried."""
ROUNDS = 4
"""How often the affine map is taken anew around the point reached."""
DRAWS = 128
"""Random sets of each size."""


def overshoots(field: Field) -> list[tuple[int, ...]]:
    """Return sets that gain most by an affine map, of the first size that attacks.

    A set jumps over many regions at once, so the map is taken anew where it lands, and
    the next set is chosen by that one.
    """
    rivals = field.rivals
    pixels = int(field.pixel.unique().numel())
    for size in SIZES:
        found: list[tuple[int, ...]] = []
        points = field.point.expand(len(rivals), -1)
        for _ in range(ROUNDS):
            outputs = field.tail.outputs(points)
            gains = field.gains(points, outputs, rivals)
            sets = _strongest(field, gains, size)
            points = torch.stack([_landed(field, chosen) for chosen in sets])
            margin = field.margin(field.tail.outputs(points))
            hits = (margin < 0).nonzero().flatten().tolist()
            found += [sets[i] for i in hits if sets[i] not in found]
        if found or size >= pixels:
            return found
    return []


def random_starts(field: Field, seed: int) -> list[tuple[int, ...]]:
    """Return random sets of random changes, of the first size that attacks."""
    generator = torch.Generator().manual_seed(seed)
    device = field.point.device
    changes = field.pixel.shape[0]
    for size in (*SIZES, changes):
        sets: list[tuple[int, ...]] = []
        for _ in range(DRAWS):
            drawn = torch.randperm(changes, generator=generator)[: 2 * size].to(device)
            sets.append(_one_each(field, drawn.tolist(), size))
        points = torch.stack([_landed(field, chosen) for chosen in sets])
        margin = field.margin(field.tail.outputs(points))
        hits = margin.argsort()[:3]
        hits = hits[margin[hits] < 0].tolist()
        if hits:
            return [sets[i] for i in hits]
        if size >= changes:
            break
    return []


def _landed(field: Field, chosen: tuple[int, ...]) -> Tensor:
    if not chosen:
        return field.point
    rows = torch.tensor(chosen, device=field.point.device)
    return field.point + field.rows(rows).sum(0)


def _strongest(
    field: Field, gains: Float[Tensor, "rivals changes"], size: int
) -> list[tuple[int, ...]]:
    """Return for each rival the changes that gain most, one a pixel."""
    pixel = field.pixel.expand_as(gains)
    best = torch.full_like(gains[:, :1], -torch.inf).repeat(1, int(pixel.max()) + 1)
    best.scatter_reduce_(1, pixel, gains, "amax")
    own = gains.masked_fill(gains < best.gather(1, pixel), -torch.inf)
    value, place = own.topk(min(2 * size, own.shape[1]), 1)
    return [
        _one_each(field, [j for g, j in zip(v, p, strict=True) if g > 0], size)
        for v, p in zip(value.tolist(), place.tolist(), strict=True)
    ]


def _one_each(field: Field, changes: list[int], size: int) -> tuple[int, ...]:
    """Return the first changes, with one a pixel at most."""
    pixels = field.pixel[changes].tolist() if changes else []
    first = dict(reversed(list(zip(pixels, changes, strict=True))))
    ordered = [first[pixel] for pixel in dict.fromkeys(pixels)]
    return tuple(ordered[:size])
