"""Small networks with small-integer weights: a table from a name to a factory.

``NETWORKS[name]()`` gives a network and inputs [N, *input_shape]; numbers are whole (or
halves), so that float64 is exact and results compare with ``==``. ``POLYHEDRAL`` lists
the names without Smooth and Coupled nodes.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
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
from relulens.graph.network import Network, Provenance
from relulens.graph.smooth import GELU, SIGMOID, TANH
from relulens.importers.builder import Builder, with_batch
from relulens.importers.layers import from_layers
from relulens.importers.values import Value

Case: TypeAlias = tuple[Network, Tensor]
Ranges: TypeAlias = tuple[tuple[int, int, int], ...]
Factory: TypeAlias = Callable[[], Case]
NETWORKS: dict[str, Factory] = {}
POLYHEDRAL: list[str] = []


def whole(*shape: int, seed: int = 0, most: int = 3) -> Tensor:
    """Return whole numbers between ``-most`` and ``most`` as float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, shape, generator=generator).double()


def _network(polyhedral: bool = True) -> Callable[[Factory], Factory]:
    def register(factory: Factory) -> Factory:
        name = factory.__name__
        NETWORKS[name] = factory
        if polyhedral:
            POLYHEDRAL.append(name)
        return factory

    return register


def windows(
    size: Sequence[int],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> Windows:
    """Return windows with the same numbers along every axis."""
    rank = len(size)
    return Windows(
        tuple(size),
        (stride,) * rank,
        ((padding, padding),) * rank,
        (dilation,) * rank,
        ceil_mode,
    )


def start(*shape: int) -> tuple[Builder, Value]:
    """Return a builder and its input."""
    build = Builder()
    return build, build.input("input", with_batch(shape))


def finish(build: Builder, output: Value) -> Network:
    """Return the network that ends at a value."""
    return build.network(output, provenance=Provenance(format="layers"))


def step(
    build: Builder, name: str, x: Value, map_: LinearMap, bias: Tensor | None = None
) -> Value:
    """Add an affine node of one term, and let its name stand for it."""
    build.parameters = (
        (f"{name}.weight",)
        if bias is None
        else (
            f"{name}.weight",
            f"{name}.bias",
        )
    )
    value = build.affine(name, [(x, map_)], bias, with_batch(map_.out_shape))
    build.parameters = ()
    build.cut(name, value)
    return value


def dense(build: Builder, name: str, x: Value, outs: int, seed: int = 0) -> Value:
    """Add a dense layer with whole weights on a flat value."""
    (ins,) = x.shape
    weight = AlongAxis(whole(outs, ins, seed=seed), x.shape, 0)
    return step(build, name, x, weight, whole(outs, seed=seed + 100))


def flat(build: Builder, name: str, x: Value) -> Value:
    """Flatten a value."""
    size = int(torch.Size(x.shape).numel())
    return step(build, name, x, Reshape(x.shape, (size,)))


def conv(
    build: Builder, name: str, x: Value, outs: int, kernel: Windows, seed: int = 0
) -> Value:
    """Add a convolution with whole weights."""
    weight = whole(outs, x.shape[0], *kernel.size, seed=seed)
    map_ = Convolution(weight, x.shape, kernel)
    bias = whole(outs, *[1] * kernel.rank, seed=seed + 100)
    return step(build, name, x, map_, bias)


def relu(build: Builder, name: str, x: Value) -> Value:
    """Add a ReLU."""
    return build.two_slope(name, x, 0.0, operation="relu")


def _mlp(widths: Sequence[int], seed: int = 0) -> Network:
    pairs = pairwise(widths)
    return from_layers([
        (whole(o, i, seed=seed + k), whole(o, seed=seed + k + 50))
        for k, (i, o) in enumerate(pairs)
    ])


@_network()
def one_unit() -> Case:
    """``relu(x)``, also at its kink."""
    network = from_layers([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    return network, torch.tensor([[-2.0], [0.0], [3.0]], dtype=torch.float64)


@_network()
def dead_unit() -> Case:
    """Three units, one off and one on wherever the samples lie."""
    first = [[1.0, 2.0], [1.0, 1.0], [1.0, -1.0]]
    network = from_layers([(first, [-1.0, -90.0, 90.0]), (whole(2, 3), whole(2))])
    return network, whole(4, 2, seed=1)


@_network()
def unread_unit() -> Case:
    """A unit that the output multiplies by zero."""
    network = from_layers([
        ([[1.0, 2.0], [2.0, -1.0]], [0.0, 1.0]),
        ([[1.0, 0.0], [-1.0, 0.0]], [0.0, 0.0]),
    ])
    return network, whole(4, 2, seed=1)


@_network()
def duplicate_hyperplane() -> Case:
    """Units with one hyperplane, once the other way round."""
    first = [[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0], [1.0, 0.0]]
    network = from_layers([(first, [-1.0, -2.0, 1.0, 0.0]), (whole(2, 4), None)])
    return network, whole(5, 2, seed=3)


@_network()
def unit_on_the_point() -> Case:
    """A sample exactly on the hyperplanes of two units."""
    first = [[1.0, -1.0], [1.0, 1.0], [2.0, 1.0]]
    network = from_layers([(first, [0.0, -2.0, 1.0]), (whole(2, 3, seed=4), None)])
    return network, torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)


@_network()
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


@_network()
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


@_network()
def max_pool() -> Case:
    """Convolution, ReLU, max-pool, dense; the last sample is blank, so it ties."""
    return _pooled(windows((2, 2), 2), 6, _images(3, 6))


@_network()
def ragged_max_pool() -> Case:
    """A max-pool with padding, overlap and ceil mode."""
    return _pooled(windows((3, 3), 2, 1, 1, True), 6, _images(3, 6))


@_network()
def leaky() -> Case:
    """A leaky ReLU with slope one quarter."""
    build, x = start(3)
    y = dense(build, "first", x, 4, seed=1)
    y = build.two_slope("leaky", y, 0.25, operation="leaky_relu")
    return finish(build, dense(build, "head", y, 2, seed=2)), whole(5, 3, seed=3)


@_network()
def parametric() -> Case:
    """A PReLU with a slope a channel, one of them negative, one above one."""
    build, x = start(1, 4, 4)
    y = conv(build, "conv", x, 3, windows((3, 3)), seed=1)
    slopes = torch.tensor([0.5, -0.25, 2.0], dtype=torch.float64).reshape(3, 1, 1)
    y = build.two_slope("prelu", y, slopes, operation="prelu")
    y = flat(build, "flat", y)
    return finish(build, dense(build, "head", y, 2, seed=2)), whole(4, 1, 4, 4, seed=3)


@_network()
def absolute_value() -> Case:
    """``|x|`` of a dense layer."""
    build, x = start(2)
    y = dense(build, "first", x, 3, seed=1)
    y = build.two_slope("abs", y, -1.0, operation="abs")
    return finish(build, dense(build, "head", y, 2, seed=2)), whole(5, 2, seed=3)


@_network()
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


@_network()
def bottleneck() -> Case:
    """Widths 5, 2, 5: slopes have rank two at most."""
    return _mlp((5, 2, 5, 3), seed=1), whole(5, 5, seed=2)


@_network()
def wide() -> Case:
    """Two inputs, thirty units."""
    return _mlp((2, 30, 2), seed=3), whole(5, 2, seed=2)


@_network()
def deep() -> Case:
    """Eight layers of three units."""
    return _mlp((3, *[3] * 8, 2), seed=4), whole(4, 3, seed=2)


@_network()
def plain_affine() -> Case:
    """No nonlinear operation at all."""
    return from_layers([(whole(2, 3), whole(2))]), whole(4, 3, seed=2)


@_network()
def conv_avgpool() -> Case:
    """Convolutions, an average pool of 2 by 2, a global one, dense."""
    build, x = start(2, 6, 6)
    y = relu(build, "relu1", conv(build, "conv1", x, 3, windows((3, 3), 1, 1), seed=1))
    y = step(build, "average", y, AveragePool(y.shape, windows((2, 2), 2)))
    y = relu(build, "relu2", conv(build, "conv2", y, 4, windows((2, 2)), seed=2))
    y = step(build, "global", y, AveragePool(y.shape, windows((2, 2), 2)))
    y = flat(build, "flat", y)
    return finish(build, dense(build, "head", y, 2, seed=3)), whole(3, 2, 6, 6, seed=4)


@_network()
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


@_network()
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


@_network()
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


@_network(polyhedral=False)
def smooth() -> Case:
    """Tanh, GELU and a sigmoid after one another."""
    build, x = start(3)
    y = build.smooth("tanh", dense(build, "first", x, 4, seed=1), TANH)
    y = build.smooth("gelu", dense(build, "second", y, 3, seed=2), GELU)
    y = build.smooth("sigmoid", dense(build, "third", y, 3, seed=3), SIGMOID)
    y = relu(build, "relu", dense(build, "fourth", y, 3, seed=4))
    return finish(build, dense(build, "head", y, 2, seed=5)), whole(5, 3, seed=6)


@_network(polyhedral=False)
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


@_network(polyhedral=False)
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


@_network(polyhedral=False)
def normalise() -> Case:
    """Layer normalisation between dense layers."""
    build, x = start(3)
    y = dense(build, "first", x, 5, seed=1)
    y = build.coupled("normalise", [y], Normalise(1, 1e-5), y.dims)
    y = relu(build, "relu", dense(build, "second", y, 4, seed=2))
    return finish(build, dense(build, "head", y, 2, seed=3)), whole(4, 3, seed=4)


@_network(polyhedral=False)
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
