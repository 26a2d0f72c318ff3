"""Evaluate a network."""

import torch
from jaxtyping import Float64
from torch import Tensor

from relulens.graph.freeze import node_values
from relulens.graph.network import Network


def evaluate(
    network: Network, x: object, /, *, layer: int | str | None = None
) -> Float64[Tensor, "batch ..."]:
    """Return the network's output, or the features of a layer, for every input.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: Index into ``network.layers``, or any name; the output by default.

    Returns:
        [N, *shape of the layer], float64.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.
        UnknownNameError: No layer has this name.

    Cost:
        One forward pass; values are freed as soon as nothing reads them.
    """
    index = network.find(layer)
    value = node_values(network, network.as_input(x), [index])[index]
    # A copy, as a value may lie in the memory of the input or of a coefficient.
    return value.to(torch.float64, copy=True)
