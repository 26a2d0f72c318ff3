"""Small networks with small-integer weights: a table from a name to a factory.

``NETWORKS[name]()`` gives a network and inputs [N, *input_shape]; numbers are whole (or
halves), so that float64 is exact and results compare with ``==``. ``POLYHEDRAL`` lists
the names without Smooth and Coupled nodes.
"""

import torch
from network_parts import (
    NETWORKS,
    POLYHEDRAL,
    Case,
    case,
    conv,
    dense,
    finish,
    flat,
    mlp,
    relu,
    start,
    step,
    whole,
    windows,
)
from torch import Tensor

from relulens.graph.coupled import (
    LogSumExp,
    MatrixProduct,
    Normalise,
    Product,
    Quotient,
    Softmax,
)
from relulens.graph.groups import Groups
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import (
    Adjoint,
    AlongAxis,
    AveragePool,
    Convolution,
    Identity,
    Permute,
    Reshape,
    Slice,
    composed,
)
from relulens.graph.maps.windows import Windows
from relulens.graph.smooth import GELU, SIGMOID, TANH
from relulens.importers.builder import with_batch
from relulens.importers.layers import from_layers
from relulens.importers.values import Value

__all__ = [
    "NETWORKS",
    "POLYHEDRAL",
    "conv",
    "dense",
    "finish",
    "flat",
    "relu",
    "start",
    "step",
    "whole",
    "windows",
]


@case()
def one_unit() -> Case:
    """``relu(x)``, also at its kink."""
    network = from_layers([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    return network, torch.tensor([[-2.0], [0.0], [3.0]], dtype=torch.float64)


@case()
def dead_unit() -> Case:
    """Three units, one off and one on wherever the samples lie."""
    first = [[1.0, 2.0], [1.0, 1.0], [1.0, -1.0]]
    network = from_layers([(first, [-1.0, -90.0, 90.0]), (whole(2, 3), whole(2))])
    return network, whole(4, 2, seed=1)


@case()
def unread_unit() -> Case:
    """A unit that the output multiplies by zero."""
    network = from_layers([
        ([[1.0, 2.0], [2.0, -1.0]], [0.0, 1.0]),
        ([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0]),
    ])
    return network, whole(4, 2, seed=1)


@case()
def duplicate_hyperplane() -> Case:
    """Units with one hyperplane, once the other way round."""
    first = [[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0], [1.0, 0.0]]
    network = from_layers([(first, [-1.0, -2.0, 1.0, 0.0]), (whole(2, 4), None)])
    return network, whole(5, 2, seed=3)


@case()
def unit_on_the_point() -> Case:
    """A sample exactly on the hyperplanes of two units."""
    first = [[1.0, -1.0], [1.0, 1.0], [2.0, 1.0]]
    network = from_layers([(first, [0.0, -2.0, 1.0]), (whole(2, 3, seed=4), None)])
    return network, torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)


@case()
def residual() -> Case:
    """``x + W relu(V x)``, twice."""
    build, x = start(4)
    for block in range(2):
        inner = dense(build, f"{block}.in", x, 3, seed=block)
        inner = relu(build, f"{block}.relu", inner)
        out = AlongAxis(whole(4, 3, seed=block + 9), (3,), 0)
        same = Identity((4,))
        x = build.affine(f"{block}.add", [(x, same), (inner, out)], None, x.dims)
        x = relu(build, f"{block}.relu_out", x)
    return finish(build, dense(build, "head", x, 2, seed=7)), whole(5, 4, seed=1)


@case()
def projected_residual() -> Case:
    """A convolutional block whose shortcut is a strided convolution of width one."""
    build, x = start(2, 6, 6)
    kernel = windows((3, 3), 2, 1)
    left = relu(build, "relu1", conv(build, "conv1", x, 3, kernel, seed=1))
    inner = whole(3, 3, 3, 3, seed=2, most=1)
    long = Convolution(inner, left.shape, windows((3, 3), 1, 1))
    short = Convolution(whole(3, 2, 1, 1, seed=3), x.shape, windows((1, 1), 2))
    bias = whole(3, 1, 1, seed=4)
    total = build.affine("add", [(left, long), (x, short)], bias, left.dims)
    y = flat(build, "flat", relu(build, "relu2", total))
    return finish(build, dense(build, "head", y, 2, seed=5)), whole(3, 2, 6, 6, seed=6)


def _pooled(pool: Windows, size: int, sample: Tensor) -> Case:
    build, x = start(1, size, size)
    y = conv(build, "conv", x, 2, windows((3, 3), 1, 1), seed=1)
    y = relu(build, "relu", y)
    groups = Groups.of_windows(y.shape, pool)
    dims = with_batch(groups.out_shape)
    y = build.maximum("pool", y, groups, dims, operation="max_pool")
    y = flat(build, "flat", y)
    return finish(build, dense(build, "head", y, 3, seed=2)), sample


def _images(count: int, size: int) -> Tensor:
    blank = torch.zeros(1, 1, size, size, dtype=torch.float64)
    return torch.cat([whole(count, 1, size, size, seed=8), blank])


@case()
def max_pool() -> Case:
    """Convolution, ReLU, max-pool, dense; the last sample is blank, so it ties."""
    return _pooled(windows((2, 2), 2), 6, _images(3, 6))


@case()
def ragged_max_pool() -> Case:
    """A max-pool with padding, overlap and ceil mode."""
    return _pooled(windows((3, 3), 2, 1, 1, True), 6, _images(3, 6))


@case()
def leaky() -> Case:
    """A leaky ReLU with slope one quarter."""
    build, x = start(3)
    y = dense(build, "first", x, 4, seed=1)
    y = build.two_slope("leaky", y, 0.25, operation="leaky_relu")
    return finish(build, dense(build, "head", y, 2, seed=2)), whole(5, 3, seed=3)


@case()
def parametric() -> Case:
    """A PReLU with a slope a channel, one of them negative, one above one."""
    build, x = start(1, 4, 4)
    y = conv(build, "conv", x, 3, windows((3, 3)), seed=1)
    slopes = torch.tensor([0.5, -0.25, 2.0], dtype=torch.float64).reshape(3, 1, 1)
    y = build.two_slope("prelu", y, slopes, operation="prelu")
    y = flat(build, "flat", y)
    return finish(build, dense(build, "head", y, 2, seed=2)), whole(4, 1, 4, 4, seed=3)


@case()
def absolute_value() -> Case:
    """``|x|`` of a dense layer."""
    build, x = start(2)
    y = dense(build, "first", x, 3, seed=1)
    y = build.two_slope("abs", y, -1.0, operation="abs")
    return finish(build, dense(build, "head", y, 2, seed=2)), whole(5, 2, seed=3)


@case()
def clamp() -> Case:
    """A ReLU6 and a clamp between -1 and 2: two nodes, one layer each."""
    build, x = start(3)
    y = build.clamp(
        "relu6", dense(build, "first", x, 4, seed=1), 0.0, 6.0, operation="relu6"
    )
    y = build.clamp(
        "clamp", dense(build, "second", y, 3, seed=2), -1.0, 2.0, operation="clamp"
    )
    return finish(build, dense(build, "head", y, 2, seed=3)), whole(6, 3, seed=4)


@case()
def bottleneck() -> Case:
    """Widths 5, 2, 5: slopes have rank two at most."""
    return mlp((5, 2, 5, 3), seed=1), whole(5, 5, seed=2)


@case()
def wide() -> Case:
    """Two inputs, thirty units."""
    return mlp((2, 30, 2), seed=3), whole(5, 2, seed=2)


@case()
def deep() -> Case:
    """Eight layers of three units."""
    return mlp((3, *[3] * 8, 2), seed=4), whole(4, 3, seed=2)


@case()
def plain_affine() -> Case:
    """No nonlinear operation at all."""
    return from_layers([(whole(2, 3), whole(2))]), whole(4, 3, seed=2)


@case()
def conv_avgpool() -> Case:
    """Convolutions, an average pool of 2 by 2, a global one, dense."""
    build, x = start(2, 6, 6)
    y = relu(build, "relu1", conv(build, "conv1", x, 3, windows((3, 3), 1, 1), seed=1))
    y = step(build, "average", y, AveragePool(y.shape, windows((2, 2), 2)))
    y = relu(build, "relu2", conv(build, "conv2", y, 4, windows((2, 2)), seed=2))
    y = step(build, "global", y, AveragePool(y.shape, windows((2, 2), 2)))
    y = flat(build, "flat", y)
    return finish(build, dense(build, "head", y, 2, seed=3)), whole(3, 2, 6, 6, seed=4)


@case()
def concat() -> Case:
    """Two branches side by side, read together."""
    build, x = start(3)
    left = relu(build, "left", dense(build, "left.in", x, 2, seed=1))
    right = relu(build, "right", dense(build, "right.in", x, 3, seed=2))
    both = (5,)
    parts = [
        (left, Adjoint(Slice(both, ((0, 2, 1),)))),
        (right, Adjoint(Slice(both, ((2, 5, 1),)))),
        (x, AlongAxis(whole(5, 3, seed=5), (3,), 0)),
    ]
    joint = build.affine("concat", parts, None, with_batch(both))
    y = relu(build, "joint", joint)
    return finish(build, dense(build, "head", y, 2, seed=3)), whole(5, 3, seed=4)


@case()
def diamonds() -> Case:
    """Twelve affine diamonds in a row: 4,096 paths between two nonlinear nodes."""
    build, x = start(2)
    y = relu(build, "first", x)
    half = torch.tensor([[0.5, 0.5], [0.0, 0.5]], dtype=torch.float64)
    for i in range(12):
        left = step(build, f"{i}.left", y, AlongAxis(half, (2,), 0))
        right = step(build, f"{i}.right", y, AlongAxis(half.T.contiguous(), (2,), 0))
        terms = [(left, Identity((2,))), (right, Identity((2,)))]
        y = build.affine(f"{i}.add", terms, torch.ones(2).double(), left.dims)
    return finish(build, relu(build, "last", y)), whole(4, 2, seed=1)


def _pair(first: Value, second: Value) -> tuple[Shape, list[tuple[Value, LinearMap]]]:
    shape = first.shape
    both = (2, *shape)
    rest = tuple((0, n, 1) for n in shape)
    return both, [
        (first, _placed(both, 0, rest)),
        (second, _placed(both, 1, rest)),
    ]


def _placed(
    both: Shape, place: int, rest: tuple[tuple[int, int, int], ...]
) -> LinearMap:
    put = Adjoint(Slice(both, ((place, place + 1, 1), *rest)))
    return composed(Reshape(both[1:], (1, *both[1:])), put)


@case()
def maximum_of_two() -> Case:
    """The entrywise maximum of two dense layers, and a maxout over groups of two."""
    build, x = start(3)
    left, right = (dense(build, f"in{i}", x, 4, seed=i) for i in range(2))
    both, terms = _pair(left, right)
    stacked = build.affine("both", terms, None, with_batch(both))
    y = build.maximum(
        "max", stacked, Groups.along(both, 0), with_batch((4,)), operation="maximum"
    )
    y = step(build, "pairs", y, Reshape((4,), (2, 2)))
    y = build.maximum(
        "maxout", y, Groups.along((2, 2), 1), with_batch((2,)), operation="maxout"
    )
    return finish(build, dense(build, "head", y, 2, seed=3)), whole(5, 3, seed=4)


@case(polyhedral=False)
def smooth() -> Case:
    """Tanh, GELU and a sigmoid after one another."""
    build, x = start(3)
    y = build.smooth("tanh", dense(build, "first", x, 4, seed=1), TANH)
    y = build.smooth("gelu", dense(build, "second", y, 3, seed=2), GELU)
    y = build.smooth("sigmoid", dense(build, "third", y, 3, seed=3), SIGMOID)
    y = relu(build, "relu", dense(build, "fourth", y, 3, seed=4))
    return finish(build, dense(build, "head", y, 2, seed=5)), whole(5, 3, seed=6)


@case(polyhedral=False)
def product() -> Case:
    """A gate: the product of a ReLU and a sigmoid, then a quotient."""
    build, x = start(3)
    left = relu(build, "relu", dense(build, "in1", x, 4, seed=1))
    right = build.smooth("gate", dense(build, "in2", x, 4, seed=2), SIGMOID)
    y = build.coupled("product", [left, right], Product(), left.dims)
    z = build.smooth("below.gate", dense(build, "below", x, 4, seed=3), SIGMOID)
    z = step(build, "shift", z, Identity((4,)), torch.ones(4).double())
    y = build.coupled("quotient", [y, z], Quotient(), y.dims)
    return finish(build, dense(build, "head", y, 2, seed=4)), whole(5, 3, seed=5)


@case(polyhedral=False)
def softmax() -> Case:
    """Softmax with a mask, and a logarithm of a sum of exponentials."""
    build, x = start(4)
    y = dense(build, "first", x, 6, seed=1)
    y = step(build, "rows", y, Reshape((6,), (2, 3)))
    mask = torch.tensor([[0.0, 0.0, -torch.inf], [0.0, 0.0, 0.0]], dtype=torch.float64)
    y = build.coupled("softmax", [y], Softmax(-1, mask), y.dims)
    y = build.coupled("logsumexp", [y], LogSumExp(-1), with_batch((2, 1)))
    y = flat(build, "flat", y)
    return finish(build, dense(build, "head", y, 2, seed=2)), whole(4, 4, seed=3)


@case(polyhedral=False)
def normalise() -> Case:
    """Layer normalisation between dense layers."""
    build, x = start(3)
    y = dense(build, "first", x, 5, seed=1)
    y = build.coupled("normalise", [y], Normalise(1, 1e-5), y.dims)
    y = relu(build, "relu", dense(build, "second", y, 4, seed=2))
    return finish(build, dense(build, "head", y, 2, seed=3)), whole(4, 3, seed=4)


@case(polyhedral=False)
def attention() -> Case:
    """One head of attention on three positions of width two."""
    build, x = start(3, 2)
    query, key, value = (
        step(build, name, x, AlongAxis(whole(2, 2, seed=seed, most=1), (3, 2), 1))
        for seed, name in enumerate(("query", "key", "value"))
    )
    turned = step(build, "turned", key, Permute((3, 2), (1, 0)))
    scores = build.coupled(
        "scores", [query, turned], MatrixProduct(), with_batch((3, 3))
    )
    weights = build.coupled("weights", [scores], Softmax(-1), scores.dims)
    mixed = build.coupled(
        "mixed", [weights, value], MatrixProduct(), with_batch((3, 2))
    )
    y = flat(build, "flat", mixed)
    return finish(build, dense(build, "head", y, 2, seed=4)), whole(4, 3, 2, seed=5)
