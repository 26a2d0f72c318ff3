"""The network as one equation between its state and its input, in blocks.

``z = A x + B u + a``, ``x = phi(z)``, ``y = C x + D u + d``: the state x holds the
values of all nonlinear nodes, z their arguments, u is the input and y the output.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT, LinearMap
from relulens.graph.maps import Identity
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.graph.maps.diagram import Arrow, diagram
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Nonlinear, sources


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Argument:
    """One argument of a nonlinear node: a block row of A and B.

    Attributes:
        block: Place of the node among the blocks of the state.
        node: Index of the node in the network.
        source: Index of the node that it reads.
    """

    block: int
    node: int
    source: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Blocks:
    """Form (1) of a network, as linear maps between its nonlinear nodes.

    ``A[i, j]`` takes block j of the state to argument i. Blocks that are zero are left
    out. A node with two arguments, such as a product, is two block rows.

    Attributes:
        network: The network.
        states: Indices of the nonlinear nodes that the output needs, in order.
        arguments: What they read, in order.
        state_offsets: First entry of each block of the state, and their number n.
        argument_offsets: First entry of each argument, and their number m.
        A: Maps from blocks of the state to arguments.
        B: Maps from the input to arguments.
        C: Maps from blocks of the state to the output.
        D: Map from the input to the output, or nothing.
        a: Constant parts [*shape of the argument], where there are any.
        d: Constant part of the output [*output_shape], or nothing.
    """

    network: Network
    states: tuple[int, ...]
    arguments: tuple[Argument, ...]
    state_offsets: tuple[int, ...]
    argument_offsets: tuple[int, ...]
    A: Mapping[tuple[int, int], LinearMap]
    B: Mapping[int, LinearMap]
    C: Mapping[int, LinearMap]
    D: LinearMap | None
    a: Mapping[int, Tensor]
    d: Tensor | None

    @property
    def state_size(self) -> int:
        """Entries n of the state."""
        return self.state_offsets[-1]

    @property
    def argument_size(self) -> int:
        """Entries m of the arguments."""
        return self.argument_offsets[-1]

    def node(self, block: int) -> Nonlinear:
        """Return the nonlinear node of a block of the state."""
        return dict(self.network.nonlinear())[self.states[block]]

    def to_sparse(
        self, which: Literal["A", "B", "C", "D"], *, limit: int = BYTE_LIMIT
    ) -> csr_array:
        """Return one of the four matrices, float64.

        Args:
            which: The letter of the matrix.
            limit: Bytes that the matrix may take.

        Raises:
            MemoryLimitError: The matrix may take more than ``limit`` bytes.
        """
        return self.matrix(which).to_sparse(limit=limit)

    def matrix(self, which: Literal["A", "B", "C", "D"]) -> BlockMatrix:
        """Return one of the four matrices as one map, nothing multiplied out."""
        m, n = self.argument_offsets, self.state_offsets
        p, q = (0, self.network.input_size), (0, self.network.output_size)
        match which:
            case "A":
                return BlockMatrix(self.A, m, n)
            case "B":
                return BlockMatrix({(i, 0): map_ for i, map_ in self.B.items()}, m, p)
            case "C":
                return BlockMatrix({(0, j): map_ for j, map_ in self.C.items()}, q, n)
            case "D":
                return BlockMatrix({} if self.D is None else {(0, 0): self.D}, q, p)

    def offset(self, which: Literal["a", "d"]) -> Tensor:
        """Return one of the two constant vectors, float64."""
        network = self.network
        size = self.argument_size if which == "a" else network.output_size
        vector = torch.zeros(size, dtype=torch.float64, device=network.device)
        if which == "d":
            return vector if self.d is None else vector + self.d.reshape(-1)
        for i, constant in self.a.items():
            start, stop = self.argument_offsets[i : i + 2]
            vector[start:stop] = constant.reshape(-1)
        return vector


def blocks(network: Network) -> Blocks:
    """Return form (1) of a network: its affine nodes folded into blocks.

    Args:
        network: The network.

    Returns:
        Blocks that share the network's coefficients; nothing is multiplied out. As the
        network has no loops, A is strictly block-triangular: ``A[i, j]`` exists only if
        block j comes before argument i's own.

    Cost:
        No arithmetic but one pass for the constants.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> form = blocks(from_layers([([[2.0]], [1.0]), ([[3.0]], None)]))
        >>> form.to_sparse("B").toarray(), form.to_sparse("C").toarray()
        (array([[2.]]), array([[3.]]))
    """
    needed = network.ancestors(network.output)
    nonlinear = [(i, node) for i, node in network.nonlinear() if i in needed]
    states = tuple(index for index, _ in nonlinear)
    arguments = tuple(
        Argument(block=block, node=index, source=source)
        for block, (index, node) in enumerate(nonlinear)
        for source in sources(node)
    )
    rows = [_row(network, argument.source) for argument in arguments]
    last = _row(network, network.output)
    place = {index: block for block, index in enumerate(states)}
    constants = _constants(network, needed)
    read = {i: constants.get(argument.source) for i, argument in enumerate(arguments)}
    return Blocks(
        network=network,
        states=states,
        arguments=arguments,
        state_offsets=_offsets(network, states),
        argument_offsets=_offsets(network, [item.source for item in arguments]),
        A={
            (i, place[anchor]): block
            for i, row in enumerate(rows)
            for anchor, block in row.items()
            if anchor != 0
        },
        B={i: row[0] for i, row in enumerate(rows) if 0 in row},
        C={place[anchor]: block for anchor, block in last.items() if anchor != 0},
        D=last.get(0),
        a={i: constant for i, constant in read.items() if constant is not None},
        d=constants.get(network.output),
    )


def _offsets(network: Network, indices: Sequence[int]) -> tuple[int, ...]:
    sizes = (math.prod(network.nodes[index].shape) for index in indices)
    return tuple(accumulate(sizes, initial=0))


def _row(network: Network, target: int) -> dict[int, LinearMap]:
    """Return the map to a node from every nonlinear node or input it reads affinely."""
    if not isinstance(network.nodes[target], Affine):
        return {target: Identity(network.nodes[target].shape)}
    inside, anchors = _affine_ancestors(network, target)
    return {anchor: _fold(network, anchor, target, inside) for anchor in anchors}


def _affine_ancestors(network: Network, target: int) -> tuple[set[int], list[int]]:
    """Return a node's ancestors through affine nodes, and the anchors they read."""
    inside, anchors, open_ = {target}, set[int](), [target]
    while open_:
        for source in sources(network.nodes[open_.pop()]):
            if not isinstance(network.nodes[source], Affine):
                anchors.add(source)
            elif source not in inside:
                inside.add(source)
                open_.append(source)
    return inside, sorted(anchors)


def _fold(network: Network, anchor: int, target: int, inside: set[int]) -> LinearMap:
    """Return the map between two nodes through the affine nodes between them."""
    place = {anchor: 0}
    arrows: list[Arrow] = []
    for index in sorted(inside):
        node = network.nodes[index]
        terms = node.terms if isinstance(node, Affine) else ()
        live = [term for term in terms if term.source in place]
        if live:
            place[index] = len(place)
            arrows += [Arrow(place[t.source], place[index], t.map) for t in live]
    return diagram(_reaching(arrows, place[target]))


def _reaching(arrows: Sequence[Arrow], end: int) -> list[Arrow]:
    """Return the arrows on paths to a place, in order."""
    live, kept = {end}, list[Arrow]()
    for arrow in reversed(arrows):
        if arrow.target in live:
            live.add(arrow.source)
            kept.append(arrow)
    return kept[::-1]


def _constants(network: Network, needed: frozenset[int]) -> dict[int, Tensor]:
    """Return what affine nodes give when the input and the state are zero."""
    constants: dict[int, Tensor] = {}
    with torch.no_grad():
        for index in sorted(needed):
            node = network.nodes[index]
            if not isinstance(node, Affine):
                continue
            parts = [
                term.map.apply(constants[term.source][None])[0]
                for term in node.terms
                if term.source in constants
            ]
            if node.bias is not None:
                parts.append(node.bias.expand(node.shape))
            if parts:
                constants[index] = torch.stack(parts).sum(0)
    return constants
