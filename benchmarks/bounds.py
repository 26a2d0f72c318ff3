"""Time output bounds beside a plain CROWN, and the sensitivity of ResNet20.

Run: python benchmarks/bounds.py [--repeats 5] [--resnet MODEL.onnx]

A 784-256-256-10 network with torch's default weights, one input from U[0, 1]. The plain
CROWN is written here from the paper, in torch, on the same weights in float64: it does
nothing about rounding and refines every unit. One thread, processor time.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

import relulens as rl

RADII = (0.01, 0.03, 0.05, 0.1)


def layers_of(module: nn.Sequential) -> list[tuple[Tensor, Tensor]]:
    """Return weights and biases of the dense layers."""
    return [(m.weight, m.bias) for m in module if isinstance(m, nn.Linear)]


def plain_crown(
    layers: list[tuple[Tensor, Tensor]], low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Return bounds of the last layer, every earlier one bounded in the same way."""
    known: list[tuple[Tensor, Tensor]] = []
    for depth in range(1, len(layers) + 1):
        known.append(carried_back(layers[:depth], known, low, high))
    return known[-1]


def carried_back(
    layers: list[tuple[Tensor, Tensor]],
    known: list[tuple[Tensor, Tensor]],
    low: Tensor,
    high: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return bounds of the last of some layers, with those of the others."""
    weight, bias = layers[-1]
    ends: list[Tensor] = []
    for sign in (1, -1):
        rows, constant = sign * weight, sign * bias
        for (least, most), (inner, offset) in zip(
            reversed(known), reversed(layers[:-1]), strict=True
        ):
            across = (least < 0) & (most > 0)
            on = (least >= 0).double()
            chord = torch.where(across, most / (most - least), on)
            below = torch.where(across, (most >= -least).double(), on)
            over, under = rows.clamp(min=0), rows.clamp(max=0)
            constant = constant - under @ (chord * least * across)
            rows = over * below + under * chord
            constant, rows = constant + rows @ offset, rows @ inner
        end = rows.clamp(min=0) @ low + rows.clamp(max=0) @ high + constant
        ends.append(sign * end)
    return ends[0], ends[1]


def timed(
    run: Callable[[], tuple[Tensor, Tensor]], repeats: int
) -> tuple[Tensor, Tensor, float]:
    """Return bounds and the least processor seconds they took."""
    best = float("inf")
    low, high = run()
    for _ in range(repeats):
        start = time.process_time()
        low, high = run()
        best = min(best, time.process_time() - start)
    return low, high, best


def row(
    network: rl.Network,
    layers: list[tuple[Tensor, Tensor]],
    x: Tensor,
    radius: float,
    repeats: int,
) -> dict[str, object]:
    """Compare the two at one radius."""
    low, high = x - radius, x + radius

    def ours(method: str) -> tuple[Tensor, Tensor]:
        found = rl.output_bounds(network, x, radius, method=method)
        return found.lower[0], found.upper[0]

    _, _, first = timed(lambda: ours("interval"), repeats)
    boxes = ours("interval")
    lower, upper, mine = timed(lambda: ours("relaxation"), repeats)
    least, most, theirs = timed(lambda: plain_crown(layers, low[0], high[0]), repeats)
    looser = float(torch.maximum(least - lower, upper - most).max())
    made: dict[str, object] = {
        "radius": radius,
        "interval": float((boxes[1] - boxes[0]).mean()),
        "interval_ms": 1e3 * first,
        "relaxation": float((upper - lower).mean()),
        "relaxation_ms": 1e3 * mine,
        "plain": float((most - least).mean()),
        "plain_ms": 1e3 * theirs,
        "looser_by_at_most": looser,
        "time_ratio": mine / theirs,
    }
    print(
        f"{radius:5}: interval {made['interval']:.4g} in {1e3 * first:.1f} ms,"
        f" relaxation {made['relaxation']:.4g} in {1e3 * mine:.1f} ms, plain CROWN"
        f" {made['plain']:.4g} in {1e3 * theirs:.1f} ms: {mine / theirs:.2f} x its"
        f" time, looser by {looser:.1e} at most"
    )
    return made


def main() -> None:
    """Measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--resnet", help="an ONNX file of a ResNet20")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sizes = (784, 256, 256, 10)
    modules: list[nn.Module] = []
    for first, second in pairwise(sizes):
        modules += [nn.Linear(first, second), nn.ReLU()]
    module = nn.Sequential(*modules[:-1]).double().requires_grad_(False)
    layers = layers_of(module)
    network = rl.from_layers([(w.numpy(), b.numpy()) for w, b in layers])
    x = torch.rand(1, 784, dtype=torch.float64)
    rows = [row(network, layers, x, radius, options.repeats) for radius in RADII]
    found: dict[str, object] = {"rows": rows}
    if options.resnet:
        resnet = rl.load(options.resnet, dtype=torch.float64)
        rl.sensitivity(resnet)
        start = time.process_time()
        table = rl.sensitivity(resnet)
        found["resnet20_seconds"] = time.process_time() - start
        print(f"{table}: {found['resnet20_seconds']:.3f} s")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
