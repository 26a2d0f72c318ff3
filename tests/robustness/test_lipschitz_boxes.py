"""Bounds over one box, against every choice of the signs that are left open."""

from itertools import product

import numpy as np
import pytest
import torch
from lipschitz_oracle import NORMS, ORDERS, random_layers

import relulens as rl
from relulens.graph.domain import Box
from relulens.robustness.lipschitz.boxes import evaluated, row_norm_bounds
from relulens.robustness.lipschitz.bracket import _problem


def slopes_of_all_choices(layers, on, open_):
    """Yield the slope for every choice of the open units, whether it occurs or not."""
    choices = []
    for signs, free in zip(on, open_, strict=True):
        both = zip(signs, free, strict=True)
        units = [[0.0, 1.0] if is_open else [float(sign)] for sign, is_open in both]
        choices.append(list(product(*units)))
    for masks in product(*choices):
        matrix = layers[0][0]
        for (weight, _), mask in zip(layers[1:], masks, strict=True):
            matrix = weight @ (np.array(mask)[:, None] * matrix)
        yield matrix


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", [(3, 4, 4, 1), (2, 3, 3, 3, 2), (8, 5, 2)])
def test_bounds_hold_for_all_choices_of_open_signs(sizes, norm):
    for seed in range(4):
        layers = random_layers(sizes, seed)
        network = rl.from_layers(layers)
        problem = _problem(network, Box(-1, 1), norm, None)
        low = -torch.ones((2, sizes[0]), dtype=torch.float64)
        high = torch.tensor([[1.0], [-0.3]], dtype=torch.float64).expand(low.shape)
        found = evaluated(problem, low, high)
        rows, _ = row_norm_bounds(problem, low, high)
        for box in range(2):
            on = [part[box].tolist() for part in found.gates.on.values()]
            open_ = [part[box].tolist() for part in found.gates.open.values()]
            steep, each = 0.0, np.zeros(sizes[-1])
            for slope in slopes_of_all_choices(layers, on, open_):
                steep = max(steep, np.linalg.norm(slope, ORDERS[norm]))
                dual = {1: np.inf, 2: 2, "inf": 1}[norm]
                each = np.maximum(each, np.linalg.norm(slope, dual, axis=1))
            assert steep <= float(found.upper[box])
            assert float(found.upper[box]) <= float(found.interval[box])
            assert (each <= rows[box].numpy() * (1 + 1e-12)).all()
