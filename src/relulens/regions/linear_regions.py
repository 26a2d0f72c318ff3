"""Enumerations of linear regions: what they found, cell by cell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.network import Network
from relulens.graph.polyhedral import polyhedral
from relulens.local.pattern import activation_pattern
from relulens.numerics.kernels import cells as kernel
from relulens.regions.complex import Complex
from relulens.regions.exact_codes import exact_codes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Neighbours:
    """Pairs of regions that share a face of one dimension less.

    Attributes:
        pairs: The regions [k, 2], the smaller number first.
        layer: Name of the layer whose unit switches across the face.
        unit: Flat position of that unit, the first one if several switch.
    """

    pairs: Int[Tensor, "k 2"]
    layer: tuple[str, ...]
    unit: Int[Tensor, " k"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RegionCheck:
    """Facts about an enumeration that follow from its being right.

    Attributes:
        volume: Sum of the regions' volumes, NaN if they have no vertices.
        domain_volume: Volume of the domain; infinite, or NaN where it is not known.
        witnessed: Regions whose interior point has their pattern, in float64 or, where
            that differs, in whole numbers: a unit that is zero all over a region may
            round to another sign there.
        distinct: Number of different patterns.
        count: Number of regions.
    """

    volume: float
    domain_volume: float
    witnessed: int
    distinct: int
    count: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinearRegions:
    """The linear regions of a network that meet the interior of a domain.

    Attributes:
        network: The network up to the layer asked about.
        count: Number of regions; a lower bound unless ``complete``.
        counts: Regions of the layers up to each one, by its name.
        codes: Codes [count, size] of every layer, as in ``activation_pattern``.
        points: A point [count, *input_shape] inside every region.
        bounded: Whether each region is bounded.
        complete: Whether these are all.
        decided: Signs that rounding left open and whole numbers settled.
        undecided: Times that a linear program could not tell whether a unit is zero all
            over a region or positive in a part of it thinner than rounding.
        reason: In words, if not complete.
        domain_volume: Volume of the domain, NaN where it is not known.
    """

    network: Network
    count: int
    counts: Mapping[str, int]
    codes: Mapping[str, Int[Tensor, "regions size"]]
    points: Float[Tensor, " regions *input"]
    bounded: Bool[Tensor, " regions"]
    complete: bool
    decided: int
    undecided: int
    reason: str
    domain_volume: float
    complex: Complex | None = field(repr=False)
    owner: NDArray[np.int64] = field(repr=False)
    labels: tuple[tuple[int, str, NDArray[np.int64]], ...] = field(repr=False)
    _known: dict[str, Tensor | Neighbours | int] = field(
        default_factory=dict, repr=False
    )

    def __len__(self) -> int:
        """Return the number of regions."""
        return self.count

    def _cells(self, wanted: str) -> Complex:
        if self.complex is None:
            raise InvalidArgumentError(
                f"cannot return {wanted}: the {self.count} regions were listed by"
                " linear programs, without vertices. Use method='vertices'."
            )
        return self.complex

    @property
    def vertices(self) -> Float[Tensor, "vertices inputs"]:
        """All vertices of all regions, flattened; infinite where at infinity."""
        n = self.network.input_size
        rows = self._cells("vertices").rows
        with np.errstate(divide="ignore", invalid="ignore"):
            points = rows[:, :n] / rows[:, n : n + 1]
        points[np.isnan(points)] = np.inf
        return torch.from_numpy(points).to(self.network.device)

    def vertices_of(self, region: int) -> Int[Tensor, " k"]:
        """Return which vertices a region's cells have.

        Args:
            region: Number of the region.
        """
        held = self._cells("vertices")
        found: list[int] = []
        for cell in np.nonzero(self.owner == region)[0]:
            first, size = held.head[cell, 0], held.head[cell, 2]
            found += held.ints[first : first + size].tolist()
        return torch.tensor(sorted(set(found)), dtype=torch.int64)

    @property
    def edges(self) -> int:
        """Number of edges of all cells."""
        known = self._known.get("edges")
        if isinstance(known, int):
            return known
        held = self._cells("edges")
        count = len(np.unique(kernel.edge_keys(held.head, held.ints)))
        self._known["edges"] = count
        return count

    @property
    def volumes(self) -> Float[Tensor, " regions"]:
        """Volumes of the regions, infinite where unbounded; computed once."""
        known = self._known.get("volumes")
        if isinstance(known, Tensor):
            return known
        held = self._cells("volumes")
        single = kernel.volumes(
            held.head, held.ints, held.words, held.width, held.rows, held.dimension
        )
        total = np.bincount(self.owner, single, minlength=self.count)
        result = torch.from_numpy(total).to(self.network.device)
        self._known["volumes"] = result
        return result

    @property
    def neighbours(self) -> Neighbours:
        """Regions that share a face, and which unit switches there; computed once."""
        known = self._known.get("neighbours")
        if isinstance(known, Neighbours):
            return known
        found = self._shared_faces()
        self._known["neighbours"] = found
        return found

    def _shared_faces(self) -> Neighbours:
        held = self._cells("neighbours")
        keys, owner = kernel.facet_keys(held.head, held.ints, held.words, held.width)
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        keys, owner = keys[order], owner[order]
        same = (keys[1:] == keys[:-1]).all(axis=1)
        left, right = owner[:-1][same], owner[1:][same]
        first = max((part[0] for part in self.labels[:1]), default=0)
        both = np.sort(self.owner[np.stack([left[:, 0], right[:, 0]], axis=1)], axis=1)
        label = np.minimum(left[:, 1], right[:, 1])
        kept = (both[:, 0] != both[:, 1]) & (label >= first)
        _, once = np.unique(both[kept], axis=0, return_index=True)
        both, label = both[kept][once], label[kept][once]
        starts = np.array([part[0] for part in self.labels])
        place = np.searchsorted(starts, label, side="right") - 1
        names = tuple(self.labels[i][1] for i in place)
        unit = [
            int(self.labels[i][2][k - starts[i]])
            for i, k in zip(place, label, strict=True)
        ]
        device = self.network.device
        return Neighbours(
            pairs=torch.from_numpy(both).to(device),
            layer=names,
            unit=torch.tensor(unit, dtype=torch.int64, device=device),
        )

    def check(self) -> RegionCheck:
        """Return facts that hold if the enumeration is right.

        Cost:
            The volumes, and one forward pass of every region's point; one in whole
            numbers of those that float64 does not confirm.
        """
        exact = converted(self.network, torch.float64, torch.device("cpu"))
        points = self.points.cpu()
        pattern = activation_pattern(exact, points)
        same = torch.ones(self.count, dtype=torch.bool)
        table = [np.zeros((self.count, 1), np.int64)]
        for name, code in self.codes.items():
            same &= (pattern[name] == code.cpu()).all(dim=1)
            table.append(code.cpu().numpy())
        if not bool(same.all()):
            self._confirm(exact, points, same)
        return RegionCheck(
            volume=math.nan
            if self.complex is None
            else math.fsum(self.volumes.tolist()),
            domain_volume=self.domain_volume,
            witnessed=int(same.sum()),
            distinct=len(np.unique(np.concatenate(table, axis=1), axis=0)),
            count=self.count,
        )

    def _confirm(self, exact: Network, points: Tensor, same: Tensor) -> None:
        """Mark the regions whose points have their patterns in whole numbers."""
        left = (~same).nonzero().flatten()
        region = polyhedral(exact, exact.output)
        again = exact_codes(region, points[left].flatten(1).numpy())
        same[left] = True
        for name, code in self.codes.items():
            same[left] &= (again[name] == code.cpu()[left]).all(dim=1)

    def __repr__(self) -> str:
        """Return the counts on one line."""
        least = "" if self.complete else "at least "
        listed = "" if self.complex is None else f", {len(self.complex.rows)} vertices"
        return (
            f"LinearRegions({least}{self.count} regions in {self.network.input_size}"
            f" dimensions{listed})"
        )
