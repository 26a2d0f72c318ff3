"""Run an imported network backwards through its transposed weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import (
    InvalidArgumentError,
    OffendingNode,
    UnsupportedOperationError,
)
from relulens.graph.blocks import Blocks, blocks
from relulens.graph.freeze import node_values
from relulens.graph.network import Network
from relulens.graph.nodes import Coupled
from relulens.reversal.generative import check_keep
from relulens.reversal.walk_back import layer_scales, walk_back


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reversal:
    """Inputs generated from features, and how well their own features agree.

    Attributes:
        layer: Name of the layer that was reversed.
        generated: Inputs from the transposed weights [N, *input_shape].
        features: Features that they were generated from [N, size].
        regained: Features of the generated inputs [N, size].
        error: ``|regained - features| / |features|`` [N]; NaN where features are zero.
        shape_error: The same after the best common factor, ``sqrt(1 - cosine^2)`` [N].
        by_layer: ``shape_error`` of every layer up to this one [N], by name.
        baselines: ``shape_error`` of other ways back [N], by name: a least-squares
            inverse, shuffled features, the initial weights where given.
        scales: The factor of every nonlinear node, by name.
        empty: Whether nothing positive came back to the input [N].
    """

    layer: str
    generated: Tensor
    features: Float[Tensor, "batch size"]
    regained: Float[Tensor, "batch size"]
    error: Float[Tensor, " batch"]
    shape_error: Float[Tensor, " batch"]
    by_layer: Mapping[str, Float[Tensor, " batch"]]
    baselines: Mapping[str, Float[Tensor, " batch"]]
    scales: Mapping[str, float]
    empty: Tensor


def _offending(form: Blocks) -> list[OffendingNode]:
    nodes = [form.node(block) for block in range(len(form.states))]
    return [
        OffendingNode(
            name=node.name,
            operation=node.function.name,
            reason="a product of values has no transpose that runs it backwards",
        )
        for node in nodes
        if isinstance(node, Coupled)
    ]


def generate(
    network: Network,
    features: Tensor,
    /,
    *,
    layer: int | str | None = None,
    keep: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Return inputs generated from features by the transposed weights.

    Args:
        network: The network.
        features: [N, *shape of the layer]; for a class, its unit vector at the output.
        layer: The layer that they belong to; the output by default.
        keep: Share of units kept at each layer, in (0, 1].
        seed: Seed of the dropped units.

    Returns:
        [N, *input_shape].

    Raises:
        UnsupportedOperationError: The layer depends on products of values; all named.
        InvalidArgumentError: ``keep`` lies outside (0, 1], or the shape is another.
    """
    part = network.with_output(network.find(layer))
    if tuple(features.shape[1:]) != part.output_shape:
        raise InvalidArgumentError(
            f"cannot generate from features: their shape is {list(features.shape)}, and"
            f" [N, {', '.join(map(str, part.output_shape))}] is needed. Take the"
            " features of that layer."
        )
    form = _form(part)
    rectified = _rectifies_input(network)
    scales = layer_scales(form, check_keep(keep), rectified)
    value = features.to(network.device, network.dtype)
    with torch.no_grad():
        return walk_back(
            form, value, scales, keep=keep, rectified_input=rectified, seed=seed
        ).to(torch.float64)


def _form(part: Network) -> Blocks:
    form = blocks(part)
    if bad := _offending(form):
        raise UnsupportedOperationError(bad)
    if not form.B and form.D is None:
        raise InvalidArgumentError(
            "cannot run the layer backwards: 0 of its weights read the input. Choose a"
            " layer that depends on the input."
        )
    return form


def _rectifies_input(network: Network) -> bool:
    return network.domain is not None and bool((network.domain.low >= 0).all())


def _relative(found: Tensor, wanted: Tensor) -> Tensor:
    flat = wanted.flatten(1).to(torch.float64)
    size = flat.norm(dim=1)
    error = (found.flatten(1) - flat).norm(dim=1) / size
    return torch.where(size > 0, error, torch.nan)


def _shape_error(found: Tensor, wanted: Tensor) -> Tensor:
    first = found.flatten(1).to(torch.float64)
    second = wanted.flatten(1).to(torch.float64)
    sizes = first.norm(dim=1) * second.norm(dim=1)
    cosine = (first * second).sum(1) / sizes
    error = (1 - cosine.clamp(-1, 1).square()).sqrt()
    missing = torch.where(second.norm(dim=1) > 0, 1.0, torch.nan).to(error)
    return torch.where(sizes > 0, error, missing)


def reversal(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str,
    keep: float = 1.0,
    initial: Network | None = None,
    least_squares: bool = True,
    seed: int = 0,
) -> Reversal:
    r"""Return inputs generated from the features of ``x``, and their own features.

    Each step back is :math:`r(\alpha K^\top h)` with the affine map K between two
    nonlinear operations, the reverse of the source's generative model. A maximum gives
    its value to its whole group; parts that several later operations send back are
    averaged. The input is rectified where the network's domain is nonnegative.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: The layer whose features are reversed.
        keep: Share of units kept at each layer, in (0, 1].
        initial: The same network before training, for a baseline.
        least_squares: Whether that baseline is computed, the costly one.
        seed: Seed of dropped units and of the shuffled baseline.

    Returns:
        Generated inputs and errors, with baselines on the same inputs.

    Raises:
        UnsupportedOperationError: The layer depends on products of values; all named.
        InvalidArgumentError: ``keep`` lies outside (0, 1].
        MemoryLimitError: A weight's sparse matrix, needed for its norm, is too large.

    Cost:
        One pass back and two forward; the least-squares baseline takes up to 100 of
        each.
    """
    share, points = check_keep(keep), network.as_input(x)
    end = network.find(layer)
    part = network.with_output(end)
    form = _form(part)
    rectified = _rectifies_input(network)
    scales = layer_scales(form, share, rectified)
    watched = {item.name: item.output for item in part.layers} | {str(layer): end}
    with torch.no_grad():
        real = node_values(part, points, list(watched.values()))
        h = real[end]
        made = walk_back(
            form, h, scales, keep=share, rectified_input=rectified, seed=seed
        )
        again = node_values(part, made, list(watched.values()))
        others = _other_ways(form, h, scales, share, rectified, seed, least_squares)
        baselines = {
            name: _shape_error(node_values(part, value, [end])[end], h)
            for name, value in others.items()
        }
    if initial is not None:
        before = reversal(
            initial, x, layer=layer, keep=keep, least_squares=False, seed=seed
        )
        baselines["initial weights"] = before.shape_error
    names = [form.node(item.block).name for item in form.arguments]
    return Reversal(
        layer=str(layer),
        generated=made.to(torch.float64),
        features=h.flatten(1).to(torch.float64),
        regained=again[end].flatten(1).to(torch.float64),
        error=_relative(again[end], h),
        shape_error=_shape_error(again[end], h),
        by_layer={name: _shape_error(again[i], real[i]) for name, i in watched.items()},
        baselines=baselines,
        scales=dict(zip([*names, "output"], scales, strict=True)),
        empty=~(made > 0).flatten(1).any(1),
    )


def _other_ways(
    form: Blocks,
    h: Tensor,
    scales: tuple[float, ...],
    keep: float,
    rectified: bool,
    seed: int,
    least_squares: bool,
) -> dict[str, Tensor]:
    """Return what other ways back make of features, by name."""
    size = form.network.output_size
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    shuffled = h.flatten(1)[:, order.to(h.device)].reshape(h.shape)
    made = {
        "shuffled features": walk_back(
            form, shuffled, scales, keep=keep, rectified_input=rectified, seed=seed
        )
    }
    if least_squares:
        made["least squares"] = walk_back(
            form, h, scales, rectified_input=rectified, inverse=True
        )
    return made
