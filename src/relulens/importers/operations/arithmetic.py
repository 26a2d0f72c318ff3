"""Sums, products and quotients of values and constants."""

from typing import TypeAlias

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import MatrixProduct, Product, Quotient
from relulens.graph.groups import Groups
from relulens.graph.maps import (
    Adjoint,
    AlongAxis,
    Convolution,
    Identity,
    Reshape,
    Scale,
    Slice,
)
from relulens.graph.maps.windows import Windows
from relulens.graph.smooth import RECIPROCAL
from relulens.importers.builder import Builder
from relulens.importers.operations.shapes import expand, permute, reshape, unsqueeze
from relulens.importers.values import (
    BatchAxis,
    Dims,
    Value,
    as_float,
    broadcast_dims,
    describe_dims,
    sample_constant,
    sample_shape,
)

Operand: TypeAlias = Value | Tensor | float


def add(build: Builder, name: str, x: Operand, y: Operand, alpha: float = 1.0) -> Value:
    """Return ``x + alpha * y``; one of the two at least is a value."""
    if isinstance(x, Value) and isinstance(y, Value):
        dims = broadcast_dims(x.dims, y.dims)
        left, right = expand(build, name, x, dims), expand(build, name, y, dims)
        second = Identity(right.shape) if alpha == 1.0 else _times(alpha, right)
        return build.affine(
            name, [(left, Identity(left.shape)), (right, second)], None, dims
        )
    if isinstance(x, Value):
        shifted, constant = x, alpha * as_float(_number(y))
        return _shift(build, name, shifted, constant)
    if isinstance(y, Value):
        scaled = y if alpha == 1.0 else multiply(build, name, y, alpha)
        return _shift(build, name, scaled, as_float(x))
    raise _no_value(name)


def _number(operand: Operand) -> Tensor | float:
    if isinstance(operand, Value):
        raise InvalidArgumentError(
            "cannot read a constant: 1 value stands where 0 may. Pass a number."
        )
    return operand


def _no_value(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"cannot import {name!r}: it has 0 values among its operands, and 1 is needed."
        " Fold constants first."
    )


def _times(factor: float, x: Value) -> Scale:
    return Scale(torch.tensor(factor, dtype=torch.float64), x.shape)


def _constant_dims(constant: Tensor) -> Dims:
    return tuple(constant.shape)


def _shift(build: Builder, name: str, x: Value, constant: Tensor) -> Value:
    dims = broadcast_dims(x.dims, _without_batch(constant, x.dims))
    x = expand(build, name, x, dims)
    bias = sample_constant(constant, dims)
    return build.affine(name, [(x, Identity(x.shape))], bias, dims)


def _without_batch(constant: Tensor, dims: Dims) -> Dims:
    """Return a constant's axes, the batch axis where it meets one of length one."""
    shape: list[int | BatchAxis] = list(constant.shape)
    for back in range(1, min(len(shape), len(dims)) + 1):
        dim = dims[-back]
        if isinstance(dim, BatchAxis) and shape[-back] == dim.factor:
            shape[-back] = dim
    return tuple(shape)


def subtract(
    build: Builder, name: str, x: Operand, y: Operand, alpha: float = 1.0
) -> Value:
    """Return ``x - alpha * y``."""
    return add(build, name, x, y, -alpha)


def negate(build: Builder, name: str, x: Value) -> Value:
    """Return ``-x``."""
    return multiply(build, name, x, -1.0)


def multiply(build: Builder, name: str, x: Operand, y: Operand) -> Value:
    """Return ``x * y``: a scaling if one is constant, else a coupled product."""
    if isinstance(x, Value) and isinstance(y, Value):
        dims = broadcast_dims(x.dims, y.dims)
        factors = [expand(build, name, x, dims), expand(build, name, y, dims)]
        return build.coupled(name, factors, Product(), dims)
    if isinstance(y, Value):
        x, y = y, x
    if not isinstance(x, Value):
        raise _no_value(name)
    constant = as_float(_number(y))
    dims = broadcast_dims(x.dims, _without_batch(constant, x.dims))
    x = expand(build, name, x, dims)
    return build.linear(name, x, dims, Scale(sample_constant(constant, dims), x.shape))


def divide(build: Builder, name: str, x: Operand, y: Operand) -> Value:
    """Return ``x / y``: a scaling if the divisor is constant."""
    if not isinstance(y, Value):
        # The quotient's rounding differs from the product with the reciprocal by one
        # unit in the last place at most.
        return multiply(build, name, x, 1.0 / as_float(_number(y)))
    if not isinstance(x, Value):
        inverse = build.smooth(f"{name}.reciprocal", y, RECIPROCAL)
        return multiply(build, name, inverse, x)
    dims = broadcast_dims(x.dims, y.dims)
    parts = [expand(build, name, x, dims), expand(build, name, y, dims)]
    return build.coupled(name, parts, Quotient(), dims)


def maximum(
    build: Builder, name: str, x: Operand, y: Operand, *, least: bool = False
) -> Value:
    """Return the entrywise maximum, or minimum as negated maximum of negatives."""
    if not isinstance(x, Value):
        x, y = y, x
    if not isinstance(x, Value):
        raise _no_value(name)
    other = (
        y.dims if isinstance(y, Value) else _without_batch(as_float(_number(y)), x.dims)
    )
    dims = broadcast_dims(x.dims, other)
    stacked = _stack(build, f"{name}.both", x, y, dims)
    groups = Groups.along((2, *sample_shape(dims)), 0)
    if least:
        return build.minimum(name, stacked, groups, dims, operation="minimum")
    return build.maximum(name, stacked, groups, dims, operation="maximum")


def _stack(build: Builder, name: str, x: Value, y: Operand, dims: Dims) -> Value:
    shape = sample_shape(dims)
    both = (2, *shape)

    def placed(place: int, value: Value) -> tuple[Value, Adjoint]:
        ranges = ((place, place + 1, 1), *((0, n, 1) for n in shape))
        return value, Adjoint(Slice(both, ranges))

    def lifted(value: Value) -> Value:
        wide = expand(build, name, value, dims)
        return reshape(build, name, wide, (1, *dims))

    terms = [placed(0, lifted(x))]
    bias = None
    if isinstance(y, Value):
        terms.append(placed(1, lifted(y)))
    else:
        constant = sample_constant(as_float(_number(y)), dims).expand(shape)
        bias = torch.stack([torch.zeros(shape, dtype=torch.float64), constant])
    # The batch axis stays where it was, one place further back.
    return build.affine(name, terms, bias, (2, *dims))


def matmul(build: Builder, name: str, x: Operand, y: Operand) -> Value:
    """Return the matrix product with the source's rules for stacks of matrices.

    Raises:
        InvalidArgumentError: The product would sum over the batch.
    """
    if isinstance(x, Value) and isinstance(y, Value):
        return _matmul_values(build, name, x, y)
    if isinstance(x, Value):
        return _matmul_right(build, name, x, as_float(_number(y)))
    if isinstance(y, Value):
        return _matmul_left(build, name, as_float(x), y)
    raise _no_value(name)


def linear(
    build: Builder, name: str, x: Value, weight: Tensor, bias: Tensor | None
) -> Value:
    """Return ``x weight^T + bias`` along the last axis."""
    axis = x.axis(-1)
    dims = (*x.dims[:-1], weight.shape[0])
    map_ = AlongAxis(as_float(weight), x.shape, axis)
    shift = None if bias is None else as_float(bias)
    return build.linear(name, x, dims, map_, bias=shift)


def _matmul_right(build: Builder, name: str, x: Value, y: Tensor) -> Value:
    if y.ndim == 1:
        product = linear(build, name, x, y[None], None)
        return reshape(build, name, product, x.dims[:-1])
    if y.ndim == 2 or y[..., 0, 0].numel() == 1:
        flat = y.reshape(y.shape[-2:])
        if x.rank < y.ndim:
            x = unsqueeze(build, name, x, list(range(y.ndim - x.rank)))
        return linear(build, name, x, flat.T, None)
    order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    turned = _matmul_left(build, name, y.mT, permute(build, name, x, order))
    back = [*range(turned.rank - 2), turned.rank - 1, turned.rank - 2]
    return permute(build, name, turned, back)


def _matmul_left(build: Builder, name: str, x: Tensor, y: Value) -> Value:
    if x.ndim == 1:
        product = _matmul_left(build, name, x[None], y)
        dims = (*product.dims[:-2], product.dims[-1])
        return reshape(build, name, product, dims)
    if y.rank == 1:
        lifted = unsqueeze(build, name, y, [1])
        product = _matmul_left(build, name, x, lifted)
        return reshape(build, name, product, product.dims[:-1])
    if y.rank < x.ndim:
        y = unsqueeze(build, name, y, list(range(x.ndim - y.rank)))
    if x.ndim == 2 or x[..., 0, 0].numel() == 1:
        axis = y.axis(-2)
        dims = (*y.dims[:-2], x.shape[-2], y.dims[-1])
        return build.linear(
            name, y, dims, AlongAxis(x.reshape(x.shape[-2:]), y.shape, axis)
        )
    return _grouped(build, name, x, y)


def _grouped(build: Builder, name: str, x: Tensor, y: Value) -> Value:
    """Multiply stacks of constant matrices: a convolution of width one in groups."""
    stack = broadcast_dims(_without_batch(x[..., 0, 0], y.dims[:-2]), y.dims[:-2])
    wide = expand(build, name, y, (*stack, *y.dims[-2:]))
    shape = wide.shape
    heads = sample_shape(stack)
    count = int(torch.Size(heads).numel())
    rows, inner = x.shape[-2], x.shape[-1]
    columns = int(torch.Size(sample_shape(wide.dims[-1:])).numel())
    blocks = x.reshape(*sample_constant(x[..., 0, 0], stack).shape, rows, inner)
    weight = blocks.expand(*heads, rows, inner).reshape(count * rows, inner, 1)
    flat = (count * inner, columns)
    windows = Windows((1,), (1,), ((0, 0),), (1,))
    map_ = Convolution(weight, flat, windows, groups=count)
    dims = (*stack, rows, wide.dims[-1])
    back = Reshape((count * rows, columns), sample_shape(dims))
    return build.linear(name, wide, dims, Reshape(shape, flat), map_, back)


def _matmul_values(build: Builder, name: str, x: Value, y: Value) -> Value:
    if x.rank == 1 or y.rank == 1:
        left = unsqueeze(build, name, x, [0]) if x.rank == 1 else x
        right = unsqueeze(build, name, y, [1]) if y.rank == 1 else y
        product = _matmul_values(build, name, left, right)
        dims = list(product.dims)
        if y.rank == 1:
            del dims[-1]
        if x.rank == 1:
            del dims[-1 if y.rank == 1 else -2]
        return reshape(build, name, product, tuple(dims))
    if any(isinstance(dim, BatchAxis) for v in (x, y) for dim in v.dims[-2:]):
        raise InvalidArgumentError(
            f"cannot import {name!r}: the product of {describe_dims(x.dims)} and"
            f" {describe_dims(y.dims)} sums or spreads over the batch axis, and inputs"
            " must not mix. Keep the batch axis in front."
        )
    stack = broadcast_dims(x.dims[:-2], y.dims[:-2])
    left = expand(build, name, x, (*stack, *x.dims[-2:]))
    right = expand(build, name, y, (*stack, *y.dims[-2:]))
    dims = (*stack, x.dims[-2], y.dims[-1])
    return build.coupled(name, [left, right], MatrixProduct(), dims)
