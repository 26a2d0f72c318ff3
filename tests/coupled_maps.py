"""Coupled maps of every kind, with boxes and points for them."""

import torch
from torch import Tensor

from relulens.graph.coupled import (
    LogSumExp,
    MatrixProduct,
    Normalise,
    Product,
    Quotient,
    Softmax,
)

EXACT = {
    "product": (Product(), [(3,), (3,)]),
    "quotient": (Quotient(), [(2,), (2,)]),
    "softmax": (Softmax(-1), [(4,)]),
    "masked softmax": (
        Softmax(-1, torch.tensor([0.0, -torch.inf, 0.0]).double()),
        [(3,)],
    ),
    "softmax along the first axis": (Softmax(-2), [(3, 2)]),
    "logsumexp": (LogSumExp(-1), [(3,)]),
}
SOUND = {
    "matrix product": (MatrixProduct(), [(2, 3), (3, 2)]),
    "stacked matrix product": (MatrixProduct(), [(2, 1, 2), (2, 2, 3)]),
    "normalise": (Normalise(1, 1e-5), [(4,)]),
    "root mean square": (Normalise(1, 1e-5, False), [(3,)]),
    "group": (Normalise(2, 1e-3), [(2, 2, 2)]),
}
COUPLED = EXACT | SOUND


def boxes_of(name: str, seed: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return a box [1, *shape] for every argument; divisors stay away from zero."""
    boxes = []
    for i, shape in enumerate(COUPLED[name][1]):
        generator = torch.Generator().manual_seed(10 * seed + i)
        middle = 2 * torch.randn(1, *shape, generator=generator).double()
        radius = 1.5 * torch.rand(1, *shape, generator=generator).double()
        if name == "quotient" and i == 1:
            middle = middle.sign() * (middle.abs() + radius + 0.5)
        boxes.append((middle - radius, middle + radius))
    return tuple(boxes)


def samples_of(
    boxes: tuple[tuple[Tensor, Tensor], ...], count: int
) -> tuple[Tensor, ...]:
    """Return random points of boxes, two in three at corners."""
    generator = torch.Generator().manual_seed(1)
    read = []
    for low, high in boxes:
        share = torch.rand(count, *low.shape[1:], generator=generator).double()
        share[: 2 * count // 3] = share[: 2 * count // 3].round()
        read.append(low + share * (high - low))
    return tuple(read)
