"""A finished slice as a partition, with its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral
from relulens.regions.partition import Partition
from relulens.regions.partition_codes import Branch, CellCodes
from relulens.regions.plane import Plane
from relulens.regions.slice_certificate import SliceCertificate
from relulens.regions.slice_exact import Spent
from relulens.regions.slice_finished import Finished, Graph
from relulens.regions.slice_mesh import Floats, polygon_area
from relulens.regions.slice_seams import joined
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
    parts: list[Finished],
    spent: Spent,
    *,
    part: bool = False,
) -> Partition:
    """Return finished parts as one partition.

    Args:
        asked: The question.
        walk: The walk that found them.
        parts: The parts; the list is emptied. None if the budget ended before the
            first.
        spent: What exact decisions took.
        part: Whether further parts are left on purpose.
    """
    network = asked.network
    codes = _codes(asked, parts)
    proved = all(part.proved for part in parts)
    graphs = [part.graph for part in parts]
    parts.clear()
    whole, unmatched = joined(graphs) if graphs else (_nothing(), 0)
    found = float(whole.areas.sum())
    complete = not walk.stopped and not part
    table = np.full(len(network.nodes) + 1, -1, np.int32)
    for place, layer in enumerate(network.layers):
        table[list(layer.nodes)] = place
    used = sorted({int(table[i]) for i in walk.counts if table[i] >= 0})
    certificate = SliceCertificate(
        area=asked.area,
        finished_area=found,
        complete=complete,
        vertices=len(whole.places),
        edges=len(whole.edges),
        cells=len(whole.areas),
        negative_areas=int((whole.areas < 0).sum()),
        unmatched_edges=unmatched,
        exact_signs=spent.decided,
        undecided_signs=spent.undecided,
        proved_signs=proved,
        largest_error=whole.error,
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
        edge_layer=torch.from_numpy(table[whole.stages]),
        edge_unit=torch.from_numpy(whole.units),
        areas=torch.from_numpy(whole.areas),
        layers=tuple(used),
        counts=tuple(_count(walk, network, place) for place in used),
        complete=complete,
        finished_area=1.0 if complete else found / asked.area,
        certificate=certificate,
        codes=codes,
    )


def _count(walk: Walk, network: Network, place: int) -> int:
    """Return the cells after a layer."""
    nodes = network.layers[place].nodes
    return max(walk.counts[index] for index in nodes if index in walk.counts)


def _codes(asked: Asked, parts: Sequence[Finished]) -> CellCodes:
    sizes = [part.cells for part in parts]
    return CellCodes(
        region=asked.region,
        whole=asked.whole,
        plane=asked.plane,
        branches=[Branch(stages=part.stages) for part in parts],
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )


def _nothing() -> Graph:
    none = np.zeros(0, np.int32)
    return Graph(
        places=np.zeros((0, 2)),
        edges=none.reshape(0, 2),
        stages=none,
        units=none,
        sides=none.reshape(0, 2),
        offsets=np.zeros(1, np.int32),
        corners=none,
        borders=none,
        areas=np.zeros(0),
        error=0.0,
        open_edges=none,
        seams=none,
    )
