"""How far twins are from the farthest: exact on small cases, many restarts on larger.

Run: python benchmarks/twins.py [--small 60] [--large 6] [--restarts 200] [--seed 0]. On
small layers the farthest point of x's piece inside the box is found by listing all
vertices, which shares no code with the package; on larger ones by many more starts of
the same search in the same run, so that this is a lower bound of the optimum only.
"""

import argparse
import time
from itertools import combinations

import numpy as np
from threadpoolctl import threadpool_limits

import relulens as rl

LARGE = ((60, 200), (150, 450))


def farthest_vertex(
    weight: np.ndarray, bias: np.ndarray, x: np.ndarray, low: float, high: float
) -> float:
    """Return the largest distance of a vertex of x's piece in the box."""
    n = x.size
    z = weight @ x + bias
    equal, level = weight[z > 0], (weight @ x)[z > 0]
    below = np.concatenate([weight[z <= 0], np.eye(n), -np.eye(n)])
    right = np.concatenate([-bias[z <= 0], np.full(n, high), np.full(n, -low)])
    best = 0.0
    for places in combinations(range(len(below)), n - len(equal)):
        rows = np.concatenate([equal, below[list(places)]])
        if np.linalg.matrix_rank(rows) < n:
            continue
        point = np.linalg.solve(rows, np.concatenate([level, right[list(places)]]))
        if (below @ point <= right + 1e-9).all():
            best = max(best, float(np.linalg.norm(point - x)))
    return best


def small(count: int, seed: int) -> None:
    """Print the worst share of the exact optimum over random small layers."""
    generator = np.random.default_rng(seed)
    shares, differences = [], []
    while len(shares) < count:
        n, m = 5, 9
        weight = generator.standard_normal((m, n))
        x = generator.uniform(0, 1, n)
        order = np.sort(weight @ x)
        active = int(generator.integers(1, 3))
        bias = np.full(m, -(order[m - active - 1] + order[m - active]) / 2)
        network = rl.from_layers([(weight, bias), (np.ones((1, m)), None)])
        found = rl.twin(network, x[None], layer=0, domain=rl.Box(0, 1))[0]
        best = farthest_vertex(weight, bias, x, 0.0, 1.0)
        shares.append(found.distance / best)
        differences.append(found.difference)
    shares = np.array(shares)
    print(
        f"{count} layers 5 to 9, seed {seed}: distance over the exact optimum"
        f" {shares.min():.4f} at worst, {(shares >= 0.95).mean():.1%} within 5 %,"
        f" features differ by {max(differences):.1e} relative at most"
    )


def large(count: int, restarts: int, seed: int) -> None:
    """Print the share of what many restarts find."""
    generator = np.random.default_rng(seed)
    for n, m in LARGE:
        shares, spent = [], [0.0, 0.0]
        for _ in range(count):
            weight = generator.standard_normal((m, n)) / np.sqrt(n)
            x = generator.uniform(0, 1, n)
            order = np.sort(weight @ x)
            bias = np.full(m, -order[m - n // 2] + 1e-6)
            network = rl.from_layers([(weight, bias), (np.ones((1, m)), None)])
            lengths = []
            for place, starts in enumerate((None, restarts)):
                begun = time.process_time()
                found = rl.twin(
                    network,
                    x[None],
                    layer=0,
                    domain=rl.Box(0, 1),
                    restarts=starts,
                    seed=place,
                )[0]
                spent[place] += time.process_time() - begun
                lengths.append(found.distance)
            shares.append(lengths[0] / max(lengths))
        print(
            f"{count} layers {n} to {m}: the default reaches {min(shares):.4f} of what"
            f" {restarts} starts do at worst,"
            f" {np.mean(np.array(shares) >= 0.95):.0%} within 5 %;"
            f" {spent[0] / count:.2f} and {spent[1] / count:.2f} s CPU each"
        )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=60)
    parser.add_argument("--large", type=int, default=6)
    parser.add_argument("--restarts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    small(given.small, given.seed)
    large(given.large, given.restarts, given.seed)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
