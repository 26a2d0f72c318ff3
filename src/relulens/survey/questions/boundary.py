"""How far every input is from the edge of its region, and from another prediction."""

from collections.abc import Mapping

import numpy as np

from relulens.graph.network import Network
from relulens.local.affine_map import local_affine_map
from relulens.local.boundary import boundary_distance
from relulens.survey.cost import multiplications, rows_within, value_bytes
from relulens.survey.question import Answer, Batch, Column, Option, Question
from relulens.survey.questions.outputs import nulls
from relulens.survey.questions.slope import nearest_change

COLUMNS = (
    Column(name="boundary_distance", type="float"),
    Column(name="boundary_complete", type="bool"),
    Column(name="boundary_layer", type="string"),
    Column(name="boundary_unit", type="int"),
    Column(name="region_radius_l2", type="float"),
)


def boundary(network: Network) -> Question:
    """Return the question for a network."""
    work = network.input_size * multiplications(network)
    dense = 8 * network.output_size * network.input_size
    return Question(
        name="boundary",
        version=1,
        columns=COLUMNS,
        run=_run,
        rows_per_shard=rows_within(3 * value_bytes(network) + dense, work, 32),
    )


def _run(network: Network, batch: Batch, options: Mapping[str, Option]) -> Answer:
    found = boundary_distance(network, batch.x)
    distance = found.distance.cpu().numpy()
    none = np.array([not units for units in found.units])
    return Answer(
        columns={
            "boundary_distance": distance,
            "boundary_complete": found.complete.cpu().numpy(),
            "boundary_layer": np.array(found.layer, dtype=object),
            "boundary_unit": np.ma.masked_where(none, found.unit.cpu().numpy()),
            "region_radius_l2": _radius(network, batch, distance),
        }
    )


def _radius(network: Network, batch: Batch, distance: np.ndarray) -> np.ndarray:
    """Return how far an input can move without leaving region or prediction."""
    if network.output_size < 2:
        return nulls(len(distance), float)
    change = nearest_change(local_affine_map(network, batch.x))
    return np.minimum(distance, change.distance)
