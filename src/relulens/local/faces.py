"""Faces of a region: where a unit would switch, how far off, and along which normal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.graph.freeze import Frozen, frozen_part
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.graph.tangent import adjoint_walk
from relulens.graph.tolerances import Tolerances
from relulens.local.jacobian import flat_rows
from relulens.local.rounding import rounding_scale
from relulens.local.row_norms import RowNorms


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Faces:
    """Inequalities ``value > 0`` (or ``< 0``) of one sample that hold on its region.

    Attributes:
        node: Index of the nonlinear node.
        unit: Flat position in the node's value.
        source: Index of the node that holds the entries.
        plus: Flat position there of the entry that counts positive.
        minus: Of the entry that is subtracted, -1 if none.
        value: What the inequality compares with zero, at the sample.
        scale: Sum of the absolute terms that it adds up.
        norm: Norm of its derivative, as screened.
    """

    node: Int[Tensor, " faces"]
    unit: Int[Tensor, " faces"]
    source: Int[Tensor, " faces"]
    plus: Int[Tensor, " faces"]
    minus: Int[Tensor, " faces"]
    value: Float[Tensor, " faces"]
    scale: Float[Tensor, " faces"]
    norm: Float[Tensor, " faces"]

    def __len__(self) -> int:
        """Return the number of faces."""
        return self.node.numel()

    def take(self, places: Tensor) -> "Faces":
        """Return some of the faces."""
        return Faces(
            node=self.node[places],
            unit=self.unit[places],
            source=self.source[places],
            plus=self.plus[places],
            minus=self.minus[places],
            value=self.value[places],
            scale=self.scale[places],
            norm=self.norm[places],
        )

    def distances(self, tol: Tolerances) -> Float[Tensor, " faces"]:
        """Return how far the faces are, as screened; infinite where nothing varies."""
        size = self.value.abs()
        size = torch.where(size <= tol.sign * self.scale, 0.0, size)
        return torch.where(self.norm > 0, size / self.norm, torch.inf)


def joined(several: Sequence[Faces]) -> Faces:
    """Return faces one after another."""
    if not several:
        none = torch.zeros(0, dtype=torch.int64)
        empty = torch.zeros(0, dtype=torch.float64)
        return Faces(
            node=none,
            unit=none,
            source=none,
            plus=none,
            minus=none,
            value=empty,
            scale=empty,
            norm=empty,
        )
    return Faces(
        node=torch.cat([part.node for part in several]),
        unit=torch.cat([part.unit for part in several]),
        source=torch.cat([part.source for part in several]),
        plus=torch.cat([part.plus for part in several]),
        minus=torch.cat([part.minus for part in several]),
        value=torch.cat([part.value for part in several]),
        scale=torch.cat([part.scale for part in several]),
        norm=torch.cat([part.norm for part in several]),
    )


def faces(
    frozen: Frozen, norms: RowNorms, sample: int, nonlinear: Mapping[int, object]
) -> Faces:
    """Return the faces of one sample's region, constant inequalities left out.

    Args:
        frozen: The network, frozen, with the values that nonlinear nodes read.
        norms: Norms of the rows of all samples.
        sample: Which of the samples.
        nonlinear: The nonlinear nodes by index.
    """
    one = frozen_part(frozen, slice(sample, sample + 1))
    found: list[Faces] = []
    for index, node in nonlinear.items():
        if isinstance(node, TwoSlope):
            found.append(_two_slope_faces(one, index, node, norms.entries, sample))
        elif isinstance(node, Maximum):
            found.append(_lead_faces(one, index, node, norms.leads, sample))
    return joined(found)


def _two_slope_faces(
    one: Frozen, index: int, node: TwoSlope, norms: Mapping[int, Tensor], sample: int
) -> Faces:
    norm = norms[node.source][sample]
    bends = (
        (node.positive != node.negative).expand(node.shape).flatten().to(norm.device)
    )
    unit = ((norm > 0) & bends).nonzero().flatten()
    value = one.values[node.source].flatten()
    scale = rounding_scale(one.network, node.source, one.values).flatten()
    return _faces_at((index, node.source), unit, unit, None, value, scale, norm[unit])


def _lead_faces(
    one: Frozen, index: int, node: Maximum, norms: Mapping[int, Tensor], sample: int
) -> Faces:
    norm = norms[index][sample]  # shape [groups, longest]
    table, real = (part.to(norm.device) for part in node.groups.ragged.padded())
    winner = one.gates[index].flatten()
    counts = real & (table != winner[:, None]) & (norm > 0)
    unit, column = counts.nonzero(as_tuple=True)
    value = one.values[node.source].flatten()
    scale = rounding_scale(one.network, node.source, one.values).flatten()
    other = table[unit, column]
    place = (index, node.source)
    return _faces_at(place, unit, winner[unit], other, value, scale, norm[counts])


def entry_faces(
    frozen: Frozen, norms: RowNorms, sample: int, relus: Mapping[int, int]
) -> Faces:
    """Return where single entries of a maximum would switch on the unit that reads it.

    A unit that is off and reads a maximum is switched on by whichever entry gets there
    first, though it need not be the winner now.

    Args:
        frozen: The network, frozen, with the values that nonlinear nodes read.
        norms: Norms of the rows of all samples.
        sample: Which of the samples.
        relus: Index of the TwoSlope node to index of the maximum that it reads.
    """
    one = frozen_part(frozen, slice(sample, sample + 1))
    found: list[Faces] = []
    for index, maximum in relus.items():
        node = one.network.nodes[maximum]
        if not isinstance(node, Maximum):
            continue
        table, real = (part.to(frozen.x.device) for part in node.groups.ragged.padded())
        norm = norms.entries[node.source][sample]
        off = ~one.gates[index].flatten()
        counts = real & off[:, None] & (norm[table] > 0)
        counts &= table != one.gates[maximum].flatten()[:, None]
        unit, column = counts.nonzero(as_tuple=True)
        value = one.values[node.source].flatten()
        scale = rounding_scale(one.network, node.source, one.values).flatten()
        plus = table[unit, column]
        place = (index, node.source)
        found.append(_faces_at(place, unit, plus, None, value, scale, norm[plus]))
    return joined(found)


def _faces_at(
    place: tuple[int, int],
    unit: Tensor,
    plus: Tensor,
    minus: Tensor | None,
    value: Tensor,
    scale: Tensor,
    norm: Tensor,
) -> Faces:
    first, size = value[plus].to(torch.float64), scale[plus].to(torch.float64)
    if minus is not None:
        first = first - value[minus]
        size = size + scale[minus]
    return Faces(
        node=torch.full_like(unit, place[0]),
        unit=unit,
        source=torch.full_like(unit, place[1]),
        plus=plus,
        minus=torch.full_like(unit, -1) if minus is None else minus,
        value=first,
        scale=size,
        norm=norm.to(torch.float64),
    )


def face_rows(one: Frozen, some: Faces) -> Float[Tensor, "faces inputs"]:
    """Return the derivatives of the inequalities, as rows over the input.

    Args:
        one: The network, frozen at one sample.
        some: Faces of that sample.
    """
    nodes = one.network.nodes
    weights: dict[int, Tensor] = {}
    for source in some.source.unique().tolist():
        size = torch.Size(nodes[source].shape).numel()
        given = one.x.new_zeros((len(some), size))
        mine = (some.source == source).nonzero().flatten()
        given[mine, some.plus[mine]] += 1.0
        pairs = mine[some.minus[mine] >= 0]
        given[pairs, some.minus[pairs]] -= 1.0
        weights[source] = given.reshape(-1, *nodes[source].shape)
    return flat_rows(adjoint_walk(one, weights))
