"""Slow oracles that share no code with the source.

They read the fields of networks, but compute everything another way: maps from torch's
own layers or from loops, Jacobians by autograd, regions by linear programs over signs,
numbers by sampling or in exact rationals.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import reduce
from itertools import pairwise, product

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor
from torch.nn import functional

from relulens.graph import maps
from relulens.graph.coupled import (
    LogSumExp,
    MatrixProduct,
    Normalise,
    Product,
    Quotient,
    Softmax,
)
from relulens.graph.groups import Groups
from relulens.graph.linear_map import LinearMap
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Coupled, Maximum, Node, Smooth, TwoSlope

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


def applied(map_: LinearMap, x: Tensor) -> Tensor:
    """Apply a linear map [N, *in] -> [N, *out] with torch's layers, differentiably."""
    return _RULES[type(map_)](map_, x)


def _reshaped(map_: maps.Reshape, x: Tensor) -> Tensor:
    flat = x.flatten(1)
    return flat.unflatten(1, map_.out_shape) if map_.out_shape else flat[:, 0]


def _permuted(map_: maps.Permute, x: Tensor) -> Tensor:
    letters = "bcdefgh"[: len(map_.order)]
    return torch.einsum(f"a{letters}->a{''.join(letters[i] for i in map_.order)}", x)


def _sliced(map_: maps.Slice, x: Tensor) -> Tensor:
    for axis, bounds in enumerate(map_.ranges):
        x = x.index_select(axis + 1, torch.tensor(list(range(*bounds))).long())
    return x


def _gathered(map_: maps.Gather, x: Tensor) -> Tensor:
    flat = functional.pad(x.flatten(1), (0, 1))
    places = map_.index.reshape(-1).clone()
    places[places < 0] = flat.shape[1] - 1
    return flat[:, places].reshape(x.shape[0], *map_.index.shape)


def _contracted(map_: maps.AlongAxis, x: Tensor) -> Tensor:
    moved = torch.tensordot(x, map_.matrix, dims=([map_.axis + 1], [1]))
    return moved.movedim(-1, map_.axis + 1)


def _summed(map_: maps.SumOver, x: Tensor) -> Tensor:
    for axis in map_.axes:
        x = torch.stack(x.unbind(axis + 1)).sum(0).unsqueeze(axis + 1)
    return x


def _multiplied(map_: maps.SparseMatrix, x: Tensor) -> Tensor:
    dense = torch.from_numpy(map_.matrix.toarray()).to(x.dtype)
    flat = x.reshape(x.shape[0], dense.shape[1])
    product_ = torch.einsum("oi,ni->no", dense, flat)
    return product_.reshape(x.shape[0], *map_.out_shape)


def _convolved(map_: maps.Convolution, x: Tensor) -> Tensor:
    windows = map_.windows
    pads = [pad for pair in reversed(windows.padding) for pad in pair]
    return _CONV[windows.rank](
        functional.pad(x, pads),
        map_.weight,
        None,
        windows.stride,
        0,
        windows.dilation,
        map_.groups,
    )


def _drawn(map_: maps.Diagram, x: Tensor) -> Tensor:
    values = {0: x}
    for arrow in map_.arrows:
        part = applied(arrow.map, values[arrow.source])
        before = values.get(arrow.target)
        values[arrow.target] = part if before is None else before + part
    return values[map_.arrows[-1].target]


def averaged(map_: maps.AveragePool, x: Tensor) -> Tensor:
    """Average over windows with torch's layer."""
    windows = map_.windows
    before = [pair[0] for pair in windows.padding]
    pool = {
        1: functional.avg_pool1d,
        2: functional.avg_pool2d,
        3: functional.avg_pool3d,
    }[windows.rank]
    return pool(
        x, windows.size, windows.stride, before, windows.ceil_mode, map_.count_padding
    )


def pulled(map_: LinearMap, y: Tensor) -> Tensor:
    """Apply the transposed map by autograd."""
    start = torch.zeros(y.shape[0], *map_.in_shape, dtype=y.dtype, requires_grad=True)
    value = applied(map_, start)
    return torch.autograd.grad(value, start, y, create_graph=True)[0]


_RULES: dict[type, Callable[..., Tensor]] = {
    maps.Identity: lambda map_, x: x,
    maps.Scale: lambda map_, x: map_.factor * x,
    maps.Reshape: _reshaped,
    maps.Permute: _permuted,
    maps.Slice: _sliced,
    maps.Gather: _gathered,
    maps.AlongAxis: _contracted,
    maps.SumOver: _summed,
    maps.SparseMatrix: _multiplied,
    maps.Convolution: _convolved,
    maps.AveragePool: averaged,
    maps.Adjoint: lambda map_, y: pulled(map_.map, y),
    maps.Composed: lambda map_, x: reduce(
        lambda value, part: applied(part, value), map_.maps, x
    ),
    maps.Added: lambda map_, x: torch.stack([applied(p, x) for p in map_.maps]).sum(0),
    maps.Diagram: _drawn,
}


def matrix(map_: LinearMap) -> Tensor:
    """Return a map's dense matrix by probing with unit vectors."""
    size = int(torch.Size(map_.in_shape).numel())
    units = torch.eye(size, dtype=torch.float64).reshape(size, *map_.in_shape)
    rows = int(torch.Size(map_.out_shape).numel())
    return applied(map_, units).reshape(size, rows).T.detach()


def grouped(groups: Groups, z: Tensor) -> Tensor:
    """Take the maximum of every group, in a loop over index lists made by hand."""
    flat = z.flatten(1)
    lists = list(group_lists(groups))
    best = [flat[:, entries].amax(1) for entries in lists]
    if not best:
        return z.new_zeros((z.shape[0], *groups.out_shape))
    return torch.stack(best, 1).reshape(z.shape[0], *groups.out_shape)


def group_lists(groups: Groups) -> Iterator[list[int]]:
    """Yield the flat positions of every group, from the definition."""
    if groups.lists is not None:
        ends = groups.lists.pointers.tolist()
        index = groups.lists.index.tolist()
        yield from (index[a:b] for a, b in pairwise(ends))
        return
    places = np.arange(int(np.prod(groups.in_shape))).reshape(groups.in_shape)
    if groups.axis is not None:
        rest = np.moveaxis(places, groups.axis, -1)
        yield from rest.reshape(-1, groups.in_shape[groups.axis]).tolist()
        return
    windows = groups.windows
    for channel, *spot in product(*map(range, groups.out_shape)):
        found = []
        for offset in product(*map(range, windows.size)):
            at = [
                s * step + o * dilation - pad[0]
                for s, step, o, dilation, pad in zip(
                    spot,
                    windows.stride,
                    offset,
                    windows.dilation,
                    windows.padding,
                    strict=True,
                )
            ]
            if all(0 <= a < n for a, n in zip(at, groups.in_shape[1:], strict=True)):
                found.append(int(places[(channel, *at)]))
        yield found


def coupled(node: Coupled, *read: Tensor) -> Tensor:
    """Evaluate a coupled map from its formula."""
    function = node.function
    match function:
        case Product():
            return read[0].mul(read[1])
        case Quotient():
            return read[0].div(read[1])
        case MatrixProduct():
            return torch.einsum("...ab,...bc->...ac", *read)
        case Softmax(axis=axis, mask=mask):
            raised = torch.exp(read[0]) * (1.0 if mask is None else torch.exp(mask))
            return raised / raised.sum(axis, keepdim=True).clamp(min=1e-300)
        case LogSumExp(axis=axis):
            return torch.log(torch.exp(read[0]).sum(axis, keepdim=True))
        case Normalise(axes=axes, epsilon=epsilon, centred=centred):
            dims = list(range(-axes, 0))
            shape = read[0].shape[-axes:]
            if centred:
                return functional.layer_norm(read[0], shape, eps=epsilon)
            size = read[0].pow(2).mean(dims, keepdim=True)
            return read[0] / torch.sqrt(size + epsilon)
    raise TypeError(f"the oracle has no rule for {type(function).__name__}")


def replayed(network: Network, x: Tensor) -> list[Tensor]:
    """Return the value of every node, differentiably."""
    values: list[Tensor] = [x]
    for node in network.nodes[1:]:
        values.append(_replayed_node(node, values))
    return values


def _replayed_node(node: Node, values: list[Tensor]) -> Tensor:
    match node:
        case Affine(terms=terms, bias=bias, shape=shape):
            total = torch.zeros(values[0].shape[0], *shape, dtype=values[0].dtype)
            for term in terms:
                total = total + applied(term.map, values[term.source])
            return total if bias is None else total + bias
        case TwoSlope(source=source, negative=negative, positive=positive):
            z = values[source]
            return positive * z.clamp(min=0.0) - negative * (-z).clamp(min=0.0)
        case Maximum(source=source, groups=groups):
            return grouped(groups, values[source])
        case Smooth(source=source, function=function):
            return function.value(values[source])
        case Coupled(sources=sources):
            return coupled(node, *(values[i] for i in sources))
    raise TypeError(f"the oracle has no rule for {type(node).__name__}")


def jacobian(network: Network, x: Tensor, end: int | None = None) -> Tensor:
    """Return a node's slope [N, out, in] at points where it has one, by autograd."""
    stop = network.output if end is None else end
    rows = []
    for point in x:
        one = point[None].clone().requires_grad_(True)
        value = replayed(network, one)[stop].reshape(-1)
        grads = [
            torch.autograd.grad(entry, one, retain_graph=True, allow_unused=True)[0]
            for entry in value
        ]
        zero = torch.zeros_like(one)
        rows.append(
            torch.stack([(zero if g is None else g).reshape(-1) for g in grads])
            if grads
            else torch.zeros(0, point.numel(), dtype=x.dtype)
        )
    sizes = (torch.Size(s).numel() for s in (network.nodes[stop].shape, x.shape[1:]))
    shape = (0, *sizes)
    return torch.stack(rows) if rows else torch.zeros(shape, dtype=x.dtype)


def on_a_kink(network: Network, x: Tensor) -> Tensor:
    """Tell which points lie on a kink or a tie of some node, so have several slopes.

    Ties of a ReLU's zeros do not count: those units are off, and their slopes are zero.
    """
    values = replayed(network, x)
    tied = torch.zeros(x.shape[0], dtype=torch.bool)
    for node in network.nodes:
        if isinstance(node, TwoSlope):
            tied |= (values[node.source] == 0).flatten(1).any(1)
        if isinstance(node, Maximum):
            flat = values[node.source].flatten(1)
            read = network.nodes[node.source]
            dead = isinstance(read, TwoSlope) and not read.negative.any()
            for entries in group_lists(node.groups):
                best = flat[:, entries].amax(1, keepdim=True)
                equal = (flat[:, entries] == best).sum(1) > 1
                tied |= equal & ~((best[:, 0] == 0) & dead)
    return tied


def sign_regions(
    weight: np.ndarray, bias: np.ndarray, low: float = -10.0, high: float = 10.0
) -> set[tuple[int, ...]]:
    """Return the sign patterns of ``W x + b`` with an open region in a box, by LPs.

    A pattern is kept if some x in the box has a margin above 1e-7 in every row.
    """
    units, size = weight.shape
    found = set()
    for signs in product((-1, 1), repeat=units):
        column = np.array(signs, dtype=float)
        rows = np.hstack([-column[:, None] * weight, np.ones((units, 1))])
        answer = linprog(
            np.r_[np.zeros(size), -1.0],
            A_ub=rows,
            b_ub=column * bias,
            bounds=[(low, high)] * size + [(None, 1.0)],
        )
        if answer.status == 0 and -answer.fun > 1e-7:
            found.add(signs)
    return found


def sampled(
    function: Callable[[Tensor], Tensor],
    low: Tensor,
    high: Tensor,
    count: int = 2000,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return the least and largest values over random points and corners of a box."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, *low.shape, generator=generator, dtype=torch.float64)
    share[: count // 2] = share[: count // 2].round()
    values = function(low + share * (high - low))
    return values.amin(0), values.amax(0)


def rational_mlp(
    layers: Sequence[tuple[Sequence[Sequence[float]], Sequence[float]]],
    x: Sequence[float],
) -> list[Fraction]:
    """Evaluate a ReLU network of dense layers in exact rationals."""
    value = [Fraction(entry) for entry in x]
    for depth, (weight, bias) in enumerate(layers):
        value = [
            sum((Fraction(w) * v for w, v in zip(row, value, strict=True)), Fraction(b))
            for row, b in zip(weight, bias, strict=True)
        ]
        if depth < len(layers) - 1:
            value = [max(entry, Fraction(0)) for entry in value]
    return value
