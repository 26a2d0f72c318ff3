"""A finished slice as a partition, with its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral
from relulens.numerics.kernels import planar
from relulens.regions.partition import Partition
from relulens.regions.partition_codes import Branch, CellCodes
from relulens.regions.plane import Plane
from relulens.regions.slice_certificate import SliceCertificate
from relulens.regions.slice_exact import Spent
from relulens.regions.slice_mesh import Floats, polygon_area
from relulens.regions.slice_seams import Joined, joined
from relulens.regions.slice_stage import State
from relulens.regions.slice_walk import Walk


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Asked:
    """What a slice is asked of.

    Attributes:
        network: The network.
        region: Its nodes up to the last one to cut by, in float64.
        whole: Its nodes up to the output, or nothing if only some layers are cut by.
        plane: The plane.
        polygon: The domain, counter-clockwise.
    """

    network: Network
    region: Polyhedral
    whole: Polyhedral | None
    plane: Plane
    polygon: Floats

    @property
    def area(self) -> float:
        """The domain's area."""
        return polygon_area(self.polygon)


def partition_of(
    asked: Asked,
    walk: Walk,
    states: Sequence[State],
    spent: Spent,
    *,
    part: bool = False,
) -> Partition:
    """Return finished parts as one partition.

    Args:
        asked: The question.
        walk: The walk that found them.
        states: The parts, closed; their meshes are taken out of them. None if the
            budget ended before the first.
        spent: What exact decisions took.
        part: Whether further parts are left on purpose.
    """
    network = asked.network
    sizes = [state.mesh.cells for state in states]
    whole = joined([state.mesh for state in states]) if states else _nothing()
    areas = planar.cell_areas(whole.places, whole.offsets, whole.corners)
    found = float(areas.sum())
    complete = not walk.stopped and not part
    table = np.full(len(network.nodes) + 1, -1)
    for place, layer in enumerate(network.layers):
        table[list(layer.nodes)] = place
    used = sorted({int(table[i]) for i in walk.counts if table[i] >= 0})
    certificate = SliceCertificate(
        area=asked.area,
        finished_area=found,
        complete=complete,
        vertices=len(whole.places),
        edges=len(whole.edges),
        cells=len(areas),
        negative_areas=int((areas < 0).sum()),
        unmatched_edges=whole.unmatched,
        exact_signs=spent.decided,
        undecided_signs=spent.undecided,
        proved_signs=all(state.basis.proved for state in states),
        largest_error=float(whole.errors.max(initial=0.0)),
    )
    return Partition(
        network=network,
        plane=asked.plane,
        domain=torch.from_numpy(asked.polygon),
        vertices=torch.from_numpy(whole.places),
        offsets=torch.from_numpy(whole.offsets),
        indices=torch.from_numpy(whole.corners),
        cell_edges=torch.from_numpy(whole.borders),
        edges=torch.from_numpy(whole.edges),
        edge_cells=torch.from_numpy(whole.sides),
        edge_layer=torch.from_numpy(table[whole.makers[:, 0]]),
        edge_unit=torch.from_numpy(whole.makers[:, 1].astype(np.int64)),
        areas=torch.from_numpy(areas),
        layers=tuple(used),
        counts=tuple(_count(walk, network, place) for place in used),
        complete=complete,
        finished_area=1.0 if complete else found / asked.area,
        certificate=certificate,
        codes=_codes(asked, states, sizes),
    )


def _count(walk: Walk, network: Network, place: int) -> int:
    """Return the cells after a layer."""
    nodes = network.layers[place].nodes
    return max(walk.counts[index] for index in nodes if index in walk.counts)


def _codes(asked: Asked, states: Sequence[State], sizes: Sequence[int]) -> CellCodes:
    return CellCodes(
        region=asked.region,
        whole=asked.whole,
        plane=asked.plane,
        branches=[Branch(stages=state.stages) for state in states],
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )


def _nothing() -> Joined:
    none = np.zeros(0, np.int64)
    return Joined(
        places=np.zeros((0, 2)),
        errors=np.zeros(0),
        edges=none.reshape(0, 2),
        makers=none.reshape(0, 3),
        sides=none.reshape(0, 2),
        offsets=np.zeros(1, np.int64),
        corners=none,
        borders=none,
        open_edges=0,
        unmatched=0,
    )
