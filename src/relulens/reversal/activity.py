"""How sparse real features are, and how far reversal misses them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.errors import UnsupportedOperationError
from relulens.graph.freeze import node_values
from relulens.graph.network import Layer, Network
from relulens.graph.nodes import Affine, sources
from relulens.reversal.reverse import reversal


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The features that follow a weight matrix, on real inputs.

    Attributes:
        layer: Name of the layer.
        active: Share of positive features, k / m (mean over the inputs).
        spread: Largest feature over the norm of all (mean); the theory asks for about
            sqrt(ln k / k).
        spread_expected: That number for the mean k.
        reversal_error: Error of features sent back and forth, after the best common
            factor (median); NaN where the layer cannot be run backwards.
    """

    layer: str
    active: float
    spread: float
    spread_expected: float
    reversal_error: float


def following_layer(network: Network, node: int) -> Layer | None:
    """Return the first layer whose argument reads a node through affine nodes only."""
    for layer in network.layers:
        reached, open_ = set[int](), list(sources(network.nodes[layer.nodes[0]]))
        while open_:
            index = open_.pop()
            if index not in reached and isinstance(network.nodes[index], Affine):
                reached.add(index)
                open_.extend(sources(network.nodes[index]))
        if node in reached:
            return layer
    return None


def activity(network: Network, x: Tensor, layer: Layer, *, seed: int = 0) -> Activity:
    """Return how sparse a layer's features are, and how far reversal misses them.

    Args:
        network: The network.
        x: Inputs [N, *input_shape], at least one.
        layer: The layer.
        seed: Seed of the reversal.
    """
    h = node_values(network, network.as_input(x), [layer.output])[layer.output]
    h = h.flatten(1).to(torch.float64)
    count = (h > 0).sum(1).to(torch.float64).mean()
    norms = h.norm(dim=1)
    ratio = h.abs().amax(1)[norms > 0] / norms[norms > 0]
    try:
        back = reversal(network, x, layer=layer.name, least_squares=False, seed=seed)
        errors = back.shape_error[torch.isfinite(back.shape_error)]
    except UnsupportedOperationError:
        errors = h.new_zeros(0)
    k = max(float(count), 2.0)
    return Activity(
        layer=layer.name,
        active=float(count) / h.shape[1],
        spread=float(ratio.mean()) if ratio.numel() else math.nan,
        spread_expected=math.sqrt(math.log(k) / k),
        reversal_error=float(errors.median()) if errors.numel() else math.nan,
    )
