"""Models made of models: one after another, side by side, added, multiplied."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import Product
from relulens.graph.domain import Box, as_box
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import Identity
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.graph.nodes import Coupled
from relulens.implicit.activation import Activation, Argument, StateBlock
from relulens.implicit.block_products import products
from relulens.implicit.matrices import as_map, as_real, on_grid
from relulens.implicit.model import ImplicitModel, as_model


def cascade(second: ImplicitModel, first: ImplicitModel, /) -> ImplicitModel:
    """Return ``u -> second(first(u))``; the state is that of second, then of first.

    ``A = [[A2, B2 C1], [0, A1]]``, ``B = [B2 D1; B1]``, ``C = [C2, D2 C1]``,
    ``D = D2 D1``.

    Raises:
        InvalidArgumentError: The second reads another number of entries, or one of them
            is no implicit model.
    """
    second = as_model(second, verb="cascade")
    first = as_model(first, verb="cascade")
    _check_sizes("cascade", "output of the first", first.q, second.p)
    phi = stacked_phi([second, first])
    top, left = len(second.phi.argument_offsets) - 1, len(second.phi.blocks)
    A = dict(second.A.blocks)
    A |= {(i + top, j + left): part for (i, j), part in first.A.blocks.items()}
    A |= {(i, j + left): part for (i, j), part in products(second.B, first.C).items()}
    B = dict(products(second.B, first.D))
    B |= {(i + top, 0): part for (i, _), part in first.B.blocks.items()}
    C = dict(second.C.blocks)
    C |= {(0, j + left): part for (_, j), part in products(second.D, first.C).items()}
    rows, columns = phi.argument_offsets, phi.state_offsets
    p, q = (0, first.p), (0, second.q)
    between = first.d[None]
    return ImplicitModel(
        BlockMatrix(A, rows, columns),
        BlockMatrix(B, rows, p),
        BlockMatrix(C, q, columns),
        BlockMatrix(products(second.D, first.D), q, p),
        phi,
        torch.cat([second.a + second.B.apply(between)[0], first.a]),
        second.d + second.D.apply(between)[0],
        domain=first.domain,
        input_shape=first.input_shape,
        output_shape=second.output_shape,
    )


def parallel(*models: ImplicitModel, share_input: bool = False) -> ImplicitModel:
    """Return the models side by side, their outputs one after another.

    Args:
        models: At least one model.
        share_input: Whether all read the same input; else each its own part of it.

    Raises:
        InvalidArgumentError: A shared input has different sizes, or there is no model.
    """
    if not models:
        raise InvalidArgumentError(
            "cannot put models in parallel: 0 are given, and 1 or more are needed."
        )
    models = tuple(as_model(model, verb="put in parallel") for model in models)
    if share_input:
        for model in models[1:]:
            _check_sizes("put in parallel", "shared input", models[0].p, model.p)
    phi = stacked_phi(models)
    outs = tuple(accumulate((model.q for model in models), initial=0))
    ins = tuple(accumulate((model.p for model in models), initial=0))
    ins = (0, models[0].p) if share_input else ins
    A, B, C, D = _diagonals(models, share_input=share_input)
    return ImplicitModel(
        BlockMatrix(A, phi.argument_offsets, phi.state_offsets),
        BlockMatrix(B, phi.argument_offsets, ins),
        BlockMatrix(C, outs, phi.state_offsets),
        BlockMatrix(D, outs, ins),
        phi,
        torch.cat([model.a for model in models]),
        torch.cat([model.d for model in models]),
        domain=models[0].domain if share_input else None,
        input_shape=models[0].input_shape if share_input else None,
    )


def add(*models: ImplicitModel) -> ImplicitModel:
    """Return the sum of the models' outputs for one input.

    Raises:
        InvalidArgumentError: Inputs or outputs have different sizes.
    """
    models = tuple(as_model(model, verb="add") for model in models)
    side = parallel(*models, share_input=True)
    for model in models[1:]:
        _check_sizes("add", "output", models[0].q, model.q)
    eye = torch.eye(models[0].q, dtype=side.dtype, device=side.device)
    total = after(side, eye.repeat(1, len(models)))
    return _shaped(total, models[0].input_shape, models[0].output_shape)


def before(
    model: ImplicitModel, matrix: object, offset: object | None = None, /
) -> ImplicitModel:
    """Return ``u -> model(matrix u + offset)``.

    Raises:
        InvalidArgumentError: The sizes do not fit.
    """
    model = as_model(model, verb="put a map before")
    inner = as_map("matrix", matrix)
    _check_sizes("put a map before the model", "result", inner.out_size, model.p)
    flat = BlockMatrix({(0, 0): inner}, (0, inner.out_size), (0, inner.in_size))
    shift = _offset(offset, model, model.p)[None]
    return ImplicitModel(
        model.A,
        BlockMatrix(products(model.B, flat), model.B.row_offsets, flat.column_offsets),
        model.C,
        BlockMatrix(products(model.D, flat), (0, model.q), flat.column_offsets),
        model.phi,
        model.a + model.B.apply(shift)[0],
        model.d + model.D.apply(shift)[0],
        output_shape=model.output_shape,
    )


def after(
    model: ImplicitModel, matrix: object, offset: object | None = None, /
) -> ImplicitModel:
    """Return ``u -> matrix model(u) + offset``.

    Raises:
        InvalidArgumentError: The sizes do not fit.
    """
    model = as_model(model, verb="put a map after")
    outer = as_map("matrix", matrix)
    _check_sizes("put a map after the model", "argument", model.q, outer.in_size)
    flat = BlockMatrix({(0, 0): outer}, (0, outer.out_size), (0, outer.in_size))
    moved = flat.apply(model.d[None])[0]
    return ImplicitModel(
        model.A,
        model.B,
        BlockMatrix(products(flat, model.C), flat.row_offsets, model.C.column_offsets),
        BlockMatrix(products(flat, model.D), flat.row_offsets, model.D.column_offsets),
        model.phi,
        model.a,
        moved + _offset(offset, model, outer.out_size),
        domain=model.domain,
        input_shape=model.input_shape,
    )


def multiply(
    first: ImplicitModel, second: ImplicitModel, /, *, domain: Box | None = None
) -> ImplicitModel:
    """Return the entrywise product of two models' outputs for one input.

    The product is one more block of the state. Its gain is finite only where both
    outputs are bounded, so that analyses ask for a domain.

    Args:
        first: A model.
        second: A model with the same input and output sizes.
        domain: The inputs that the product is meant for; the first's by default.

    Raises:
        InvalidArgumentError: Inputs or outputs have different sizes.
    """
    first = as_model(first, verb="multiply")
    second = as_model(second, verb="multiply")
    bounds = first.domain if domain is None else as_box(domain)
    _check_sizes("multiply", "output", first.q, second.q)
    side = parallel(first, second, share_input=True)
    q = first.q
    n, m = side.n, side.m
    shape = first.output_shape
    node = Coupled(name="product", shape=shape, sources=(0, 0), function=Product())
    reads = tuple(
        Argument(start=m + k * q, stop=m + (k + 1) * q, shape=shape) for k in (0, 1)
    )
    block = StateBlock(name="product", node=node, start=n, stop=n + q, arguments=reads)
    phi = Activation(blocks=(*side.phi.blocks, block))
    rows = len(side.phi.argument_offsets) - 1
    place = len(side.phi.blocks)
    A = dict(side.A.blocks)
    halves = (0, q, 2 * q)
    C = on_grid(side.C, halves, side.C.column_offsets)
    D = on_grid(side.D, halves, (0, side.p))
    A |= {(rows + i, j): part for (i, j), part in C.blocks.items()}
    B = dict(side.B.blocks)
    B |= {(rows + i, 0): part for (i, _), part in D.blocks.items()}
    return ImplicitModel(
        BlockMatrix(A, phi.argument_offsets, phi.state_offsets),
        BlockMatrix(B, phi.argument_offsets, (0, side.p)),
        BlockMatrix({(0, place): Identity((q,))}, (0, q), phi.state_offsets),
        None,
        phi,
        torch.cat([side.a, side.d]),
        None,
        domain=bounds,
        input_shape=first.input_shape,
        output_shape=shape,
    )


def stacked_phi(models: Sequence[ImplicitModel]) -> Activation:
    """Return the operations of several models one after another."""
    blocks: list[StateBlock] = []
    n = m = 0
    for model in models:
        for block in model.phi.blocks:
            reads = tuple(
                Argument(start=a.start + m, stop=a.stop + m, shape=a.shape)
                for a in block.arguments
            )
            blocks.append(
                StateBlock(
                    name=block.name,
                    node=block.node,
                    start=block.start + n,
                    stop=block.stop + n,
                    arguments=reads,
                )
            )
        n, m = n + model.n, m + model.m
    return Activation(blocks=tuple(blocks))


def _diagonals(
    models: Sequence[ImplicitModel], *, share_input: bool
) -> tuple[dict[tuple[int, int], LinearMap], ...]:
    """Return the blocks of A, B, C and D of models side by side."""
    A: dict[tuple[int, int], LinearMap] = {}
    B: dict[tuple[int, int], LinearMap] = {}
    C: dict[tuple[int, int], LinearMap] = {}
    D: dict[tuple[int, int], LinearMap] = {}
    rows = columns = 0
    for k, model in enumerate(models):
        place = 0 if share_input else k
        A |= {(i + rows, j + columns): x for (i, j), x in model.A.blocks.items()}
        B |= {(i + rows, place): x for (i, _), x in model.B.blocks.items()}
        C |= {(k, j + columns): x for (_, j), x in model.C.blocks.items()}
        D |= {(i + k, place): x for (i, _), x in model.D.blocks.items()}
        rows += len(model.phi.argument_offsets) - 1
        columns += len(model.phi.blocks)
    return A, B, C, D


def _offset(given: object | None, model: ImplicitModel, size: int) -> Tensor:
    if given is None:
        return torch.zeros(size, dtype=model.dtype, device=model.device)
    vector = as_real(given, subject="the offset").to(model.device, model.dtype)
    vector = vector.reshape(-1)
    _check_sizes("use the offset", "offset", vector.numel(), size)
    return vector


def _check_sizes(verb: str, what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise InvalidArgumentError(
            f"cannot {verb}: the {what} has {found} entries, and {wanted} are needed."
            " Use models that fit, or put an affine map between them."
        )


def _shaped(
    model: ImplicitModel, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> ImplicitModel:
    return ImplicitModel(
        model.A,
        model.B,
        model.C,
        model.D,
        model.phi,
        model.a,
        model.d,
        domain=model.domain,
        input_shape=inputs,
        output_shape=outputs,
    )
