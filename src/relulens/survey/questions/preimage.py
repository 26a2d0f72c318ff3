"""How much of the input the features of a layer determine, and a twin if not all."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.reading import leaves_of
from relulens.certificates.target import target_of
from relulens.errors import InvalidArgumentError, NotPolyhedralError, RelulensError
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.preimage.preimage import preimage as preimages
from relulens.preimage.result import Preimage
from relulens.preimage.twin import Twin, twin
from relulens.survey.cost import WORKING_BYTES
from relulens.survey.question import Answer, Batch, Column, Option, Question
from relulens.survey.questions.outputs import nulls
from relulens.survey.questions.spectra import OUTPUT, priority

COLUMNS = (
    Column(name="layer", type="int"),
    Column(name="name", type="string"),
    Column(name="verdict", type="string"),
    Column(name="dimension", type="int"),
    Column(name="active", type="int"),
    Column(name="columns", type="int"),
    Column(name="rank", type="int"),
    Column(name="boundary", type="int"),
    Column(name="margin", type="float"),
    Column(name="reason", type="string"),
    Column(name="verdict_domain", type="string"),
    Column(name="dimension_domain", type="int"),
    Column(name="margin_domain", type="float"),
    Column(name="reason_domain", type="string"),
    Column(name="twin_distance", type="float"),
    Column(name="twin_distance_linf", type="float"),
    Column(name="twin_difference", type="float"),
    Column(name="twin_reason", type="string"),
)
"""``*_domain``: among inputs in the network's domain, null where it has none. The twin
lies in that domain."""

MOST_OPERATIONS = 3e11
"""Multiplications that all rows of a question should take, about a minute's worth."""

MOST_OPERATIONS_DEEP = 1e10
"""The same for deeper layers, whose twins take many linear programs."""

MOST_INPUTS, MOST_INPUTS_DEEP = 100, 8
MOST_READERS, MOST_DEEP = 4, 5
FARTHEST_COST = 20.0
"""One input that takes this many times as long is still asked about, none beyond."""

EVERYWHERE = Box(-math.inf, math.inf)

STARTS = 4
"""Starts of the search for a twin; it is one of many rows."""

APART = 1e-6
"""A twin differs in an entry by more than this, relative to the input's largest."""


def preimage(network: Network) -> Question:
    """Return the question about the layers that read the input and nothing else."""
    cuts = readers(network) or ((0,) if network.layers else (OUTPUT,))
    return _asked("preimage", network, cuts[:MOST_READERS], MOST_INPUTS)


def preimage_depth(network: Network) -> Question:
    """Return the question about deeper layers, on the region of every input."""
    first = {*readers(network), OUTPUT}
    order = [layer // 2 for layer in priority(len(network.layers), MOST_DEEP)[1:]]
    deep = [layer for layer in dict.fromkeys(order) if layer not in first][:MOST_DEEP]
    cuts = (*sorted(deep), *((OUTPUT,) if network.layers else ()))
    return _asked("preimage_depth", network, cuts, MOST_INPUTS_DEEP)


def readers(network: Network) -> tuple[int, ...]:
    """Return the layers whose argument is an affine map of the input alone."""
    found: list[int] = []
    for index in range(len(network.layers)):
        try:
            target = target_of(network, index)
        except NotPolyhedralError:
            continue
        if leaves_of(network, target.argument) == (0,):
            found.append(index)
    return tuple(found)


def _asked(name: str, network: Network, cuts: tuple[int, ...], most: int) -> Question:
    cost = sum(_cost(network, cut) for cut in cuts)
    shallow = name == "preimage"
    operations = MOST_OPERATIONS if shallow else MOST_OPERATIONS_DEEP
    inputs = int(min(most, operations // max(cost, 1.0)))
    if inputs == 0 and shallow and cost <= FARTHEST_COST * operations:
        inputs = 1
    items = max(1, len(cuts))
    row_bytes = 32.0 * network.input_size * max(network.input_size, 1)
    group = max(1, min(8, int(WORKING_BYTES // max(1.0, row_bytes))))
    return Question(
        name=name,
        version=1,
        columns=COLUMNS,
        run=_run,
        rows_per_shard=items * (group if shallow else 1),
        items=items,
        inputs=inputs if cuts else 0,
        options={"cuts": cuts},
    )


def _cost(network: Network, cut: int) -> float:
    """Return the multiplications of one row, about: rows of the system by columns^2."""
    end = network.find(None if cut == OUTPUT else cut)
    sizes = (math.prod(network.nodes[i].shape) for i in network.ancestors(end))
    return 2.0 * network.input_size**2 * sum(sizes)


def _run(network: Network, batch: Batch, options: Mapping[str, Option]) -> Answer:
    cuts = options["cuts"]
    if not isinstance(cuts, tuple):
        raise TypeError(f"cuts is {cuts!r}, and a tuple is needed")
    count = len(batch.inputs)
    lines: list[dict[str, object]] = [{} for _ in range(count)]
    status = ["ok"] * count
    for item, cut in enumerate(cuts):
        rows = np.flatnonzero(batch.items == item)
        for row, line, said in _layer(network, batch.x, rows, cut):
            lines[row], status[row] = line, said
    columns = {column.name: _column(column, lines) for column in COLUMNS}
    return Answer(columns=columns, status=tuple(status))


def _layer(
    network: Network, x: Tensor, rows: Sequence[int] | np.ndarray, cut: int
) -> list[tuple[int, dict[str, object], str]]:
    """Return rows' numbers, answers and status; one that fails does not stop others."""
    if len(rows) == 0:
        return []
    layer = "output" if cut == OUTPUT else cut
    name = "output" if cut == OUTPUT else network.layers[cut].name
    start: dict[str, object] = {"layer": cut, "name": name}
    places = torch.as_tensor(np.asarray(rows))
    try:
        lines = _answers(network, x[places], layer)
    except RelulensError as error:
        if len(rows) > 1:
            alone = [_layer(network, x, [int(row)], cut) for row in rows]
            return [found for one in alone for found in one]
        refusal = isinstance(error, (NotPolyhedralError, InvalidArgumentError))
        said = f"{'refused' if refusal else 'failed'}: {error}"
        return [(int(rows[0]), start, said)]
    return [
        (int(row), start | line, "ok") for row, line in zip(rows, lines, strict=True)
    ]


def _answers(network: Network, x: Tensor, layer: int | str) -> list[dict[str, object]]:
    free = preimages(network, x, layer=layer, scope="region", domain=EVERYWHERE)
    inside: list[Preimage | None] = [None] * len(free)
    if network.domain is not None:
        inside = [*preimages(network, x, layer=layer, scope="region")]
    lines: list[dict[str, object]] = []
    for row, (found, held) in enumerate(zip(free, inside, strict=True)):
        line = _numbers(found)
        if held is not None:
            line |= {
                "verdict_domain": held.verdict,
                "dimension_domain": held.dimension,
                "margin_domain": held.margin,
                "reason_domain": held.reason,
            }
        if "singleton" not in {found.verdict, line.get("verdict_domain")}:
            line |= _twin(
                twin(network, x[row : row + 1], layer=layer, restarts=STARTS)[0]
            )
        lines.append(line)
    return lines


def _numbers(found: Preimage) -> dict[str, object]:
    return {
        "verdict": found.verdict,
        "dimension": found.dimension,
        "active": found.active,
        "columns": found.columns,
        "rank": found.rank,
        "boundary": int(found.boundary.numel()),
        "margin": found.margin,
        "reason": found.reason,
    }


def _twin(found: Twin) -> dict[str, object]:
    least = APART * max(1.0, float(found.x.abs().max()) if found.x.numel() else 1.0)
    if found.x2 is None or found.distance_linf <= least:
        return {"twin_reason": found.reason if found.x2 is None else "too near"}
    return {
        "twin_distance": found.distance,
        "twin_distance_linf": found.distance_linf,
        "twin_difference": found.difference,
        "twin_reason": "unbounded" if found.unbounded else found.reason,
    }


_TYPES: dict[str, type] = {"float": float, "int": int, "string": object, "bool": bool}


def _column(column: Column, lines: list[dict[str, object]]) -> np.ma.MaskedArray:
    """Return one column; what a line does not hold is null."""
    values = nulls(len(lines), _TYPES[column.type])
    for row, line in enumerate(lines):
        value = line.get(column.name)
        if value is not None:
            values[row] = value
    return values
