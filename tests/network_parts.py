"""What the table of small networks is made from: builders of single operations."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import (
    AlongAxis,
    Convolution,
    Reshape,
)
from relulens.graph.maps.windows import Windows
from relulens.graph.network import Network, Provenance
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


def case(polyhedral: bool = True) -> Callable[[Factory], Factory]:
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


def mlp(widths: Sequence[int], seed: int = 0) -> Network:
    pairs = pairwise(widths)
    return from_layers([
        (whole(o, i, seed=seed + k), whole(o, seed=seed + k + 50))
        for k, (i, o) in enumerate(pairs)
    ])
