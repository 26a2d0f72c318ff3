"""Form (1) as sparse matrices with what folding them may have rounded."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from relulens.bounds.images import AbsoluteAffine, largest
from relulens.bounds.rounding import gamma, roundings
from relulens.graph.blocks import blocks
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Maximum, TwoSlope

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Operation:
    """One nonlinear operation of the state.

    Attributes:
        node: What it is.
        state: Its first entry in x, and the one after its last.
        argument: Its first entry in z, and the one after its last.
    """

    node: TwoSlope | Maximum
    state: tuple[int, int]
    argument: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StateForm:
    """``z = A x + B u + a``, ``x = phi(z)``, ``y = C x + D u + d``, loops allowed.

    Attributes:
        A: [m, n].
        B: [m, p].
        C: [q, n].
        D: [q, p].
        a: [m].
        d: [q].
        operations: phi, block by block.
    """

    A: csr_array
    B: csr_array
    C: csr_array
    D: csr_array
    a: Array
    d: Array
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StateBox:
    """Bounds of every quantity of a state form for one box of inputs.

    Attributes:
        u: Bounds [p] of the input.
        x: Bounds [n] of the state.
        z: Bounds [m] of the arguments.
        argument_slack: Most that folding may have rounded in every z [m].
        output_slack: Likewise in every y [q].
    """

    u: tuple[Array, Array]
    x: tuple[Array, Array]
    z: tuple[Array, Array]
    argument_slack: Array
    output_slack: Array


def state_form(network: Network, *, limit: int) -> StateForm:
    """Return form (1) of a network of two-slope and maximum nodes.

    Args:
        network: The network, float64.
        limit: Bytes that each matrix may take.

    Raises:
        MemoryLimitError: A matrix takes more than ``limit`` bytes.
        TypeError: A node is smooth or coupled; ``polyhedral`` says so before.
    """
    form = blocks(network)
    operations: list[Operation] = []
    for i, argument in enumerate(form.arguments):
        node = form.node(argument.block)
        if not isinstance(node, TwoSlope | Maximum):
            raise TypeError(f"node {argument.node} is of kind {type(node).__name__}")
        state = form.state_offsets[argument.block : argument.block + 2]
        place = form.argument_offsets[i : i + 2]
        operations.append(
            Operation(
                node=node, state=(state[0], state[1]), argument=(place[0], place[1])
            )
        )
    return StateForm(
        A=form.to_sparse("A", limit=limit),
        B=form.to_sparse("B", limit=limit),
        C=form.to_sparse("C", limit=limit),
        D=form.to_sparse("D", limit=limit),
        a=form.offset("a").numpy(force=True),
        d=form.offset("d").numpy(force=True),
        operations=tuple(operations),
    )


def folding_slack(
    network: Network, known: Mapping[int, AbsoluteAffine], values: Mapping[int, Bounds]
) -> dict[int, Tensor]:
    """Return what folding chains of affine nodes may round, at every affine node.

    Args:
        network: The network, float64.
        known: Absolute maps of its affine nodes.
        values: Bounds [N, *shape] of its input and its nonlinear nodes.

    Returns:
        [N, *shape]; zero where a node is the only one of its chain and has one term.
    """
    size = {index: largest(bounds) for index, bounds in values.items()}
    count = dict.fromkeys(values, 0)
    slack: dict[int, Tensor] = {}
    batch = next(iter(size.values())).shape[0]
    for index in sorted(network.ancestors(network.output)):
        node = network.nodes[index]
        if not isinstance(node, Affine):
            continue
        read = [term.source for term in node.terms]
        total = torch.zeros(
            (batch, *node.shape), dtype=torch.float64, device=network.device
        )
        if read:
            total = known[index].size(node, {i: size[i] for i in read})
        elif node.bias is not None:
            total = total + node.bias.abs()
        own = sum(roundings(term.map) + 1 for term in node.terms)
        size[index] = total
        count[index] = own + max((count[i] for i in read), default=0)
        slack[index] = gamma(count[index] + 4) * total
    return slack
