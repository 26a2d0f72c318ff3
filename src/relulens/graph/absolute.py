"""The network with absolute weights and gains: how far any change can carry.

With the blocks of form (1) and ``P = Γ |A|``, states of two inputs differ by at most
``(I - P)^-1 Γ |B| |u - u'|``, and the outputs by at most ``S |u - u'|`` for
``S = |C| (I - P)^-1 Γ |B| + |D|``. A network has no loops, so the inverse is a sweep.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.blocks import Blocks
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.gains import gains
from relulens.graph.linear_map import BYTE_LIMIT, Absolute, LinearMap


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AbsoluteNetwork:
    """A network's blocks by absolute value with its gains, float64.

    Attributes:
        blocks: The blocks it was made of.
        A: Absolute maps from blocks of the state to arguments.
        B: Absolute maps from the input to arguments.
        C: Absolute maps from blocks of the state to the output.
        D: Absolute map from the input to the output, or nothing.
        gains: The gain of the node that reads each argument.
        exact: Whether every map has the exact absolute values, not upper bounds.
    """

    blocks: Blocks
    A: Mapping[tuple[int, int], LinearMap]
    B: Mapping[int, LinearMap]
    C: Mapping[int, LinearMap]
    D: LinearMap | None
    gains: Mapping[int, LinearMap]
    exact: bool

    def forward(
        self, change: Float[Tensor, "batch ..."]
    ) -> tuple[Float[Tensor, "batch ..."], dict[int, Tensor]]:
        """Carry bounds on a change of the input forward.

        Args:
            change: Nonnegative bounds [N, *input_shape] on the input's change.

        Returns:
            ``S change`` [N, *output_shape], and the bounds on the change of each block
            of the state.
        """
        form = self.blocks
        change = change.to(torch.float64)
        states: dict[int, Tensor] = {}
        with torch.no_grad():
            for i, argument in enumerate(form.arguments):
                parts = [self.B[i].apply(change)] if i in self.B else []
                parts += [
                    self.A[i, j].apply(states[j]) for j in states if (i, j) in self.A
                ]
                shape = form.node(argument.block).shape
                moved = change.new_zeros((change.shape[0], *shape))
                if parts:
                    moved = self.gains[i].apply(torch.stack(parts).sum(0))
                before = states.get(argument.block)
                states[argument.block] = moved if before is None else before + moved
            ends = [self.C[j].apply(states[j]) for j in self.C]
            if self.D is not None:
                ends.append(self.D.apply(change))
            shape = (change.shape[0], *form.network.output_shape)
            total = torch.stack(ends).sum(0) if ends else change.new_zeros(shape)
        return total, states

    def adjoint(
        self, weights: Float[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """Carry weights of the output back: ``S^T weights``.

        Args:
            weights: Nonnegative weights [N, *output_shape]; unit vectors give the rows
                of S.

        Returns:
            [N, *input_shape].
        """
        form = self.blocks
        weights = weights.to(torch.float64)
        shape = (weights.shape[0], *form.network.input_shape)
        total = weights.new_zeros(shape)
        with torch.no_grad():
            if self.D is not None:
                total = total + self.D.adjoint(weights)
            pulled = {j: self.C[j].adjoint(weights) for j in self.C}
            for i in reversed(range(len(form.arguments))):
                block = form.arguments[i].block
                if block not in pulled:
                    continue
                reading = self.gains[i].adjoint(pulled[block])
                if i in self.B:
                    total = total + self.B[i].adjoint(reading)
                for (row, j), map_ in self.A.items():
                    if row == i:
                        part = map_.adjoint(reading)
                        pulled[j] = pulled[j] + part if j in pulled else part
        return total


def absolute(
    form: Blocks,
    boxes: Mapping[int, Bounds] | None = None,
    *,
    limit: int = BYTE_LIMIT,
) -> AbsoluteNetwork:
    """Return a network by absolute value.

    Args:
        form: The network's blocks.
        boxes: Bounds [1, *shape] of the nodes that nonlinear nodes read, as
            ``interval`` gives them; needed where a gain is finite only on a box.
        limit: Bytes that a sparse product made for one exact absolute map may take.

    Returns:
        Maps that dominate, exactly the absolute values where ``exact`` says so.

    Raises:
        UnboundedError: A node has no finite gain; the message names it.

    Cost:
        Absolute coefficients, and a sparse product for each block that is a chain of
        maps whose entries could cancel.
    """
    parts: dict[str, dict[tuple[int, int], Absolute]] = {
        "A": {key: block.absolute(limit=limit) for key, block in form.A.items()},
        "B": {(i, 0): block.absolute(limit=limit) for i, block in form.B.items()},
        "C": {(0, j): block.absolute(limit=limit) for j, block in form.C.items()},
        "D": {} if form.D is None else {(0, 0): form.D.absolute(limit=limit)},
    }
    device = form.network.device
    maps = {
        letter: {key: part.map.to(torch.float64, device) for key, part in found.items()}
        for letter, found in parts.items()
    }
    return AbsoluteNetwork(
        blocks=form,
        A=maps["A"],
        B={i: map_ for (i, _), map_ in maps["B"].items()},
        C={j: map_ for (_, j), map_ in maps["C"].items()},
        D=maps["D"].get((0, 0)),
        gains=_gains(form, boxes),
        exact=all(part.exact for found in parts.values() for part in found.values()),
    )


def _gains(form: Blocks, boxes: Mapping[int, Bounds] | None) -> dict[int, LinearMap]:
    """Return the gain of every argument, in order."""
    network, found = form.network, list[LinearMap]()
    for node in form.states:
        read = [item.source for item in form.arguments if item.node == node]
        known = boxes is not None and all(source in boxes for source in read)
        box = tuple(boxes[source] for source in read) if boxes and known else None
        found.extend(gains(network, node, box))
    return {i: map_.to(torch.float64, network.device) for i, map_ in enumerate(found)}
