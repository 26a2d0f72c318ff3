"""Compare a network with the module that it was imported from."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.fx import Node as GraphNode
from torch.utils import _pytree as pytree

from relulens.errors import ModelLoadError
from relulens.graph.network import Agreement, Network
from relulens.importers.agreement import (
    DOUBLE_TOLERANCE,
    SINGLE_TOLERANCE,
    checked_agreement,
)
from relulens.importers.aten.assemble import Assembled, TorchSource
from relulens.importers.aten.movement import sample_layout
from relulens.importers.aten.prepare import named_tensors
from relulens.importers.aten.program import quiet
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
    network = made.network
    own = _dtype(module)
    sharp = double is not None and network.dtype == torch.float64
    notes = list(source.notes)
    if double is not None:
        agreement = checked_agreement(
            network,
            _reference(source, double, made.dims),
            source.samples,
            source="the torch module in float64",
            tolerance=DOUBLE_TOLERANCE if sharp else SINGLE_TOLERANCE,
        )
    if double is None or own != torch.float64:
        word = str(own).removeprefix("torch.")
        single = checked_agreement(
            network,
            _reference(source, module, made.dims),
            source.samples,
            source=f"the torch module in {word}",
            batches=(3,) if double is not None else (1, 2, 3),
            tolerance=max(_TOLERANCES.get(own, _HALF_TOLERANCE), SINGLE_TOLERANCE),
        )
        if double is None:
            agreement = single
        else:
            notes.append(
                f"in {word} the module's output differs by {single.difference:.1e}"
                " relative"
            )
    provenance = replace(network.provenance, agreement=agreement, notes=tuple(notes))
    return replace(network, provenance=provenance)


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
            if node.op != "placeholder" and callable(node.target):
                args = torch.fx.node.map_arg(node.args, found.__getitem__)
                kwargs = torch.fx.node.map_arg(node.kwargs, found.__getitem__)
                found[node] = node.target(*args, **kwargs)
    result = found[source.output.node]
    if not isinstance(result, Tensor):
        raise ModelLoadError(
            f"cannot compare the network with {source.output.node.name!r}: it gives no"
            " array. Choose another output."
        )
    return result
