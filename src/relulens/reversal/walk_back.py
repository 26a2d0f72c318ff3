"""The walk back: from features to an input through the transposed blocks."""

import torch
from torch import Tensor

from relulens.graph.blocks import Blocks
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap
from relulens.graph.nodes import Maximum, Nonlinear
from relulens.numerics.conjugate_gradient import conjugate_gradient
from relulens.reversal.generative import dropped, generator

INPUT = -1
"""Stands for the input where blocks of the state are numbered."""


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
