"""A partition checked against the network, without the code that made it."""

from dataclasses import dataclass

import numpy as np
import torch

from relulens.graph.pieces import row_ranges
from relulens.graph.tolerances import Tolerances
from relulens.local.pattern import activation_pattern
from relulens.regions.partition import Partition

_CELLS, _BYTES = 1024, 1 << 28
"""Cells whose centres are evaluated together, and bytes of their numbers, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceVerification:
    """What a check of a partition found.

    Attributes:
        verdict: ``"yes"`` if everything checked holds, ``"no"`` if something fails,
            ``"undecided"`` if all that fails may be rounding.
        euler: Vertices less edges plus cells; 1 if complete.
        area_difference: The cells' area less the finished one's, in parts of it.
        checked: Cells whose pattern was compared with an evaluation inside them.
        other: Those where it differs although the point is clear of the border.
        thin: Cells too thin for a float to lie clearly inside, not compared.
        crossings: Inner edges whose two sides were compared.
        same: Edges with the same pattern on both sides; none if right.
    """

    verdict: str
    euler: int
    area_difference: float
    checked: int
    other: int
    thin: int
    crossings: int
    same: int


def verified(
    partition: Partition,
    /,
    *,
    most: int | None = 2000,
    seed: int = 0,
    tol: Tolerances = Tolerances(),  # noqa: B008
) -> SliceVerification:
    """Check the sums, the patterns at points inside cells, and crossings of edges.

    Args:
        partition: The partition.
        most: Cells, and edges, that are looked at; drawn at random if there are more.
            Nothing means all of them.
        seed: Of the draw.
        tol: ``feasible`` is the part of the domain's size below which a cell is thin.

    Cost:
        One evaluation a cell and the patterns of up to three cells an item.
    """
    generator = np.random.default_rng(seed)
    chosen = _drawn(generator, partition.count, most)
    wide = _widths(partition, chosen)
    size = float((partition.domain.amax(0) - partition.domain.amin(0)).max())
    sure = chosen[wide > tol.feasible * size]
    other = _differing(partition, sure)
    inner = np.flatnonzero((partition.edge_cells.numpy() >= 0).all(1))
    crossed = inner[_drawn(generator, len(inner), most)]
    same = _same(partition, crossed)
    found = float(partition.areas.sum())
    wanted = partition.certificate.area if partition.complete else found
    apart = abs(found - wanted) / wanted if wanted else 0.0
    certificate = partition.certificate
    sums = apart < tol.feasible and certificate.unmatched_edges == 0
    sums = sums and (not partition.complete or certificate.euler == 1)
    holds = sums and not other and not same
    open_ = certificate.undecided_signs > 0 or len(sure) == 0
    return SliceVerification(
        verdict="undecided" if holds and open_ else "yes" if holds else "no",
        euler=certificate.euler,
        area_difference=apart,
        checked=len(sure),
        other=other,
        thin=len(chosen) - len(sure),
        crossings=len(crossed),
        same=same,
    )


def _drawn(generator: np.random.Generator, count: int, most: int | None) -> np.ndarray:
    if most is None or count <= most:
        return np.arange(count)
    return np.sort(generator.choice(count, most, replace=False))


def _widths(partition: Partition, cells: np.ndarray) -> np.ndarray:
    """Return lower bounds on how far cells' centres are from their borders."""
    offsets, corners = partition.offsets.numpy(), partition.indices.numpy()
    places, centres = partition.vertices.numpy(), partition.centres.numpy()
    following = np.arange(1, len(corners) + 1)
    following[offsets[1:] - 1] = offsets[:-1]
    start = places[corners]
    along = places[corners[following]] - start
    toward = np.repeat(centres, np.diff(offsets), axis=0) - start
    cross = along[:, 0] * toward[:, 1] - along[:, 1] * toward[:, 0]
    far = cross / np.maximum(np.hypot(*along.T), np.finfo(float).tiny)
    return np.minimum.reduceat(far, offsets[:-1])[cells] if len(cells) else far[:0]


def _differing(partition: Partition, cells: np.ndarray) -> int:
    """Return how many cells have another pattern than the network at their centre."""
    wrong = 0
    for rows in row_ranges(len(cells), _together(partition)):
        part = cells[rows]
        points = partition.plane.points(partition.centres[torch.from_numpy(part)])
        seen = activation_pattern(partition.network, points)
        stored = partition.codes.patterns(part)
        alike = torch.ones(len(part), dtype=torch.bool)
        for name in stored:
            alike &= (stored[name] == seen[name].cpu()).all(1)
        wrong += int((~alike).sum())
    return wrong


def _same(partition: Partition, edges: np.ndarray) -> int:
    """Return how many edges have the same pattern on both sides."""
    same = 0
    for rows in row_ranges(len(edges), _together(partition)):
        sides = partition.edge_cells.numpy()[edges[rows]]
        cells, at = np.unique(sides, return_inverse=True)
        left, right = torch.from_numpy(at.reshape(sides.shape)).T
        stored = partition.codes.patterns(cells)
        alike = torch.ones(len(sides), dtype=torch.bool)
        for name in stored:
            alike &= (stored[name][left] == stored[name][right]).all(1)
        same += int(alike.sum())
    return same


def _together(partition: Partition) -> int:
    """Return how many cells are looked at together."""
    return max(1, min(_CELLS, _BYTES // (8 * max(partition.network.state_size, 1))))
