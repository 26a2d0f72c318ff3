"""What the network says, and by how much."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network
from relulens.survey.cost import multiplications, rows_within, value_bytes
from relulens.survey.question import Answer, Batch, Column, Option, Question
from relulens.survey.questions.outputs import (
    check_vector,
    has_classes,
    lead,
    nulls,
    predictions,
)

COLUMNS = (
    Column(name="label", type="int"),
    Column(name="prediction", type="int"),
    Column(name="output", type="float"),
    Column(name="margin", type="float"),
    Column(name="label_margin", type="float"),
    Column(name="correct", type="bool"),
)


def prediction(network: Network) -> Question:
    """Return the question for a network."""
    work = multiplications(network)
    return Question(
        name="prediction",
        version=1,
        columns=COLUMNS,
        run=_run,
        rows_per_shard=rows_within(2 * value_bytes(network), work, 512),
    )


def _run(network: Network, batch: Batch, options: Mapping[str, Option]) -> Answer:
    check_vector(network)
    logits = evaluate(network, batch.x).flatten(1).to(torch.float64)
    count = len(batch.inputs)
    labels = nulls(count, int) if batch.labels is None else batch.labels
    columns: dict[str, np.ndarray] = {
        "label": labels,
        "prediction": nulls(count, int),
        "output": logits.amax(1).cpu().numpy() if count else np.empty(0),
        "margin": nulls(count, float),
        "label_margin": nulls(count, float),
        "correct": nulls(count, bool),
    }
    if has_classes(network):
        columns["prediction"] = predictions(logits)
        columns["margin"] = lead(logits)
        if batch.labels is not None:
            columns["label_margin"] = label_margins(logits, batch.labels)
            columns["correct"] = columns["prediction"] == batch.labels
    return Answer(columns=columns)


def label_margins(logits: Tensor, labels: np.ndarray) -> np.ndarray:
    """Return the label's output minus the largest other, of every row [N, classes]."""
    index = torch.as_tensor(labels, device=logits.device)[:, None]
    own = logits.gather(1, index)[:, 0]
    rest = logits.scatter(1, index, -torch.inf).amax(1)
    return (own - rest).cpu().numpy()
