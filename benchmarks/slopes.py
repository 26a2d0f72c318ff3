"""Time slopes [10, 3072] of CIFAR images on a trained ResNet20 beside torch's VJPs.

Run: python benchmarks/slopes.py MODEL.onnx IMAGES.npz [--images 64] [--repeats 5]

MODEL is a CIFAR ResNet20 with its normalisation inside and batch norms folded into the
convolutions; IMAGES holds ``x`` [N, 3, 32, 32] of 0 to 255. One thread, one process,
turn by turn; medians. Ours is ``rl.local_affine_map(network, x).slope``, offsets and
all; theirs ten batched vector-Jacobian products after one shared forward pass.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

import relulens as rl
from relulens.graph.convert import converted

GOAL = 1.3


def conv(weights: dict[str, Tensor], name: str, stride: int = 1) -> nn.Conv2d:
    """Return a convolution with weights of the file."""
    kernel = weights[f"{name}.weight"]
    layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, stride, 1)
    layer.weight.data, layer.bias.data = kernel, weights[f"{name}.weight_bias"]
    return layer


class Block(nn.Module):
    """Two convolutions and a shortcut: the identity, or every second pixel, padded."""

    def __init__(self, weights: dict[str, Tensor], name: str, stride: int) -> None:
        """Read the layers."""
        super().__init__()
        self.conv1 = conv(weights, f"{name}.conv1", stride)
        self.conv2 = conv(weights, f"{name}.conv2")
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's value."""
        y = self.conv2(torch.relu(self.conv1(x)))
        if self.stride == 2:
            half = x.shape[1] // 2
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        return torch.relu(y + x)


class ResNet20(nn.Module):
    """The network of the file, written in torch."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """Read the layers."""
        super().__init__()
        self.mean, self.std = weights["mean"], weights["std"]
        self.conv = conv(weights, "net.conv1")
        names = [(f"net.layer{i}.{j}", i, j) for i in (1, 2, 3) for j in range(3)]
        self.blocks = nn.Sequential(
            *(
                Block(weights, name, 2 if i > 1 and j == 0 else 1)
                for name, i, j in names
            )
        )
        self.head = nn.Linear(64, 10)
        self.head.weight.data = weights["net.linear.weight"]
        self.head.bias.data = weights["net.linear.bias"]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = (x - self.mean.to(x)) / self.std.to(x)
        return self.head(self.blocks(torch.relu(self.conv(x))).mean((2, 3)))


def products(module: nn.Module, x: Tensor) -> Tensor:
    """Return the slopes [N, 10, 3072] by ten batched vector-Jacobian products."""
    point = x.clone().requires_grad_(True)
    logits = module(point)
    rows = [
        torch.autograd.grad(logits, point, row.expand_as(logits), retain_graph=True)[0]
        for row in torch.eye(10, dtype=x.dtype)
    ]
    return torch.stack(rows, 1).flatten(2)


def medians(
    ours: Callable[[], Tensor], theirs: Callable[[], Tensor], repeats: int
) -> tuple[float, float]:
    """Return median seconds of both, measured turn by turn after one warm-up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for run, spent in zip((ours, theirs), seconds, strict=True):
            start = time.process_time()
            run()
            if turn:
                spent.append(time.process_time() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    """Measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = rl.load(options.model)
    graph = onnx.load(options.model).graph
    weights = {
        item.name: torch.from_numpy(numpy_helper.to_array(item).copy()).double()
        for item in graph.initializer
    }
    module = ResNet20(weights).eval().requires_grad_(False).double()
    images = np.load(options.data)["x"][: options.images] / 255.0
    rows = []
    print(f"{'type':9}{'ours s':>9}{'torch s':>9}{'ratio':>7}  difference")
    for dtype in (torch.float64, torch.float32):
        typed, module = converted(network, dtype), module.to(dtype)
        x = torch.from_numpy(images).to(dtype)
        found, wanted = rl.local_affine_map(typed, x).slope, products(module, x)
        apart = float((found - wanted).abs().max() / wanted.abs().max())
        ours, theirs = medians(
            lambda t=typed, x=x: rl.local_affine_map(t, x).slope,
            lambda m=module, x=x: products(m, x),
            options.repeats,
        )
        name = str(dtype).removeprefix("torch.")
        print(f"{name:9}{ours:9.3f}{theirs:9.3f}{ours / theirs:7.2f}  {apart:.1e}")
        rows.append({"type": name, "ours_seconds": ours, "torch_seconds": theirs})
    print(json.dumps({"goal_ratio": GOAL, "images": len(images), "rows": rows}))


if __name__ == "__main__":
    main()
