"""Compare a network with the module that it was imported from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.fx import Node as GraphNode
from torch.utils import _pytree as pytree

from relulens.errors import ModelLoadError
from relulens.graph.network import Agreement, Network
from relulens.importers.agreement import (
    BATCHES,
    DOUBLE_TOLERANCE,
    SINGLE_TOLERANCE,
    checked_agreement,
)
from relulens.importers.aten.assemble import Assembled, TorchSource
from relulens.importers.aten.movement import sample_layout
from relulens.importers.aten.prepare import named_tensors
from relulens.importers.aten.program import quiet
from relulens.importers.aten.sources import applied
from relulens.importers.values import Dims

_TOLERANCES = {torch.float64: DOUBLE_TOLERANCE, torch.float32: SINGLE_TOLERANCE}
_HALF_TOLERANCE = 0.1


def with_agreement(
    source: TorchSource, made: Assembled, module: nn.Module, double: nn.Module | None
) -> Network:
    """Return the network with its agreement, checked against the module.

    Args:
        source: The exported graph.
        made: The network.
        module: The prepared copy in its own type.
        double: The copy in float64, if the module runs in it.

    Raises:
        ImportMismatchError: The network differs from one of the two.
    """
    network, own = made.network, _dtype(module)
    notes = list(source.notes)
    if double is None:
        agreement = _compared(source, made, module, BATCHES)
    else:
        agreement = _compared(source, made, double, BATCHES)
        if own != torch.float64:
            single = _compared(source, made, module, (max(BATCHES),))
            notes.append(f"{single.source} differs by {single.difference:.1e} relative")
    provenance = replace(network.provenance, agreement=agreement, notes=tuple(notes))
    return replace(network, provenance=provenance)


def _compared(
    source: TorchSource, made: Assembled, module: nn.Module, batches: Sequence[int]
) -> Agreement:
    kind = _dtype(module)
    kinds = kind, made.network.dtype
    return checked_agreement(
        made.network,
        _reference(source, module, made.dims),
        source.samples,
        source=f"the torch module in {str(kind).removeprefix('torch.')}",
        batches=batches,
        tolerance=max(_TOLERANCES.get(k, _HALF_TOLERANCE) for k in kinds),
    )


def _dtype(module: nn.Module) -> torch.dtype:
    kinds = [t.dtype for t in named_tensors(module).values() if t.is_floating_point()]
    return kinds[0] if kinds else torch.float64


def _reference(
    source: TorchSource, module: nn.Module, dims: Dims
) -> Callable[[Tensor], Tensor]:
    """Return the function from samples to the chosen output of a module."""
    dtype = _dtype(module)

    def adapted(x: Tensor) -> Tensor:
        """Return samples as the module takes them."""
        if source.mean is not None:
            x = x - _spread(source.mean, x)
        if source.std is not None:
            x = x / _spread(source.std, x)
        place = next(i for i, dim in enumerate(source.dims) if not isinstance(dim, int))
        kind = source.example_dtype
        return x.movedim(0, place).to(dtype if kind.is_floating_point else kind)

    def reference(x: Tensor) -> Tensor:
        given = adapted(x)
        if source.output.place is None:
            result = _run_graph(source, named_tensors(module), given)
        else:
            with torch.no_grad():
                result = pytree.tree_leaves(module(given))[source.output.place]
        return sample_layout(result, dims, x.shape[0])

    return reference


def _spread(numbers: Tensor, x: Tensor) -> Tensor:
    """Return one number a channel against samples [N, channels, ...]."""
    if numbers.ndim != 1 or tuple(numbers.shape) == tuple(x.shape[1:]):
        return numbers
    return numbers.reshape(-1, *[1] * (x.ndim - 2))


def _run_graph(source: TorchSource, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return the value of the output's node, for outputs that the module hides."""
    found: dict[GraphNode, object] = {
        source.inputs.example: x,
        **{node: weights[name] for node, name in source.inputs.weights.items()},
        **source.inputs.constants,
    }
    with quiet():
        for node in source.nodes:
            if node.op != "placeholder":
                found[node] = applied(node, found.__getitem__)
    result = found[source.output.node]
    if not isinstance(result, Tensor):
        raise ModelLoadError(
            f"cannot compare the network with {source.output.node.name!r}: it gives no"
            " array. Choose another output."
        )
    return result
