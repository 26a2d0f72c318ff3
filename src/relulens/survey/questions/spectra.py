"""Singular values by depth, just before and just after every nonlinearity."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from relulens.graph.network import Network
from relulens.local.spectrum import singular_values
from relulens.survey.cost import multiplications
from relulens.survey.question import Answer, Batch, Column, Option, Question

COLUMNS = (
    Column(name="layer", type="int"),
    Column(name="name", type="string"),
    Column(name="at", type="string"),
    Column(name="largest", type="float"),
    Column(name="smallest", type="float"),
    Column(name="rank", type="int"),
    Column(name="count", type="int"),
    Column(name="complete", type="bool"),
    Column(name="method", type="string"),
)

OUTPUT = -1
"""What stands for the output among the layers."""

MOST_OPERATIONS = 3e12
"""Multiplications that all spectra together should take, a few minutes' worth."""

MOST_INPUTS = 3
MOST_LAYERS = 40


def spectra(network: Network) -> Question:
    """Return the question for a network.

    As many layers as fit the cost are asked about, evenly spread, on one to three
    inputs.
    """
    layers = range(len(network.layers))
    cost = {layer: _cost(network, layer) for layer in (*layers, OUTPUT)}
    inputs, chosen = _affordable(cost, len(layers))
    return Question(
        name="spectra",
        version=1,
        columns=COLUMNS,
        run=_run,
        rows_per_shard=1,
        items=2 * len(chosen) + 1,
        inputs=inputs,
        options={"layers": chosen},
    )


def _cost(network: Network, layer: int) -> float:
    """Return the multiplications of both spectra of a layer on one input."""
    end = network.output if layer == OUTPUT else network.layers[layer].output
    ins, outs = network.input_size, math.prod(network.nodes[end].shape)
    small = min(ins, outs)
    once = small * multiplications(network, end) + float(ins) * outs * small
    return once if layer == OUTPUT else 2 * once


def _affordable(cost: Mapping[int, float], layers: int) -> tuple[int, tuple[int, ...]]:
    for inputs in range(MOST_INPUTS, 0, -1):
        chosen = spread(layers, MOST_LAYERS)
        if inputs * _total(cost, chosen) <= MOST_OPERATIONS:
            return inputs, chosen
    for count in range(min(layers, MOST_LAYERS), 0, -1):
        chosen = spread(layers, count)
        if _total(cost, chosen) <= MOST_OPERATIONS:
            return 1, chosen
    return 1, ()


def _total(cost: Mapping[int, float], chosen: Sequence[int]) -> float:
    return sum(cost[layer] for layer in (*chosen, OUTPUT))


def spread(total: int, most: int) -> tuple[int, ...]:
    """Return up to ``most`` of the numbers below ``total``, evenly spread."""
    if total <= most:
        return tuple(range(total))
    if most == 1:
        return (total - 1,)
    return tuple(round(i * (total - 1) / (most - 1)) for i in range(most))


def cut(network: Network, layers: Sequence[int], item: int) -> tuple[int, str, str]:
    """Return which layer an item is about, its name, and which side of it."""
    if item == 2 * len(layers):
        return OUTPUT, "output", "features"
    layer = layers[item // 2]
    side = ("preactivation", "features")[item % 2]
    return layer, network.layers[layer].name, side


def _run(network: Network, batch: Batch, options: Mapping[str, Option]) -> Answer:
    layers = options["layers"]
    if not isinstance(layers, tuple):
        raise TypeError(f"layers is {layers!r}, and a tuple is needed")
    rows: dict[str, list[object]] = {column.name: [] for column in COLUMNS}
    arrays: dict[str, np.ndarray] = {}
    for row, item in enumerate(batch.items.tolist()):
        layer, name, at = cut(network, layers, item)
        asked = None if layer == OUTPUT else layer
        found = singular_values(network, batch.x[row : row + 1], layer=asked, at=at)
        values, rank = found.values[0].cpu().numpy(), int(found.rank[0])
        arrays[f"values.{row}"] = values
        line = (
            layer,
            name,
            at,
            values[0] if len(values) else np.nan,
            values[rank - 1] if rank else np.nan,
            rank,
            len(values),
            found.complete,
            found.method,
        )
        for column, value in zip(COLUMNS, line, strict=True):
            rows[column.name].append(value)
    return Answer(columns={k: np.array(v) for k, v in rows.items()}, arrays=arrays)
