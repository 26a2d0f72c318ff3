"""Which units are on: per input how many, per layer which ones ever."""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from relulens.graph.codes import codes
from relulens.graph.freeze import freeze
from relulens.graph.network import Layer, Network
from relulens.graph.nodes import TwoSlope
from relulens.survey.cost import multiplications, rows_within, value_bytes
from relulens.survey.question import Answer, Batch, Column, Option, Question
from relulens.survey.questions.outputs import nulls

COLUMNS = (
    Column(name="active_fraction", type="float"),
    Column(name="region", type="string"),
)
DIGEST = 16
"""Bytes of the hash that names a region."""


def activity(network: Network) -> Question:
    """Return the question for a network."""
    work = multiplications(network)
    return Question(
        name="activity",
        version=2,
        columns=COLUMNS,
        run=_run,
        rows_per_shard=rows_within(2 * value_bytes(network), work, 512),
    )


def counted_layers(network: Network) -> list[int]:
    """Return the layers whose units are on or off: those of two-slope nodes only."""
    return [i for i, layer in enumerate(network.layers) if _counts(network, layer)]


def _counts(network: Network, layer: Layer) -> bool:
    return all(isinstance(network.nodes[i], TwoSlope) for i in layer.nodes)


def _run(network: Network, batch: Batch, options: Mapping[str, Option]) -> Answer:
    frozen = freeze(network, batch.x, network.output)
    count = len(batch.inputs)
    counted = set(counted_layers(network))
    arrays: dict[str, np.ndarray] = {}
    names = [hashlib.blake2b(digest_size=DIGEST) for _ in range(count)]
    active, units = torch.zeros(count, dtype=torch.int64), 0
    for index, code in codes(frozen).items():
        _name(names, code)
        if index not in counted:
            continue
        on = code.flatten(1).cpu() > 0
        arrays[f"active.{index}"] = on.sum(0, dtype=torch.int32).numpy()
        active += on.sum(1)
        units += on.shape[1]
    fraction = active.numpy() / units if units else nulls(count, float)
    regions = np.array([name.hexdigest() for name in names], dtype=np.str_)
    return Answer(
        columns={"active_fraction": fraction, "region": regions}, arrays=arrays
    )


def _name(names: "list[hashlib.blake2b]", code: Tensor) -> None:
    """Let a layer's codes into the names of the inputs' regions."""
    rows = code.flatten(1).numpy(force=True)
    for name, row in zip(names, rows, strict=True):
        name.update(row.tobytes())
