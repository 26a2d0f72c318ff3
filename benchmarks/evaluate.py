"""Time evaluation and slopes of a ResNet20 beside torch's forward pass and VJPs.

Run: python benchmarks/evaluate.py [--images 64] [--repeats 5] [--out FILE.json]

One thread, one process; ours and torch turn by turn, medians of the repeats, wall time.
The slopes [10, 3072] of every image are ten weights pulled back by ours, against ten
batched vector-Jacobian products of torch, which share one forward pass; the module's
parameters need no gradient, so torch computes none for them.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import relulens as rl
from relulens.graph.convert import converted
from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.graph.tangent import adjoint

WIDTHS = (16, 16, 16, 32, 32, 32, 64, 64, 64)
GOAL = 1.3


class Block(nn.Module):
    """Two convolutions and a shortcut: the identity, or every second pixel, padded."""

    def __init__(self, ins: int, outs: int) -> None:
        """Make the layers."""
        super().__init__()
        self.stride = 1 if ins == outs else 2
        self.conv1 = nn.Conv2d(ins, outs, 3, self.stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outs)
        self.extra = outs - ins

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's value."""
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.stride == 2:
            half = self.extra // 2
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        return torch.relu(y + x)


class ResNet20(nn.Module):
    """The network of the paper for inputs [3, 32, 32], with random weights."""

    def __init__(self) -> None:
        """Make the layers, and batch norms with uneven statistics."""
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        pairs = zip((16, *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(Block(ins, outs) for ins, outs in pairs))
        self.head = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        y = self.blocks(torch.relu(self.norm(self.conv(x))))
        return self.head(y.mean((2, 3)))


def medians(
    ours: Callable[[], Tensor], theirs: Callable[[], Tensor], repeats: int
) -> tuple[float, float]:
    """Return median seconds of both, measured turn by turn after one warm-up."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for run, spent in zip((ours, theirs), seconds, strict=True):
            start = time.perf_counter()
            run()
            if turn:
                spent.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def slopes(network: Network, x: Tensor) -> Tensor:
    """Return all slopes [N, 10, 3, 32, 32] by one frozen pass and one adjoint."""
    frozen = freeze(network, x, network.output)
    weights = torch.eye(10, dtype=x.dtype).repeat(x.shape[0], 1)
    return adjoint(frozen, weights).unflatten(0, (x.shape[0], 10))


def products(module: nn.Module, x: Tensor) -> Tensor:
    """Return the same by ten batched vector-Jacobian products."""
    point = x.clone().requires_grad_(True)
    logits = module(point)
    unit = torch.eye(10, dtype=x.dtype)
    rows = [
        torch.autograd.grad(logits, point, row.expand_as(logits), retain_graph=True)[0]
        for row in unit
    ]
    return torch.stack(rows, 1)


def logits(module: nn.Module, x: Tensor) -> Tensor:
    """Return torch's forward pass without a graph."""
    with torch.no_grad():
        return module(x)


def difference(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference over the largest entry."""
    return float((found - wanted).abs().max() / wanted.abs().max())


def compared(
    module: nn.Module, network: Network, images: int, repeats: int
) -> list[dict[str, object]]:
    """Return one row a task for one type of number."""
    x = torch.rand(images, 3, 32, 32, dtype=network.dtype)
    tasks = (
        ("evaluate", lambda: rl.evaluate(network, x), lambda: logits(module, x)),
        ("slopes", lambda: slopes(network, x), lambda: products(module, x)),
    )
    rows: list[dict[str, object]] = []
    for task, ours, theirs in tasks:
        apart = difference(ours().to(network.dtype), theirs())
        mine, torchs = medians(ours, theirs, repeats)
        rows.append({
            "task": task,
            "type": str(network.dtype).removeprefix("torch."),
            "images": images,
            "ours_seconds": round(mine, 4),
            "torch_seconds": round(torchs, 4),
            "ratio": round(mine / torchs, 3),
            "relative_difference": apart,
        })
    return rows


def main() -> None:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = ResNet20().eval().requires_grad_(False).double()
    network = rl.from_torch(module, torch.rand(2, 3, 32, 32, dtype=torch.float64))
    rows: list[dict[str, object]] = []
    for dtype in (torch.float64, torch.float32):
        typed = converted(network, dtype)
        rows += compared(module.to(dtype), typed, options.images, options.repeats)
    print(f"{'task':10}{'type':9}{'ours s':>9}{'torch s':>9}{'ratio':>7}  difference")
    for row in rows:
        print(
            f"{row['task']:10}{row['type']:9}{row['ours_seconds']:9.3f}"
            f"{row['torch_seconds']:9.3f}{row['ratio']:7.2f}"
            f"  {row['relative_difference']:.1e}"
        )
    found = {
        "goal_ratio": GOAL,
        "rows": rows,
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
    }
    print(json.dumps(found))
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
