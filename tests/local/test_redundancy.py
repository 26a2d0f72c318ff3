"""Which rows are facets, against a linear program a row."""

import numpy as np
import pytest
from scipy.optimize import linprog

import relulens as rl
from relulens.local.redundancy import irredundant


def by_programs(rows, right):
    """Return the rows without which the polytope would be larger, by HiGHS."""
    needed = []
    for place in range(len(rows)):
        relaxed = right.copy()
        relaxed[place] += 1.0
        found = linprog(
            -rows[place], A_ub=rows, b_ub=relaxed, bounds=(None, None), method="highs"
        )
        if -found.fun > right[place] + 1e-7:
            needed.append(place)
    return needed


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [(4, 9), (12, 8), (40, 6), (30, 20)])
def test_rows_are_those_of_a_program_each(seed, size):
    draw = np.random.default_rng(seed)
    count, width = size
    rows = draw.standard_normal((count, width))
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    right = draw.random(count) + 0.05
    if seed % 2:
        # As in a network: deeper rows lie in the span of earlier ones.
        half = count // 2
        rows[half:] = draw.standard_normal((count - half, half)) @ rows[:half]
        rows /= np.linalg.norm(rows, axis=1)[:, None]
    none = np.zeros(count, bool)
    kept, *_ = irredundant(rows, right, none, np.zeros(width), box=None, tol=1e-9)
    assert kept.tolist() == by_programs(rows, right)


def test_a_region_of_a_wide_network_has_its_facets():
    draw = np.random.default_rng(0)
    sizes = [(64, 200), (64, 64), (10, 64)]
    pairs = [
        (draw.uniform(-1, 1, size) / np.sqrt(size[1]), draw.uniform(-0.1, 0.1, size[0]))
        for size in sizes
    ]
    region = rl.region_polytope(rl.from_layers(pairs), draw.random((1, 200)))[0]
    whole = region.facets()
    rows = region.A.to_dense().numpy()
    norms = np.linalg.norm(rows, axis=1)
    rows, right = rows / norms[:, None], region.b.numpy() / norms
    right = right - rows @ region.point.numpy()
    assert len(whole) == len(by_programs(rows, right))
