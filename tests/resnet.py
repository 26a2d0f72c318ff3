"""ResNet20 for inputs [3, 32, 32], with random weights."""

import torch
from networks import dense, finish, relu, start, step, windows

from relulens.graph.maps import (
    Convolution,
    Identity,
    Reshape,
    Scale,
    SumOver,
    composed,
)
from relulens.graph.network import Network
from relulens.importers.builder import Builder
from relulens.importers.values import Value

_WIDTHS = (16, 16, 16, 32, 32, 32, 64, 64, 64)


def _convolved(
    build: Builder, name: str, x: Value, outs: int, size: int, stride: int
) -> Value:
    """Add a convolution and a batch norm."""
    shape = (outs, x.shape[0], size, size)
    weight = torch.randn(shape, dtype=torch.float64) / (shape[1] * size * size) ** 0.5
    kernel = windows((size, size), stride, size // 2)
    y = step(build, f"{name}.conv", x, Convolution(weight, x.shape, kernel))
    factor = 0.5 + torch.rand(outs, 1, 1, dtype=torch.float64)
    bias = torch.randn(outs, 1, 1, dtype=torch.float64) / 3
    return step(build, f"{name}.norm", y, Scale(factor, y.shape), bias)


def resnet20() -> Network:
    """Return the network of the paper with projected shortcuts, state size 188,416."""
    build, x = start(3, 32, 32)
    y = relu(build, "first", _convolved(build, "first", x, 16, 3, 1))
    for i, width in enumerate(_WIDTHS):
        stride = 1 if y.shape[0] == width else 2
        z = relu(build, f"{i}.a", _convolved(build, f"{i}.a", y, width, 3, stride))
        z = _convolved(build, f"{i}.b", z, width, 3, 1)
        if stride == 2:
            y = _convolved(build, f"{i}.short", y, width, 1, 2)
        same = Identity(z.shape)
        y = relu(
            build,
            f"{i}.b",
            build.affine(f"{i}.add", [(z, same), (y, same)], None, z.dims),
        )
    sums = SumOver(y.shape, (1, 2))
    share = Scale(torch.tensor(1 / 64).double(), sums.out_shape)
    y = step(build, "mean", y, composed(sums, share, Reshape((64, 1, 1), (64,))))
    return finish(build, dense(build, "head", y, 10))
