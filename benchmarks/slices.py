"""Time exact slices beside regioncam, on one thread of one process.

Run: python benchmarks/slices.py CASES [--cases a b c d f h1 h2 h3 h4 h6] [--repeats 3]

CASES is a folder of files NAME.npz with weights W0, b0, W1, ... (ReLU between, no cuts
by the last layer) and a box lo, hi. Processor time, the median of the repeats, after
one run that is not counted. --sweep cuts squares of growing size by a random
network and prints microseconds a cell and the peak of memory. regioncam
(benchmarks/peers.txt) works in float32 and is left out if it is not installed.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import relulens as rl

GOALS = {"a": 1.5, "b": 7.8, "c": 6.3, "d": 5.3, "f": 14.6}
COUNTS = {
    "a": 872, "b": 4630, "c": 41943, "d": 9379, "f": 6291, "h1": 13772, "h2": 18133,
    "h3": 116, "h4": 79, "h6": 21358,
}  # fmt: skip


def timed(run: Callable[[], int], repeats: int) -> tuple[int, float]:
    """Return a count and the median of the processor seconds."""
    run()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        count = run()
        taken.append(time.process_time() - start)
    return count, statistics.median(taken)


def ours(layers: list, low: np.ndarray, high: np.ndarray) -> Callable[[], int]:
    """Return a run of relulens."""
    network = rl.from_layers(layers)
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    (a, b), (c, d) = low, high
    corners = [[a, b], [c, b], [c, d], [a, d]]
    return lambda: rl.slice_partition(network, plane, corners).count


def theirs(layers: list, low: np.ndarray, high: np.ndarray) -> Callable[[], int]:
    """Return a run of regioncam; the box is moved to its square [-1, 1]."""
    import regioncam

    half, middle = (high - low) / 2, (high + low) / 2
    (first, bias), *rest = layers
    moved = [(first * half, bias + first @ middle), *rest]
    single = [
        (np.ascontiguousarray(w.T, np.float32), b.astype(np.float32)) for w, b in moved
    ]

    def run() -> int:
        camera = regioncam.Regioncam(size=1)
        for weight, offset in single[:-1]:
            camera.linear(weight, offset)
            camera.relu()
        return camera.num_faces

    return run


def sweep() -> list[dict[str, float]]:
    """Return cells, microseconds and peak bytes a cell, from 10^3 to 10^6 cells."""
    generator = np.random.default_rng(0)
    widths = (2, 512, 512, 512, 1)
    layers = [
        (generator.normal(size=(m, n)) * (2 / n) ** 0.5, generator.normal(size=m) / 2)
        for n, m in pairwise(widths)
    ]
    rows = []
    for half in (0.024, 0.081, 0.267, 4.3):
        run = ours(layers, np.array([-half, -half]), np.array([half, half]))
        if not rows:
            run()
        start = time.process_time()
        count = run()
        taken = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        rows.append({"cells": count, "us": 1e6 * taken / count, "peak": peak})
        print(f"{count:8} cells {rows[-1]['us']:8.2f} us a cell {peak / 1e9:6.2f} GB")
    return rows


def main() -> None:
    """Measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", nargs="*", default=list(COUNTS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sweep", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.sweep:
        with threadpool_limits(1):
            print(json.dumps({"sweep": sweep()}))
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Time the cases that were asked for beside regioncam."""
    peer = find_spec("regioncam") is not None
    if not peer:
        print("regioncam is not installed: left out (benchmarks/peers.txt)")
    rows = []
    with threadpool_limits(1):
        for name in options.cases:
            case = np.load(options.folder / f"{name}.npz")
            depth = sum(file.startswith("W") for file in case.files)
            layers = [(case[f"W{i}"], case[f"b{i}"]) for i in range(depth)]
            box = case["lo"], case["hi"]
            count, seconds = timed(ours(layers, *box), options.repeats)
            row = {"case": name, "wanted": COUNTS[name], "count": count}
            row |= {"seconds": seconds}
            line = f"{name:3}{COUNTS[name]:7}{count:7}{seconds * 1e3:9.1f} ms"
            if peer:
                other, slow = timed(theirs(layers, *box), options.repeats)
                row |= {"peer": other, "peer_seconds": slow, "ratio": slow / seconds}
                goal = f" (goal {GOALS[name]})" if name in GOALS else ""
                line += f" | {other:7}{slow * 1e3:9.1f} ms | {slow / seconds:.1f} x"
                line += goal
            print(line, flush=True)
            rows.append(row)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
