"""Small chains of dense layers, cut in one compiled run where rounding allows."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.maps import AlongAxis, Reshape
from relulens.graph.nodes import Affine, Input, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.numerics.kernels import planar_chain
from relulens.regions.plane import Plane
from relulens.regions.slice_finished import Finished, Graph, Narrow
from relulens.regions.slice_mesh import Floats, Integers, Mesh, Words
from relulens.regions.slice_stage import Stage

_ROUND = 2.0**-52

_WIDEST = 256
"""Units of a layer up to which this is faster than the walk over the nodes."""

_NUMBERS = 16_000_000
"""Numbers of a table of values past which the walk takes over."""


@dataclass(slots=True, eq=False, kw_only=True)
class DenseChain:
    """Two-slope layers of which each reads a dense map of the one before.

    Attributes:
        matrices: Weights [n, m] of every layer.
        biases: Their biases [n].
        low: Slopes of negative arguments [n].
        high: Slopes of positive ones [n].
        stages: Indices of the two-slope nodes.
    """

    matrices: list[Floats] = field(default_factory=list)
    biases: list[Floats] = field(default_factory=list)
    low: list[Floats] = field(default_factory=list)
    high: list[Floats] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)

    def map(self, node: Affine) -> bool:
        """Take an affine node; tell whether it is a matrix or another shape."""
        match node.terms[0].map:
            case Reshape():
                return node.bias is None
            case AlongAxis(matrix=matrix, in_shape=(_,)):
                self.matrices.append(matrix.numpy())
                bias = np.zeros(matrix.shape[0])
                if node.bias is not None:
                    bias = _flat(node.bias, node.shape)
                self.biases.append(bias)
                return matrix.shape[0] <= _WIDEST
            case _:
                return False

    def units(self, index: int, node: TwoSlope) -> bool:
        """Take a two-slope node; tell whether just one matrix came before it."""
        self.stages.append(index)
        self.low.append(_flat(node.negative, node.shape))
        self.high.append(_flat(node.positive, node.shape))
        return len(self.matrices) == len(self.stages)


def dense_chain(region: Polyhedral) -> DenseChain | None:
    """Return the layers up to the last of units, or nothing for other networks."""
    chain = DenseChain()
    last = max((index for index, _ in region.nonlinear()), default=-1)
    before = -1
    for index, node in region.nodes.items():
        if index > last:
            break
        match node:
            case Input():
                taken = before < 0
            case Affine(terms=(term,)):
                taken = term.source == before and chain.map(node)
            case TwoSlope(source=source):
                taken = source == before and chain.units(index, node)
            case _:
                taken = False
        if not taken:
            return None
        before = index
    return chain if chain.stages else None


def cut_at_once(
    region: Polyhedral, plane: Plane, mesh: Mesh, counts: dict[int, int]
) -> Finished | None:
    """Cut a polygon by a small chain of dense layers.

    Args:
        region: The network up to the last node.
        plane: The plane.
        mesh: The polygon.
        counts: Where cells after each nonlinear node are written.

    Returns:
        The cells, or nothing if the network is no such chain, or rounding could change
        them.
    """
    chain = dense_chain(region)
    if chain is None:
        return None
    first, own = _on_plane(chain, plane, mesh.places)
    widths = np.array([len(bias) for bias in chain.biases])
    biases = np.concatenate(chain.biases)
    biases[: widths[0]] = 0.0
    rounding = np.zeros(len(biases))
    rounding[: widths[0]] = own
    made = planar_chain.cut_chain(
        mesh.places,
        mesh.makers,
        np.concatenate([first.ravel(), *(m.ravel() for m in chain.matrices[1:])]),
        biases,
        rounding,
        np.concatenate(chain.low),
        np.concatenate(chain.high),
        widths,
        np.array(chain.stages),
        _NUMBERS,
    )
    if not made[0]:
        return None
    places, error, edges, stages, units, sides, offsets, corners, borders = made[1:10]
    areas, codes, cells, bits, parents = made[10:]
    counts.update(zip(chain.stages, cells.tolist(), strict=True))
    none = np.zeros(0, np.int32)
    graph = Graph(
        places=places,
        edges=edges,
        stages=stages,
        units=units,
        sides=sides,
        offsets=offsets,
        corners=corners,
        borders=borders,
        areas=areas,
        error=error,
        open_edges=none,
        seams=none,
    )
    done = _stages(chain.stages, widths, codes, cells, bits, parents)
    return Finished(graph=graph, stages=done, proved=True)


def _on_plane(
    chain: DenseChain, plane: Plane, corners: Floats
) -> tuple[Floats, Floats]:
    """Return the first layer's coefficients of 1 and plane coordinates [n, 3].

    And the rounding of what they add up to on the polygon [n].
    """
    axes = np.concatenate([
        plane.origin.numpy().reshape(1, -1),
        plane.directions.numpy().reshape(2, -1),
    ])
    matrix = chain.matrices[0]
    first = matrix @ axes.T
    first[:, 0] += chain.biases[0]
    reach = np.abs(axes).T @ np.concatenate([[1.0], np.abs(corners).max(0)])
    size = np.abs(matrix) @ reach + np.abs(chain.biases[0])
    return first, _ROUND * (matrix.shape[1] + 4) * size


def _stages(
    nodes: list[int],
    widths: Integers,
    codes: NDArray[np.int8],
    cells: Integers,
    bits: Words,
    parents: Narrow,
) -> list[Stage]:
    """Return what every layer does on the cells, from tables of all layers."""
    stages = []
    unit = at = word = 0
    for node, width, count in zip(nodes, widths.tolist(), cells.tolist(), strict=True):
        own = codes[unit : unit + width]
        unit += width
        varied = np.flatnonzero(own == 2)
        words = -(-len(varied) // 64)
        own[varied] = 0
        stages.append(
            Stage(
                node=node,
                code=own,
                varied=varied,
                bits=bits[word : word + words * count].reshape(count, words),
                parents=parents[at : at + count],
                packed=True,
            )
        )
        word += words * count
        at += count
    return stages


def _flat(value: Tensor, shape: tuple[int, ...]) -> Floats:
    """Return a value broadcast to a shape, as one row."""
    size = math.prod(shape)
    if value.numel() == 1:
        return np.full(size, value.item(), np.float64)
    wide = value if value.dtype == torch.float64 else value.double()
    if tuple(wide.shape) != shape:
        wide = wide.expand(shape)
    flat: Floats = wide.numpy().reshape(size)
    return flat
