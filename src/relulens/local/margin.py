"""How far units are from switching, and which are exactly at their switch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relulens.graph.freeze import Frozen, freeze
from relulens.graph.nodes import Maximum, Smooth, TwoSlope, sources
from relulens.graph.polyhedral import source_name
from relulens.graph.tangent import tangent_walk
from relulens.graph.tolerances import Tolerances
from relulens.local.jacobian import flat_rows
from relulens.local.rounding import rounding_scale, scale_sources

PROBES = 2
"""Random directions that tell an inequality that is constant from one that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TightUnit:
    """A unit at its switch.

    Attributes:
        layer: Name of its layer.
        unit: Flat position in the layer's features.
    """

    layer: str
    unit: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Margins:
    """How far the units are from switching.

    Attributes:
        smallest: [N], in units of the arguments; 0 where a unit is at its switch.
        tight: The units at their switch, for every input.
    """

    smallest: Float[Tensor, " batch"]
    tight: tuple[tuple[TightUnit, ...], ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Gaps:
    """Gaps of one node's units to their switches, [N, units], and rounding scales."""

    gap: Tensor
    scale: Tensor
    rate: Tensor
    rate_scale: Tensor


def margins(
    frozen: Frozen, start: int, end: int, *, tol: Tolerances, seed: int
) -> Margins:
    """Return how far the units between two nodes are from switching.

    An inequality is taken as constant on the region if it is so along random
    directions; its rounding is measured against the terms that it adds up.
    """
    network = frozen.network
    switching = [
        i
        for i in sorted(network.ancestors(end))
        if i > start and _switches(network.nodes[i])
    ]
    smallest = torch.full((frozen.batch,), torch.inf, dtype=torch.float64)
    tight: list[list[TightUnit]] = [[] for _ in range(frozen.batch)]
    if frozen.batch == 0 or not switching:
        return Margins(
            smallest=smallest.to(frozen.x.device), tight=tuple(map(tuple, tight))
        )
    read = {j for i in switching for j in sources(network.nodes[i])}
    needed = {j for i in read for j in (i, *scale_sources(network, i))}
    values = freeze(network, frozen.x, end, keep=needed).values
    rates = _rates(frozen, start, end, needed, seed)
    smallest = smallest.to(frozen.x.device)
    for index in switching:
        for gaps in _node_gaps(frozen, index, values, rates):
            constant = (gaps.rate <= tol.row * gaps.rate_scale).all(1)
            at_switch = (gaps.gap <= tol.sign * gaps.scale) & ~constant
            gap = gaps.gap.masked_fill(constant, torch.inf)
            gap = gap.masked_fill(at_switch, 0.0).to(torch.float64)
            smallest = torch.minimum(smallest, gap.amin(1))
            for sample, unit in at_switch.nonzero().tolist():
                named = TightUnit(layer=source_name(network, index), unit=unit)
                tight[sample].append(named)
    unique = tuple(tuple(dict.fromkeys(units)) for units in tight)
    return Margins(smallest=smallest, tight=unique)


def _switches(node: object) -> bool:
    match node:
        case TwoSlope():
            return bool((node.positive != node.negative).any())
        case Maximum():
            return True
        case Smooth():
            return bool(node.function.kinks)
        case _:
            return False


def _rates(
    frozen: Frozen, start: int, end: int, needed: set[int], seed: int
) -> dict[int, Tensor]:
    """Return random directions from ``start`` at the nodes, [N * PROBES, *shape]."""
    generator = torch.Generator().manual_seed(seed)
    shape = frozen.network.nodes[start].shape
    drawn = torch.randn((PROBES, *shape), generator=generator, dtype=torch.float64)
    directions = drawn.to(frozen.x.device, frozen.x.dtype).repeat(
        frozen.batch, *[1] * len(shape)
    )
    return tangent_walk(frozen, directions, start=start, end=end, keep=needed)


def _node_gaps(
    frozen: Frozen,
    index: int,
    values: Mapping[int, Tensor],
    rates: Mapping[int, Tensor],
) -> Iterator[_Gaps]:
    network = frozen.network
    node = network.nodes[index]
    if not isinstance(node, TwoSlope | Maximum | Smooth):
        return
    z = flat_rows(values[node.source])
    scale = flat_rows(rounding_scale(network, node.source, values))
    if node.source in rates:
        rate = rates[node.source]
        rate_scale = rounding_scale(network, node.source, rates, bias=False)
    else:
        rate = rate_scale = z.new_zeros((z.shape[0] * PROBES, z.shape[1]))
    rate = rate.reshape(frozen.batch, PROBES, -1)
    rate_scale = rate_scale.reshape(frozen.batch, PROBES, -1)
    match node:
        case TwoSlope():
            same = _alike(node, z)
            gap = z.abs().masked_fill(same, torch.inf)
            yield _Gaps(gap=gap, scale=scale, rate=rate.abs(), rate_scale=rate_scale)
        case Smooth():
            for kink in node.function.kinks:
                yield _Gaps(
                    gap=(z - kink).abs(),
                    scale=scale + abs(kink),
                    rate=rate.abs(),
                    rate_scale=rate_scale,
                )
        case Maximum():
            yield from _lead_gaps(frozen, index, node, (z, scale, rate, rate_scale))


def _alike(node: TwoSlope, z: Tensor) -> Bool[Tensor, "1 units"]:
    """Tell which units have one slope on both sides."""
    equal = (node.positive == node.negative).expand(node.shape)
    return equal.reshape(1, -1).to(z.device)


def _lead_gaps(
    frozen: Frozen,
    index: int,
    node: Maximum,
    arrays: tuple[Tensor, Tensor, Tensor, Tensor],
) -> Iterator[_Gaps]:
    """Yield the winner's lead over the entries of its group, one column at a time."""
    z, scale, rate, rate_scale = arrays
    table, real = node.groups.ragged.padded()
    table, real = table.to(z.device), real.to(z.device)
    winner = flat_rows(frozen.gates[index])
    wide = winner.unsqueeze(1).expand(-1, PROBES, -1)
    for column in range(table.shape[1]):
        other = table[:, column]
        counts = real[:, column] & (other != winner)
        lead = z.gather(1, winner) - z[:, other]
        yield _Gaps(
            gap=lead.abs().masked_fill(~counts, torch.inf),
            scale=scale.gather(1, winner) + scale[:, other],
            rate=(rate.gather(2, wide) - rate[:, :, other]).abs(),
            rate_scale=rate_scale.gather(2, wide) + rate_scale[:, :, other],
        )
