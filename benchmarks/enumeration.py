"""Time enumerations of linear regions, facets, lines and pattern distances.

Run: python benchmarks/enumeration.py CASES [--model M.onnx --images X.npz] [--repeat 3]

CASES is a folder of a.npz, e.npz, … with W0, b0, W1, …, lo and hi. One thread; the
processor time of the best repeat, compilation excluded. The times beside ours are the
best public tool's for vertices, edges and cells of the same case, measured on another
2.5 GHz core of this kind, so their ratio is a guide.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

import relulens as rl
from relulens.graph.network import Network

PUBLIC = {"a": 0.0026, "e": 0.43, "g": 0.26, "i6": 12.6}
FACETS_PUBLIC = 263.0


def standard(path: Path) -> tuple[Network, rl.Box]:
    """Return a case's network and box."""
    table = np.load(path)
    pairs = []
    while f"W{len(pairs)}" in table.files:
        pairs.append((table[f"W{len(pairs)}"], table[f"b{len(pairs)}"]))
    return rl.from_layers(pairs), rl.Box(table["lo"], table["hi"])


def best(run: Callable[[], object], repeat: int) -> tuple[float, object]:
    """Return the least processor time and the last result."""
    times = []
    result = run()
    for _ in range(repeat):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
    return min(times), result


def wide_network() -> Network:
    """Return 784-256-256-10 with PyTorch's initial weights."""
    torch.manual_seed(4)
    sizes = [(784, 256), (256, 256), (256, 10)]
    layers = [torch.nn.Linear(*size).double() for size in sizes]
    return rl.from_layers([(m.weight.detach(), m.bias.detach()) for m in layers])


def around_one_input(repeat: int) -> dict[str, object]:
    """Time facets, a line and a ball of a wide network."""
    rows: dict[str, object] = {}
    network = wide_network()
    x = np.random.default_rng(0).random((2, 784))
    seconds, facets = best(
        lambda: rl.region_polytope(network, x[:1])[0].facets(), repeat
    )
    rows["facets"] = {"facets": len(facets), "seconds": seconds}
    ratio = FACETS_PUBLIC / seconds
    print(f"facets of one region: {len(facets)} in {seconds:.3f} s  {ratio:.0f} x")
    seconds, line = best(lambda: rl.regions_on_segment(network, x[0], x[1]), repeat)
    rows["line"] = {"regions": line.count, "seconds": seconds}
    print(f"line: {line} in {seconds:.4f} s")
    seconds, ball = best(lambda: rl.regions_in_ball(network, x[:1], 0.01), 1)
    rows["ball"] = {"regions": ball.lower, "seconds": seconds}
    print(f"ball of radius .01: {ball} in {seconds:.2f} s")
    return rows


def initial(seed: int, *sizes: int) -> Network:
    """Return a network with PyTorch's initial weights."""
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(*size) for size in pairwise(sizes)]
    return rl.from_layers([
        (m.weight.detach().double(), m.bias.detach().double()) for m in layers
    ])


def by_programs(repeat: int) -> dict[str, object]:
    """Time enumerations by linear programs, with many inputs; public: 1.3 ms."""
    rows: dict[str, object] = {}
    for seed, sizes, most in (
        (18, (8, 12, 12, 1), None),
        (0, (10, 24, 24, 1), 100_000),
        (0, (12, 16, 16, 1), 100_000),
        (0, (16, 20, 20, 1), 100_000),
    ):
        network = initial(seed, *sizes)
        seconds, found = best(
            lambda n=network, m=most: rl.linear_regions(n, rl.Box(-1, 1), budget=m),
            repeat,
        )
        each = 1e3 * seconds / found.count
        name = "-".join(map(str, sizes))
        rows[name] = {"regions": found.count, "milliseconds": each}
        print(f"{name}: {found} in {seconds:.3f} s, {each:.4f} ms each")
    return rows


def main() -> None:
    """Measure and print a line a case, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, object] = {}
    for name in ("a", "e", "g", "h3", "h4", "i6"):
        network, box = standard(options.cases / f"{name}.npz")
        seconds, found = best(
            lambda n=network, b=box: rl.linear_regions(n, b), options.repeat
        )
        ratio = PUBLIC[name] / seconds if name in PUBLIC else float("nan")
        rows[name] = {"regions": found.count, "seconds": seconds, "ratio": ratio}
        print(f"{name:3} {found.count:7} regions {seconds:8.4f} s  {ratio:6.1f} x")
    rows |= by_programs(options.repeat)
    rows |= around_one_input(options.repeat)
    if options.model is not None and options.images is not None:
        network = rl.load(options.model)
        images = np.load(options.images)["x"][:2] / 255.0
        start = time.process_time()
        line = rl.regions_on_segment(network, images[0], images[1])
        seconds = time.process_time() - start
        rows["model"] = {"regions": line.count, "seconds": seconds}
        print(f"{options.model.name}: {line} in {seconds:.1f} s")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
