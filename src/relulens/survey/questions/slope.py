"""The slope of the outputs: how strongly the input moves them, and when they change."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.graph.network import Network
from relulens.local.affine_map import LocalAffineMap, local_affine_map
from relulens.local.spectrum import singular_values
from relulens.survey.cost import multiplications, rows_within, value_bytes
from relulens.survey.question import Answer, Batch, Column, Option, Question
from relulens.survey.questions.outputs import has_classes, nulls

COLUMNS = (
    Column(name="slope_largest", type="float"),
    Column(name="slope_smallest", type="float"),
    Column(name="slope_rank", type="int"),
    Column(name="slope_frobenius", type="float"),
    Column(name="template_norm", type="float"),
    Column(name="template_part", type="float"),
    Column(name="offset_part", type="float"),
    Column(name="margin_distance", type="float"),
    Column(name="nearest_class", type="int"),
)


def slope(network: Network) -> Question:
    """Return the question for a network."""
    outs, ins = network.output_size, network.input_size
    copies = min(outs, ins)
    dense = 8 * outs * ins
    work = 3 * copies * multiplications(network) + outs * ins * copies
    bytes_each = 3 * dense + 2 * value_bytes(network)
    return Question(
        name="slope",
        version=1,
        columns=COLUMNS,
        run=_run,
        rows_per_shard=rows_within(bytes_each, work, 256),
    )


def _run(network: Network, batch: Batch, options: Mapping[str, Option]) -> Answer:
    found = local_affine_map(network, batch.x)
    values, rank = _spectrum(network, batch.x)
    parts = _split(found, batch.x, has_classes(network))
    last = np.maximum(rank - 1, 0)[:, None]
    smallest = np.take_along_axis(values, last, 1)[:, 0]
    near = nearest_change(found)
    return Answer(
        columns={
            "slope_largest": values[:, 0],
            "slope_smallest": np.ma.masked_where(rank == 0, smallest),
            "slope_rank": rank,
            "slope_frobenius": found.slope.flatten(1).norm(dim=1).cpu().numpy(),
            **parts,
            "margin_distance": near.distance,
            "nearest_class": near.other,
        }
    )


def _spectrum(network: Network, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    found = singular_values(network, x)
    return found.values.cpu().numpy(), found.rank.cpu().numpy()


def _logits(found: LocalAffineMap) -> Tensor:
    return found.frozen.values[found.end].flatten(1).to(torch.float64)


def _split(found: LocalAffineMap, x: Tensor, classes: bool) -> dict[str, np.ndarray]:
    """Return the prediction's row: its norm, its part of the output, and the offset."""
    best = _logits(found).argmax(1, keepdim=True)
    row = found.slope.gather(1, best[:, :, None].expand(-1, -1, found.shape[2]))[:, 0]
    flat = x.flatten(1).to(torch.float64)
    return {
        "template_norm": row.norm(dim=1).cpu().numpy(),
        "template_part": (row * flat).sum(1).cpu().numpy(),
        "offset_part": found.offset.gather(1, best)[:, 0].cpu().numpy(),
    }


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NearestChange:
    """Where the local affine maps would change their prediction.

    Attributes:
        distance: The l2 distance, [N]; infinite if no other output ever catches up.
        other: The output that does, [N].
    """

    distance: np.ndarray
    other: np.ndarray


def nearest_change(found: LocalAffineMap) -> NearestChange:
    """Return the distance to the nearest tie of the prediction in the local affine map.

    It is the smallest of ``margin_c / |row of the prediction - row c|`` over the other
    outputs c.

    Args:
        found: The maps of the network's output.
    """
    logits = _logits(found)
    count, outs = logits.shape
    if outs < 2:
        return NearestChange(distance=nulls(count, float), other=nulls(count, int))
    best = logits.argmax(1, keepdim=True)
    rows = found.slope
    own = rows.gather(1, best[:, :, None].expand(-1, -1, rows.shape[2]))
    steepness = (rows - own).norm(dim=2)
    margin = logits.gather(1, best) - logits
    distance = torch.where(margin > 0, margin / steepness, 0.0)
    distance = distance.scatter(1, best, torch.inf)
    nearest = distance.min(1)
    other = np.ma.masked_where(
        np.isinf(nearest.values.cpu().numpy()), nearest.indices.cpu().numpy()
    )
    return NearestChange(distance=nearest.values.cpu().numpy(), other=other)
