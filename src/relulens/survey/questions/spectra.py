"""Singular values by depth, just before and just after every nonlinearity."""

import itertools
import math
from collections.abc import Mapping

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

MOST_OPERATIONS = 2e12
"""Multiplications that all spectra together should take, a few minutes' worth."""

MOST_INPUTS = 3
MOST_LAYERS = 40
_SIDES = ("preactivation", "features")


def spectra(network: Network) -> Question:
    """Return the question for a network.

    It is asked on one to three inputs, at the output and on both sides of as many
    layers as fit the cost; layers that tell most come first.
    """
    cuts = priority(len(network.layers), MOST_LAYERS)
    inputs, chosen = _affordable({cut: _cost(network, cut) for cut in cuts})
    return Question(
        name="spectra",
        version=1,
        columns=COLUMNS,
        run=_run,
        rows_per_shard=1,
        items=len(chosen),
        inputs=inputs,
        options={"cuts": chosen},
    )


def priority(layers: int, most: int) -> tuple[int, ...]:
    """Return the cuts of a network, the ones that tell most first.

    The output comes first, then the last layer, the first one, the middle one and so on
    by halves; of every layer the features, then the pre-activation.

    Args:
        layers: Number of layers.
        most: Most layers to ask about.

    Returns:
        Cuts as ``decoded`` takes them.
    """
    order = [layers - 1, 0, *_halves(0, layers - 1)]
    distinct = [layer for layer in dict.fromkeys(order) if 0 <= layer < layers]
    sides = (2 * layer + side for layer in distinct[:most] for side in (1, 0))
    return (OUTPUT, *sides)


def _halves(low: int, high: int) -> list[int]:
    """Return the numbers strictly between two, middle first, breadth first."""
    found: list[int] = []
    gaps = [(low, high)]
    while gaps:
        first, last = gaps.pop(0)
        if last - first > 1:
            middle = (first + last) // 2
            found.append(middle)
            gaps += [(first, middle), (middle, last)]
    return found


def decoded(cut: int) -> tuple[int, str]:
    """Return a cut's layer (``OUTPUT`` for the output) and which side of it."""
    return (OUTPUT, "features") if cut == OUTPUT else (cut // 2, _SIDES[cut % 2])


def _cost(network: Network, cut: int) -> float:
    """Return the multiplications of one spectrum: pushes, products, eigenvalues."""
    layer, side = decoded(cut)
    end = network.find(None if layer == OUTPUT else layer, side)
    ins, outs = network.input_size, math.prod(network.nodes[end].shape)
    small = float(min(ins, outs))
    return small * (multiplications(network, end) + ins * outs + 4 * small**2)


def _affordable(cost: Mapping[int, float]) -> tuple[int, tuple[int, ...]]:
    """Return how many inputs, and the first cuts that fit; the output always does."""
    total = sum(cost.values())
    for inputs in range(MOST_INPUTS, 1, -1):
        if inputs * total <= MOST_OPERATIONS:
            return inputs, tuple(cost)
    spent = itertools.accumulate(cost.values())
    fitting = [
        cut
        for cut, so_far in zip(cost, spent, strict=True)
        if so_far <= MOST_OPERATIONS
    ]
    return 1, tuple(fitting) or (OUTPUT,)


def _run(network: Network, batch: Batch, options: Mapping[str, Option]) -> Answer:
    cuts = options["cuts"]
    if not isinstance(cuts, tuple):
        raise TypeError(f"cuts is {cuts!r}, and a tuple is needed")
    rows: dict[str, list[object]] = {column.name: [] for column in COLUMNS}
    arrays: dict[str, np.ndarray] = {}
    for row, item in enumerate(batch.items.tolist()):
        layer, at = decoded(cuts[item])
        asked = None if layer == OUTPUT else layer
        name = "output" if asked is None else network.layers[asked].name
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
