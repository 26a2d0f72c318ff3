"""A small network's affine maps for a pattern that is given, met by an input or not."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.errors import NotPolyhedralError, OffendingNode
from relulens.graph.freeze import affine_value
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Input, TwoSlope
from relulens.graph.polyhedral import polyhedral, source_name


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PatternMaps:
    """Affine maps of the input.

    Attributes:
        arguments: Arguments of all units: coefficients, then constant part [units,
            n + 1].
        features: The features likewise [features, n + 1].
    """

    arguments: Array
    features: Array


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Units:
    """The two-slope units that features depend on, in order.

    Attributes:
        network: The network, float64.
        feature: Index of the features' node.
        nodes: Indices of the two-slope nodes.
        starts: Where each node's units start, and their number at the end.
    """

    network: Network
    feature: int
    nodes: tuple[int, ...]
    starts: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of units."""
        return self.starts[-1]

    def maps(self, pattern: NDArray[np.bool_]) -> PatternMaps:
        """Return the affine maps where every unit has the side that is given [units].

        Cost:
            One forward pass on n + 1 points.
        """
        n = self.network.input_size
        at = torch.cat([torch.zeros(1, n, dtype=torch.float64), torch.eye(n).double()])
        values: dict[int, Tensor] = {}
        arguments: list[Array] = []
        for index in sorted(self.network.ancestors(self.feature)):
            match self.network.nodes[index]:
                case Input(shape=shape):
                    values[index] = at.reshape(n + 1, *shape)
                case Affine() as node:
                    values[index] = affine_value(node, values, n + 1)
                case TwoSlope() as node:
                    place = self.nodes.index(index)
                    side = pattern[self.starts[place] : self.starts[place + 1]]
                    on = torch.from_numpy(side.copy()).reshape(node.shape)
                    slope = torch.where(on, node.positive, node.negative)
                    values[index] = slope * values[node.source]
                    arguments.append(_coefficients(values[node.source]))
                case _:
                    continue
        return PatternMaps(
            arguments=np.concatenate([np.zeros((0, n + 1)), *arguments]),
            features=_coefficients(values[self.feature]),
        )


def _coefficients(values: Tensor) -> Array:
    """Return coefficients and constant part from values at zero and unit vectors."""
    flat = values.reshape(values.shape[0], -1)
    return torch.cat([flat[1:] - flat[:1], flat[:1]]).T.contiguous().numpy()


def units_of(network: Network, feature: int) -> Units:
    """Return the units that features depend on.

    Raises:
        NotPolyhedralError: Some are curved or maxima.
    """
    part = polyhedral(network, feature, question="the whole pre-image")
    nodes = [i for i, node in sorted(part.nodes.items()) if isinstance(node, TwoSlope)]
    maxima = [
        OffendingNode(
            name=source_name(network, i),
            operation="maximum",
            reason="a maximum, which the enumeration does not take",
        )
        for i, node in part.nodes.items()
        if not isinstance(node, Input | Affine | TwoSlope)
    ]
    if maxima:
        raise NotPolyhedralError("the whole pre-image", maxima)
    sizes = [int(np.prod(network.nodes[i].shape)) for i in nodes]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist()
    return Units(
        network=network, feature=feature, nodes=tuple(nodes), starts=tuple(starts)
    )
