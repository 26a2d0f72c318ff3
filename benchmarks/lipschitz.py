"""Lipschitz brackets and certified radii: gaps, process times, a check by samples."""

import math
import time
from itertools import pairwise

import numpy as np
import torch

import relulens as rl

BUDGET = 60.0
SAMPLES = 1_000_000
CASES = (
    (2, 100, 100, 1),
    (2, 50, 50, 50, 50, 3),
    (3, 32, 32, 1),
    (4, 32, 32, 3),
    (4, 64, 1),
    (5, 16, 16, 1),
    (6, 16, 16, 1),
    (6, 32, 3),
)


def network(sizes: tuple[int, ...], seed: int = 0) -> rl.Network:
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    pairs = [(part.weight.detach(), part.bias.detach()) for part in layers]
    return rl.from_layers([(w.double(), b.double()) for w, b in pairs])


def steepest_sample(net: rl.Network, norm: object, count: int) -> float:
    source = torch.Generator().manual_seed(1)
    most = 0.0
    for _ in range(0, count, 50_000):
        shape = (50_000, *net.input_shape)
        x = 2 * torch.rand(shape, generator=source, dtype=torch.float64) - 1
        most = max(most, float(rl.local_lipschitz(net, x, norm).max()))
    return most


def whole_boxes(samples: int) -> None:
    print("box [-1, 1]: lower, upper, gap, CPU s, steepest sample, method")
    for sizes in CASES:
        net = network(sizes)
        for norm in (1, 2, "inf"):
            start = time.process_time()
            found = rl.lipschitz_bounds(net, rl.Box(-1, 1), norm, budget=BUDGET)
            spent = time.process_time() - start
            sample = steepest_sample(net, norm, samples)
            mark = "" if sample <= found.upper else " VIOLATED"
            print(
                f"{'-'.join(map(str, sizes)):16s} {norm!s:4s} {found.lower:.5f}"
                f" {found.upper:.5f} {found.gap:.4f} {spent:6.2f} {sample:.5f}{mark}"
                f" {found.method}",
                flush=True,
            )


def plain_interval_slopes(net: rl.Network, low: np.ndarray, high: np.ndarray) -> float:
    """Return the bound of interval arithmetic for output 1, written out by hand."""
    weights = [
        node.terms[0].map.to_dense().numpy()
        for node in net.nodes
        if type(node).__name__ == "Affine"
    ]
    biases = [
        node.bias.numpy() for node in net.nodes if type(node).__name__ == "Affine"
    ]
    masks = []
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        middle = weight @ ((low + high) / 2) + bias
        spread = np.abs(weight) @ ((high - low) / 2)
        low, high = middle - spread, middle + spread
        masks.append((low > 0, high > 0))
        low, high = np.maximum(low, 0), np.maximum(high, 0)
    least = most = weights[-1][1]
    for weight, (on, open_) in zip(weights[-2::-1], masks[::-1], strict=True):
        least = np.where(on, least, np.where(open_, np.minimum(least, 0), 0))
        most = np.where(on, most, np.where(open_, np.maximum(most, 0), 0))
        centre = weight.T @ ((least + most) / 2)
        spread = np.abs(weight).T @ ((most - least) / 2)
        least, most = centre - spread, centre + spread
    return float(np.maximum(np.abs(least), np.abs(most)).sum())


def wide_network() -> None:
    print("784-256-256-10, output 1, norm inf: plain intervals, interval, upper, CPU s")
    net = network((784, 256, 256, 10))
    x = torch.rand(784, dtype=torch.float64)
    for radius in (0.01, 0.03, 0.05, 0.1):
        low, high = x - radius, x + radius
        plain = plain_interval_slopes(net, low.numpy(), high.numpy())
        start = time.process_time()
        found = rl.lipschitz_bounds(
            net, rl.Box(low, high), "inf", outputs=[1], budget=0
        )
        spent = time.process_time() - start
        print(
            f"{radius:5.2f} {plain:8.2f} {found.interval:8.2f} {found.upper:8.2f}"
            f" {spent:5.2f} (lower {found.lower:.3f})",
            flush=True,
        )


def radii() -> None:
    print("certified radii: inputs exact, median radius, CPU s an input, regions")
    for sizes in ((2, 32, 32, 3), (5, 16, 16, 3), (10, 16, 16, 4)):
        net = network(sizes)
        x = 2 * torch.rand((8, sizes[0]), dtype=torch.float64) - 1
        for norm in (1, 2, "inf"):
            start = time.process_time()
            found = rl.certified_radius(net, x, norm, budget=20.0)
            spent = (time.process_time() - start) / len(x)
            name = "-".join(map(str, sizes))
            finite = found.upper[torch.isfinite(found.upper)]
            middle = float(finite.median()) if len(finite) else math.inf
            print(
                f"{name:12s} {norm!s:4s} {int(found.complete.sum())}"
                f" of {len(x)} {middle:.4f} {spent:.3f} {int(found.regions.sum())}",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    wide_network()
    radii()
    whole_boxes(SAMPLES)
