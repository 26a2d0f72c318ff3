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
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap
from relulens.graph.network import Network
from relulens.graph.nodes import Coupled, Maximum, Nonlinear
from relulens.numerics.conjugate_gradient import conjugate_gradient
from relulens.reversal.generative import check_keep, dropped, generator

INPUT = -1
"""Stands for the input where blocks of the state are numbered."""


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


def _squares(map_: LinearMap) -> float:
    """Return the sum of the squared entries of a map's matrix, exactly."""
    return float((map_.to_sparse(limit=BYTE_LIMIT).data ** 2).sum())


def _moves_only(maps: list[LinearMap]) -> bool:
    """Tell whether maps only move entries, as between a convolution and its pooling."""
    return all(m.rows_single and m.columns_single and m.nonnegative for m in maps)


def layer_scales(form: Blocks, keep: float, rectified_input: bool) -> tuple[float, ...]:
    r"""Return the factor :math:`2m/(\rho\|K\|_F^2)` of every argument of form (1).

    K is the whole affine map to the argument, with m rows. The two stands for the ReLU
    that halves what comes back; it is one where nothing is rectified, and the factor is
    one where K only moves entries.

    Args:
        form: The network's blocks; the last entry of the result is the output's factor.
        keep: Share of units kept at each layer.
        rectified_input: Whether the generated input is rectified.
    """
    rows: list[tuple[int, list[LinearMap], bool]] = []
    for i in range(len(form.arguments)):
        hidden = [block for (row, _), block in form.A.items() if row == i]
        seen = [form.B[i]] if i in form.B else []
        size = form.argument_offsets[i + 1] - form.argument_offsets[i]
        receivers = [form.node(j) for (row, j) in form.A if row == i]
        rectified = any(not isinstance(node, Maximum) for node in receivers)
        rows.append((
            size,
            hidden + seen,
            rectified or (bool(seen) and rectified_input),
        ))
    last = [*form.C.values(), *([] if form.D is None else [form.D])]
    rows.append((form.network.output_size, last, bool(form.C) or rectified_input))
    scales: list[float] = []
    for size, maps, rectified in rows:
        if _moves_only(maps):
            scales.append(1.0)
            continue
        total = sum(_squares(map_) for map_ in maps)
        scales.append(
            (2.0 if rectified else 1.0) * size / (keep * total) if total else 0.0
        )
    return tuple(scales)


def _spread(node: Nonlinear, value: Tensor) -> Tensor:
    """Return a node's generated value as that of its argument."""
    if not isinstance(node, Maximum):
        return value
    # Features do not say which entry won: every entry of the group gets the maximum.
    ragged = node.groups.ragged
    size = torch.Size(node.groups.in_shape).numel()
    index = ragged.index.to(value.device)
    group = torch.repeat_interleave(
        torch.arange(ragged.pointers.numel() - 1), ragged.pointers.diff()
    ).to(value.device)
    sums = value.new_zeros((value.shape[0], size))
    sums.index_add_(1, index, value.flatten(1)[:, group])
    counts = torch.bincount(index, minlength=size).clamp(min=1)
    return (sums / counts).reshape(value.shape[0], *node.groups.in_shape)


def walk_back(
    form: Blocks,
    features: Tensor,
    scales: tuple[float, ...],
    *,
    keep: float = 1.0,
    rectified_input: bool = False,
    seed: int = 0,
    inverse: bool = False,
) -> Tensor:
    """Return inputs generated from features, layer by layer to the input.

    Args:
        form: Blocks of the network that ends at the features.
        features: [N, *output_shape of the network].
        scales: ``layer_scales`` of the form.
        keep: Share of units kept at each layer.
        rectified_input: Whether the generated input is rectified.
        seed: Seed of the dropped units.
        inverse: Whether each step solves least squares instead of transposing.
    """
    source = generator(seed, features.device)
    pulled: dict[int, list[Tensor]] = {}
    given = _given_block(form)
    if given is None:
        last = dict(form.C) | ({} if form.D is None else {INPUT: form.D})
        pulled = _pulled(last, features, scales[-1], form.d, inverse)
    for block in reversed(range(len(form.states))):
        if block == given:
            value = features
        elif block in pulled:
            value = torch.stack(pulled.pop(block)).mean(0)
            rectified = not isinstance(form.node(block), Maximum)
            value = dropped(torch.relu(value), keep, source) if rectified else value
        else:
            continue
        for i, argument in enumerate(form.arguments):
            if argument.block != block:
                continue
            row = {j: map_ for (r, j), map_ in form.A.items() if r == i}
            row |= {INPUT: form.B[i]} if i in form.B else {}
            spread = _spread(form.node(block), value)
            parts = _pulled(row, spread, scales[i], form.a.get(i), inverse)
            for j, part in parts.items():
                pulled.setdefault(j, []).extend(part)
    shape = (features.shape[0], *form.network.input_shape)
    x = torch.stack(pulled.get(INPUT, [features.new_zeros(shape)])).mean(0)
    return dropped(torch.relu(x), keep, source) if rectified_input else x


def _given_block(form: Blocks) -> int | None:
    """Return the block of the state that the features are, if they are one."""
    output = form.network.output
    return form.states.index(output) if output in form.states else None


def _pulled(
    maps: dict[int, LinearMap],
    value: Tensor,
    scale: float,
    bias: Tensor | None,
    inverse: bool,
) -> dict[int, list[Tensor]]:
    """Return what an argument's value sends back to every block that it reads."""
    if inverse:
        wanted = value if bias is None else value - bias
        return {j: [part] for j, part in _least_squares(maps, wanted).items()}
    return {j: [scale * map_.adjoint(value)] for j, map_ in maps.items()}


def _least_squares(maps: dict[int, LinearMap], value: Tensor) -> dict[int, Tensor]:
    """Return the arguments of least norm whose maps add up to a value most nearly."""
    batch, parts = value.shape[0], list(maps.values())
    sizes = [map_.in_size for map_ in parts]

    def adjoint(weights: Tensor) -> Tensor:
        return torch.cat([map_.adjoint(weights).flatten(1) for map_ in parts], dim=1)

    def normal(flat: Tensor) -> Tensor:
        pieces = flat.split(sizes, dim=1)
        images = [
            map_.apply(piece.reshape(batch, *map_.in_shape))
            for map_, piece in zip(parts, pieces, strict=True)
        ]
        return adjoint(torch.stack(images).sum(0))

    # The normal equations always have a solution, and from zero the iteration stays in
    # the rows' span, so that what it finds has least norm.
    found = conjugate_gradient(normal, adjoint(value), tolerance=1e-6, most=100)
    return {
        j: piece.reshape(batch, *map_.in_shape)
        for (j, map_), piece in zip(
            maps.items(), found.value.split(sizes, dim=1), strict=True
        )
    }


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
    size = wanted.norm(dim=1)
    error = (found - wanted).norm(dim=1) / size
    return torch.where(size > 0, error, torch.nan)


def _shape_error(found: Tensor, wanted: Tensor) -> Tensor:
    sizes = found.norm(dim=1) * wanted.norm(dim=1)
    cosine = (found * wanted).sum(1) / sizes
    error = (1 - cosine.clamp(-1, 1).square()).sqrt()
    return torch.where(
        sizes > 0, error, torch.where(wanted.norm(dim=1) > 0, 1.0, torch.nan)
    )


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
    back = {"keep": share, "rectified_input": rectified, "seed": seed}
    watched = {item.name: item.output for item in part.layers} | {str(layer): end}
    with torch.no_grad():
        real = node_values(part, points, list(watched.values()))
        h = real[end]
        made = walk_back(form, h, scales, **back)
        again = node_values(part, made, list(watched.values()))
        order = torch.randperm(
            part.output_size, generator=torch.Generator().manual_seed(seed)
        )
        shuffled = h.flatten(1)[:, order.to(h.device)].reshape(h.shape)
        other = {"shuffled features": walk_back(form, shuffled, scales, **back)}
        if least_squares:
            other["least squares"] = walk_back(
                form, h, scales, rectified_input=rectified, inverse=True
            )
        baselines = {
            name: _shape_error(
                node_values(part, value, [end])[end].flatten(1), h.flatten(1)
            )
            for name, value in other.items()
        }
    if initial is not None:
        before = reversal(
            initial, x, layer=layer, keep=keep, least_squares=False, seed=seed
        )
        baselines["initial weights"] = before.shape_error
    flat = {
        name: (again[i].flatten(1), real[i].flatten(1)) for name, i in watched.items()
    }
    names = [form.node(item.block).name for item in form.arguments]
    wide = torch.float64
    return Reversal(
        layer=str(layer),
        generated=made.to(wide),
        features=h.flatten(1).to(wide),
        regained=again[end].flatten(1).to(wide),
        error=_relative(*flat[str(layer)]).to(wide),
        shape_error=_shape_error(*flat[str(layer)]).to(wide),
        by_layer={name: _shape_error(*pair).to(wide) for name, pair in flat.items()},
        baselines={name: value.to(wide) for name, value in baselines.items()},
        scales=dict(zip([*names, "output"], scales, strict=True)),
        empty=~(made > 0).flatten(1).any(1),
    )
