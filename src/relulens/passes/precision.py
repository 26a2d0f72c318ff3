"""A frozen network with numbers of another type, its gates kept."""

from dataclasses import replace

import torch
from torch import Tensor

from relulens.graph.freeze import Frozen
from relulens.graph.network import Network


def frozen_in(frozen: Frozen, network: Network) -> Frozen:
    """Return a frozen network in another precision, its gates kept as they are.

    Args:
        frozen: The network, frozen in its own type.
        network: The same network in the other type.
    """
    dtype = network.dtype
    return replace(
        frozen,
        network=network,
        x=frozen.x.to(dtype),
        gates={i: _gate(gate, dtype) for i, gate in frozen.gates.items()},
        arguments={
            i: tuple(part.to(dtype) for part in parts)
            for i, parts in frozen.arguments.items()
        },
        values={i: value.to(dtype) for i, value in frozen.values.items()},
    )


def _gate(gate: Tensor, dtype: torch.dtype) -> Tensor:
    if gate.ndim == 4 and dtype == torch.float32:
        # Convolutions in float32 are several times faster with channels last.
        gate = gate.contiguous(memory_format=torch.channels_last)
    return gate.to(dtype) if gate.is_floating_point() else gate
