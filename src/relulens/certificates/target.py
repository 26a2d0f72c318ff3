"""What a question about a layer's features is about: its argument and its operation."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.errors import NotPolyhedralError, OffendingNode
from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Smooth,
    TwoSlope,
    sources,
)

STRICTLY_MONOTONE = frozenset({
    "sigmoid", "tanh", "exp", "log", "sqrt", "reciprocal", "erf", "softsign",
    "softplus", "elu", "selu", "celu", "logsigmoid", "atan", "sinh", "asinh",
})  # fmt: skip
"""Names of elementwise functions that never repeat a value."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Target:
    """A layer as a question sees it.

    Attributes:
        name: What it is called.
        feature: Index of the node whose value the features are.
        argument: Index of the node whose value the operation takes.
        kind: The operation's first node, or the affine node itself.
        upper: Index of the node that holds a clamp's distance to its upper bound.
    """

    name: str
    feature: int
    argument: int
    kind: Affine | TwoSlope | Maximum | Smooth
    upper: int | None = None

    @property
    def injective(self) -> bool:
        """Whether the operation itself forgets nothing, entry by entry."""
        match self.kind:
            case Affine() | Smooth():
                return True
            case TwoSlope(negative=negative, positive=positive):
                return self.upper is None and bool((negative * positive > 0).all())
            case Maximum():
                return False


def target_of(network: Network, layer: int | str) -> Target:
    """Return what a layer's name or number asks about.

    Raises:
        UnknownNameError: No layer or cut point has this name or number.
        NotPolyhedralError: The layer is curved and may repeat a value, or couples
            entries.
    """
    feature = network.find(layer)
    item = next((a for a in network.layers if a.output == feature), None)
    first = feature if item is None else item.nodes[0]
    kind, name = network.nodes[first], str(layer) if item is None else item.name
    upper = None
    if item is not None and len(item.nodes) == 2:
        upper = sources(network.nodes[item.nodes[1]])[0]
    match kind:
        case Affine():
            return Target(name=name, feature=feature, argument=first, kind=kind)
        case TwoSlope(source=source) | Maximum(source=source):
            return Target(
                name=name, feature=feature, argument=source, kind=kind, upper=upper
            )
        case Smooth(source=source, function=function):
            if function.name.split("(")[0].lower() not in STRICTLY_MONOTONE:
                raise _refusal(name, function.name, "curved, and may repeat a value")
            return Target(name=name, feature=feature, argument=source, kind=kind)
        case Coupled(function=function):
            raise _refusal(name, function.name, "couples its entries")
        case Input():
            raise _refusal(name, "input", "is what is asked for")


def _refusal(name: str, operation: str, reason: str) -> NotPolyhedralError:
    node = OffendingNode(name=name, operation=operation, reason=reason)
    return NotPolyhedralError("what a layer's features determine", [node])


def slopes(kind: TwoSlope) -> tuple[Array, Array]:
    """Return the slopes below and above zero, one a unit."""
    size = int(np.prod(kind.shape))

    def spread(slope: Tensor) -> Array:
        wide = slope.to(torch.float64).expand(kind.shape)
        return wide.reshape(size).numpy()

    return spread(kind.negative), spread(kind.positive)


def clamp_width(network: Network, target: Target) -> Array:
    """Return the distance of a clamp's two bounds, one a unit."""
    node = network.nodes[target.upper or 0]
    shape = target.kind.shape
    if not isinstance(node, Affine) or node.bias is None:
        return np.zeros(int(np.prod(shape)))
    return node.bias.to(torch.float64).expand(shape).reshape(-1).numpy()
