"""Gains of coupled maps: upper bounds on the entries of their Jacobians."""

import math

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.graph.coupled import (
    CoupledFunction,
    LogSumExp,
    MatrixProduct,
    Normalise,
    Product,
    Quotient,
    Softmax,
)
from relulens.graph.coupled_bounds import (
    Bounds,
    normalise_parts,
    normalise_reach,
    softmax_image,
)
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap, Shape, check_sparse
from relulens.graph.maps import (
    Adjoint,
    Scale,
    SparseMatrix,
    SumOver,
    added,
    composed,
)


def coupled_gains(
    function: CoupledFunction, boxes: tuple[Bounds, ...] | None
) -> tuple[LinearMap, ...] | None:
    """Return nonnegative maps that dominate a coupled map's Jacobians on boxes.

    Args:
        function: The map.
        boxes: Bounds [1, *shape] of every argument, or nothing for all arguments.

    Returns:
        One map an argument, or nothing where no finite gain is known.

    Raises:
        MemoryLimitError: The gain of a matrix product or a softmax is too large.
    """
    if boxes is None:
        return None
    sizes = tuple(torch.maximum(low.abs(), high.abs())[0] for low, high in boxes)
    match function:
        case Product():
            return _scale(sizes[1]), _scale(sizes[0])
        case Quotient():
            return _quotient_gains(boxes, sizes)
        case MatrixProduct():
            return _matrix_gains(*sizes)
        case Softmax():
            return (_softmax_gain(function, boxes[0]),)
        case LogSumExp(axis=axis):
            shares = softmax_image(Softmax(axis), boxes[0])[1][0]
            along = SumOver(tuple(shares.shape), (axis % shares.ndim,))
            return (composed(_scale(shares), along),)
        case Normalise():
            return _normalise_gains(function, boxes[0])
        case _:
            return None


def _scale(factor: Tensor) -> Scale:
    return Scale(factor, tuple(factor.shape))


def _quotient_gains(
    boxes: tuple[Bounds, ...], sizes: tuple[Tensor, ...]
) -> tuple[LinearMap, ...] | None:
    low, high = (bound[0] for bound in boxes[1])
    if not bool(((low > 0) | (high < 0)).all()):
        return None
    nearest = torch.minimum(low.abs(), high.abs())
    return _scale(1 / nearest), _scale(sizes[0] / nearest**2)


def _matrix_gains(x: Tensor, y: Tensor) -> tuple[LinearMap, ...]:
    """Return ``dX -> dX |Y|`` and ``dY -> |X| dY`` on stacks of matrices."""
    *stack, a, b = x.shape
    c = y.shape[-1]
    count = math.prod(stack)
    out = (*stack, a, c)
    check_sparse(count * a * c, count * (a * b + b * c), count * a * b * c, BYTE_LIMIT)
    s, i, k, j = (
        grid.reshape(-1)
        for grid in np.meshgrid(*map(np.arange, (count, a, b, c)), indexing="ij")
    )
    rows = (s * a + i) * c + j
    left = y.cpu().double().numpy().reshape(-1)[(s * b + k) * c + j]
    right = x.cpu().double().numpy().reshape(-1)[(s * a + i) * b + k]
    return (
        _placed(left, rows, (s * a + i) * b + k, tuple(x.shape), out),
        _placed(right, rows, (s * b + k) * c + j, tuple(y.shape), out),
    )


def _placed(
    data: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    in_shape: Shape,
    out_shape: Shape,
) -> SparseMatrix:
    size = (math.prod(out_shape), math.prod(in_shape))
    matrix = csr_array((data, (rows, columns)), shape=size)
    return SparseMatrix(matrix, in_shape, out_shape)


def _softmax_gain(function: Softmax, box: Bounds) -> SparseMatrix:
    """Return bounds on ``|p_i (1 if i = j) - p_i p_j|``, where p sums to one."""
    low, high = (bound[0] for bound in softmax_image(function, box))
    shape, axis = tuple(low.shape), function.axis % low.ndim
    length = shape[axis]
    size = math.prod(shape)
    check_sparse(size, size, size * length, BYTE_LIMIT)
    place = np.moveaxis(np.arange(size).reshape(shape), axis, -1).reshape(-1, length)
    least, most = (
        bound.movedim(axis, -1).reshape(-1, length).cpu().double()
        for bound in (low, high)
    )
    # Two shares that sum to at most one have a product of at most a quarter.
    across = (most[:, :, None] * most[:, None, :]).clamp(max=0.25)
    own = torch.maximum(least * (1 - least), most * (1 - most))
    own = torch.where((least <= 0.5) & (most >= 0.5), 0.25, own)
    across.diagonal(dim1=1, dim2=2).copy_(own)
    rows = np.broadcast_to(place[:, :, None], across.shape).reshape(-1)
    columns = np.broadcast_to(place[:, None, :], across.shape).reshape(-1)
    return _placed(across.numpy().reshape(-1), rows, columns, shape, shape)


def _normalise_gains(function: Normalise, box: Bounds) -> tuple[LinearMap, ...] | None:
    """Return bounds on ``scale |P - y y^T / n|`` with the projection P off the mean."""
    (low, high), (_, steepest) = normalise_parts(function, box)
    if not bool(torch.isfinite(steepest).all()):
        return None
    reach = normalise_reach(function, low.shape)
    most = (torch.maximum(low.abs(), high.abs()) * steepest).clamp(max=reach)[0]
    shape = tuple(most.shape)
    axes = tuple(range(len(shape) - function.axes, len(shape)))
    size = math.prod(shape[axis] for axis in axes)
    along = SumOver(shape, axes)
    outer = composed(_scale(most / size), along, Adjoint(along), _scale(most))
    one = torch.ones((), dtype=low.dtype, device=low.device)
    parts = [outer, Scale(one * (1 - 2 / size) if function.centred else one, shape)]
    if function.centred:
        mean = composed(Scale(one / size, shape), along, Adjoint(along))
        parts.append(mean)
    return (composed(added(parts), Scale(steepest[0], shape)),)
