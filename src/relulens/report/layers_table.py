"""The table with a row per layer, and the singular values behind it."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from relulens.graph.network import Layer, Network
from relulens.survey.questions.activity import counted_layers
from relulens.survey.questions.spectra import OUTPUT
from relulens.survey.survey import Survey
from relulens.survey.tables import Answers

_SIDES = {"before": "preactivation", "after": "features"}


def layers_table(network: Network, found: Survey) -> pd.DataFrame:
    """Return what was found per layer, and in a last row for the output.

    Args:
        network: The network.
        found: The survey's answers.

    Returns:
        The columns of ``LAYER_COLUMNS``; null where the question was not asked.
    """
    active = _activity(network, found.answers.get("activity"))
    spectra = found.answers.get("spectra")
    rows = [
        {
            **_identity(network, index),
            **active.get(index, {}),
            **_spectra(spectra, index),
        }
        for index in (*range(len(network.layers)), OUTPUT)
    ]
    return pd.DataFrame(rows).reindex(columns=list(_TYPES)).astype(_TYPES)


_TYPES: dict[str, str] = {
    "layer": "int64",
    "name": "string",
    "operation": "string",
    "kind": "string",
    "shape": "string",
    "units": "int64",
    "inputs": "Int64",
    "active_fraction": "float64",
    "dead_units": "Int64",
    "always_active_units": "Int64",
    "spectrum_inputs": "Int64",
    "before_largest": "float64",
    "before_smallest": "float64",
    "before_rank": "float64",
    "after_largest": "float64",
    "after_smallest": "float64",
    "after_rank": "float64",
    "spectrum_complete": "boolean",
}


def _identity(network: Network, index: int) -> dict[str, object]:
    if index == OUTPUT:
        node = network.nodes[network.output]
        last = Layer(name="output", operation="", nodes=(), output=network.output)
        return _named(index, last, type(node).__name__, node.shape)
    layer = network.layers[index]
    kind = type(network.nodes[layer.nodes[-1]]).__name__
    return _named(index, layer, kind, network.nodes[layer.output].shape)


def _named(
    index: int, layer: Layer, kind: str, shape: tuple[int, ...]
) -> dict[str, object]:
    return {
        "layer": index,
        "name": layer.name,
        "operation": layer.operation,
        "kind": kind,
        "shape": " x ".join(map(str, shape)),
        "units": math.prod(shape),
    }


def _activity(
    network: Network, answers: Answers | None
) -> dict[int, dict[str, object]]:
    """Return how many inputs each unit was on for, summed up by layer."""
    inputs = 0 if answers is None else int((answers.table["status"] == "ok").sum())
    if answers is None or inputs == 0:
        return {}
    found = {}
    for index in counted_layers(network):
        counts = activity_counts(answers, index)
        found[index] = {
            "inputs": inputs,
            "active_fraction": counts.sum() / (inputs * max(1, counts.size)),
            "dead_units": int((counts == 0).sum()),
            "always_active_units": int((counts == inputs).sum()),
        }
    return found


def activity_counts(answers: Answers, layer: int) -> np.ndarray:
    """Return for how many of the answered inputs each unit of a layer was on.

    Args:
        answers: Those to the ``activity`` question.
        layer: Index of the layer.
    """
    wanted = f"active.{layer}"
    parts = [
        array.astype(np.int64)
        for arrays in answers.arrays
        for name, array in arrays.items()
        if name == wanted or name.startswith(f"{wanted}.")
    ]
    return np.sum(parts, axis=0) if parts else np.zeros(0, dtype=np.int64)


def _spectra(answers: Answers | None, index: int) -> dict[str, object]:
    """Return the medians over the inputs that were asked about."""
    if answers is None:
        return {}
    table = answers.table[
        (answers.table["layer"] == index) & (answers.table["status"] == "ok")
    ]
    if len(table) == 0:
        return {}
    line: dict[str, object] = {
        "spectrum_inputs": int(table["input"].nunique()),
        "spectrum_complete": bool(table["complete"].all()),
    }
    for word, side in _SIDES.items():
        rows = table[table["at"] == side]
        for column in ("largest", "smallest", "rank"):
            if len(rows):
                middle = rows[column].astype("float64").median()
                line[f"{word}_{column}"] = middle
    return line


def singular_value_arrays(
    answers: Answers | None,
) -> Mapping[tuple[int, int, str], np.ndarray]:
    """Return the singular values of the ``spectra`` question.

    Args:
        answers: Its answers, if it was asked.

    Returns:
        Values, largest first, by input, layer and side (``"preactivation"`` or
        ``"features"``); a row that failed or was not reached is not there.
    """
    if answers is None:
        return {}
    answered = answers.table[answers.table["status"] == "ok"]
    keys = zip(answered["input"], answered["layer"], answered["at"], strict=True)
    values = [
        array
        for arrays in answers.arrays
        for name, array in sorted(arrays.items(), key=_place)
        if name.startswith("values.")
    ]
    named = ((int(i), int(layer), str(at)) for i, layer, at in keys)
    return dict(zip(named, values, strict=True))


def _place(named: tuple[str, np.ndarray]) -> int:
    return int(named[0].rsplit(".", 1)[-1])
