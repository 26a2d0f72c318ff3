"""Norms of the rows of all units' arguments, and of winners' leads in maxima."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.freeze import Frozen
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.local.jacobian import flat_rows
from relulens.local.packing import Step
from relulens.local.sweep import sweep


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowNorms:
    """Euclidean norms of the derivatives of units' arguments.

    Attributes:
        entries: [N, size] for every node that a nonlinear node reads.
        leads: [N, groups, longest] for every maximum: of the winner's minus the other
            entry's, in the order of ``groups.ragged.padded()``.
    """

    entries: dict[int, Float[Tensor, "batch size"]]
    leads: dict[int, Float[Tensor, "batch groups longest"]]


@dataclass(slots=True, eq=False)
class _Sums:
    frozen: Frozen
    maxima: dict[int, list[int]]
    check: Callable[[], None]
    entries: dict[int, Tensor] = field(default_factory=dict)
    leads: dict[int, Tensor] = field(default_factory=dict)

    def visit(self, index: int, shown: Tensor) -> None:
        self.check()
        _accumulate(self.entries, index, _square_sums(shown))
        for maximum in self.maxima.get(index, ()):
            _accumulate(self.leads, maximum, _lead_sums(self.frozen, maximum, shown))


def _accumulate(sums: dict[int, Tensor], index: int, part: Tensor) -> None:
    sums[index] = sums[index] + part if index in sums else part


def _square_sums(shown: Tensor) -> Float[Tensor, "batch size"]:
    """Return sums of squares over the copies of [N, copies, *shape], float64."""
    return torch.stack([_sample_square_sums(sample) for sample in shown])


def _sample_square_sums(shown: Tensor) -> Float[Tensor, " size"]:
    if shown.ndim == 4 and shown.is_contiguous(memory_format=torch.channels_last):
        last = shown.permute(0, 2, 3, 1)
        sums = _column_square_sums(last.reshape(last.shape[0], -1))
        return sums.reshape(last.shape[1:]).permute(2, 0, 1).flatten()
    return _column_square_sums(shown.reshape(shown.shape[0], -1))


def _column_square_sums(matrix: Float[Tensor, "copies size"]) -> Tensor:
    if matrix.device.type == "cpu":
        # One pass over memory; torch takes two, or a strided one.
        array = matrix.numpy()
        sums = np.einsum("ij,ij->j", array, array)
        return torch.from_numpy(sums).to(torch.float64)
    return matrix.square().sum(0).to(torch.float64)


def _lead_sums(frozen: Frozen, index: int, shown: Tensor) -> Tensor:
    node = frozen.network.nodes[index]
    if not isinstance(node, Maximum):
        raise TypeError(f"node {index} is no maximum")
    flat = shown.reshape(*shown.shape[:2], shown.shape[2:].numel())
    table, real = (part.to(flat.device) for part in node.groups.ragged.padded())
    winner = flat_rows(frozen.gates[index])
    flat = flat.expand(winner.shape[0], -1, -1)
    best = flat.gather(2, winner.unsqueeze(1).expand(-1, flat.shape[1], -1))
    columns = [
        _square_sums(best - flat[:, :, table[:, column]]) * real[:, column]
        for column in range(table.shape[1])
    ]
    return torch.stack(columns, dim=2)


def row_norms(
    frozen: Frozen,
    steps: Sequence[Step],
    nonlinear: Collection[int],
    check: Callable[[], None] = lambda: None,
) -> RowNorms:
    """Return the norms of all rows that decide which side units are on.

    Args:
        frozen: The network, frozen; the norms are computed in its type.
        steps: What ``plan`` returned, with the nodes that the nonlinear ones read.
        nonlinear: Indices of TwoSlope and Maximum nodes.
        check: Called now and then; may raise to stop.

    Cost:
        One pass for every column that cannot be packed with others.
    """
    nodes = frozen.network.nodes
    maxima: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for index in nonlinear:
        node = nodes[index]
        if isinstance(node, Maximum):
            maxima.setdefault(node.source, []).append(index)
        if isinstance(node, Maximum | TwoSlope):
            sizes[node.source] = torch.Size(nodes[node.source].shape).numel()
    sums = _Sums(frozen, maxima, check)
    sweep(frozen, steps, sums.visit)
    zero = torch.zeros((), dtype=torch.float64, device=frozen.x.device)
    entries = {
        i: sums.entries.get(i, zero).sqrt().expand(frozen.batch, size)
        for i, size in sizes.items()
    }
    leads = {
        i: sums.leads[i].sqrt() if i in sums.leads else _no_leads(frozen, i)
        for several in maxima.values()
        for i in several
    }
    return RowNorms(entries=entries, leads=leads)


def _no_leads(frozen: Frozen, index: int) -> Tensor:
    node = frozen.network.nodes[index]
    if not isinstance(node, Maximum):
        raise TypeError(f"node {index} is no maximum")
    table, _ = node.groups.ragged.padded()
    return torch.zeros((frozen.batch, *table.shape), dtype=torch.float64)
