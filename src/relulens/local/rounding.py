"""How large the terms of a sum are: the scale that its rounding is measured by."""

from collections.abc import Mapping

import torch
from torch import Tensor

from relulens.graph.network import Network
from relulens.graph.nodes import Affine, sources


def scale_sources(network: Network, index: int) -> tuple[int, ...]:
    """Return the nodes whose values ``rounding_scale`` needs."""
    node = network.nodes[index]
    return sources(node) if isinstance(node, Affine) else (index,)


def rounding_scale(
    network: Network, index: int, values: Mapping[int, Tensor], *, bias: bool = True
) -> Tensor:
    """Return the sum of the absolute terms that every entry of a node adds up.

    Args:
        network: The network.
        index: Index of the node.
        values: Values, or directions, [N, *shape] at least at ``scale_sources``.
        bias: Whether the constant part is a term; not for directions.

    Returns:
        [N, *shape]; for nodes that add nothing, the absolute values.
    """
    node = network.nodes[index]
    if not isinstance(node, Affine):
        return values[index].abs()
    given = [term for term in node.terms if term.source in values]
    parts = [t.map.absolute().map.apply(values[t.source].abs()) for t in given]
    count = next(iter(values.values())).shape[0] if values else 0
    total = torch.zeros(
        (count, *node.shape), dtype=network.dtype, device=network.device
    )
    for part in parts:
        total = total + part
    return total + node.bias.abs() if bias and node.bias is not None else total
