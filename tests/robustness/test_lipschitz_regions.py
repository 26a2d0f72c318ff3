"""The steepest region of an enumeration, and of a slice."""

import numpy as np
import pytest
import torch
from lipschitz_oracle import NORMS, ORDERS, largest_norm, random_layers
from networks import NETWORKS

import relulens as rl
from relulens.errors import InvalidArgumentError
from relulens.graph.domain import Box
from relulens.regions.enumeration import linear_regions
from relulens.robustness.lipschitz import search as lipschitz_search


@pytest.mark.parametrize("norm", NORMS)
def test_the_steepest_region_is_the_maximum_over_all_patterns(norm):
    layers = random_layers((2, 4, 3, 2), seed=8)
    low, high = -np.ones(2), np.ones(2)
    regions = linear_regions(rl.from_layers(layers), Box(-1, 1))
    found = rl.slope_maximum(regions, norm)
    assert "\n" not in repr(found)
    truth = largest_norm(layers, low, high, norm)
    assert found.complete
    assert float(found) == pytest.approx(truth, rel=1e-9)
    there = rl.local_affine_map(rl.from_layers(layers), found.witness[None]).slope[0]
    assert np.linalg.norm(there.numpy(), ORDERS[norm]) == pytest.approx(truth, rel=1e-9)


def test_the_bracket_ends_with_an_enumeration_when_it_is_slow(monkeypatch):
    monkeypatch.setattr(lipschitz_search, "PATIENCE", 0.0)
    layers = random_layers((3, 6, 5, 1), seed=2)
    network = rl.from_layers(layers)
    found = rl.lipschitz_bounds(network, Box(-1, 1), 2, gap=1.0)
    count = linear_regions(network, Box(-1, 1)).count
    assert found.method == f"all {count} regions"
    truth = largest_norm(layers, -np.ones(3), np.ones(3), 2)
    assert found.lower == pytest.approx(truth, rel=1e-9)
    assert found.upper == pytest.approx(truth, rel=1e-9)


def test_a_slice_has_the_slopes_of_its_cells():
    network, x = NETWORKS["residual"]()
    plane = rl.Plane.through(x[0], x[1], x[2])
    square = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    cells = rl.slice_partition(network, plane, square)
    found = rl.slope_maximum(cells, "inf")
    share = torch.rand((500, 2), dtype=torch.float64)
    share = torch.where(share.sum(1, keepdim=True) > 1, 1 - share, share)
    steep = rl.local_lipschitz(network, plane.points(share), "inf")
    assert float(steep.max()) <= float(found)
    assert float(found) == float(found.norms.max())


def test_an_unknown_norm_is_refused():
    network = rl.from_layers([([[1.0]], None), ([[1.0]], None)])
    regions = linear_regions(network, Box(-1, 1))
    with pytest.raises(InvalidArgumentError, match="none of the 3"):
        rl.slope_maximum(regions, 5)
