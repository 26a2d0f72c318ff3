"""Outputs as classes."""

import math

import numpy as np
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.network import Network


def check_vector(network: Network) -> None:
    """Refuse networks whose output is not a vector.

    Raises:
        InvalidArgumentError: The output has more than one axis longer than one.
    """
    long = [length for length in network.output_shape if length != 1]
    if len(long) > 1:
        raise InvalidArgumentError(
            "cannot compare outputs: the output has shape"
            f" {list(network.output_shape)}, {len(long)} axes, and classes lie along 1."
            " Choose another output=NAME."
        )


def has_classes(network: Network) -> bool:
    """Tell whether the outputs compete, because there are several."""
    return math.prod(network.output_shape) > 1


def predictions(logits: Tensor) -> np.ndarray:
    """Return the first largest output of every row [N, classes]."""
    return logits.argmax(1).cpu().numpy()


def lead(logits: Tensor) -> np.ndarray:
    """Return the largest output minus the second largest, of every row."""
    best = logits.topk(2, dim=1).values
    return (best[:, 0] - best[:, 1]).cpu().numpy()


def nulls(count: int, type_: type) -> np.ma.MaskedArray:
    """Return a column of nulls."""
    return np.ma.masked_all(count, dtype=type_)
