"""Regions in a ball against enumerations and samples."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from networks import NETWORKS

import relulens as rl
from relulens.errors import InvalidArgumentError


def drawn(seed, sizes):
    draw = np.random.default_rng(seed)
    pairs = [
        (draw.standard_normal((b, a)), draw.standard_normal(b))
        for a, b in pairwise(sizes)
    ]
    return rl.from_layers(pairs)


@pytest.mark.parametrize("seed", range(2))
def test_a_cube_is_a_box(seed):
    network = drawn(seed, (3, 8, 6, 1))
    x = np.array([0.1, -0.2, 0.3])
    found = rl.regions_in_ball(network, x, 0.25, norm=torch.inf)
    box = rl.linear_regions(network, rl.Box(x - 0.25, x + 0.25))
    assert found.complete
    assert found.lower == found.upper == box.count


@pytest.mark.parametrize("seed", range(2))
def test_a_disc_holds_the_regions_of_an_enumeration_that_come_near(seed):
    network = drawn(seed, (2, 8, 6, 1))
    found = rl.regions_in_ball(network, np.zeros(2), 0.7)
    every = rl.linear_regions(network, rl.Box(-1, 1))
    angle = np.linspace(0, 2 * np.pi, 721)[:-1]
    rim = np.column_stack([np.cos(angle), np.sin(angle)])
    x = np.concatenate([r * rim for r in np.linspace(0.001, 0.6999, 120)])
    pattern = rl.activation_pattern(network, x)
    sampled = torch.unique(torch.cat([pattern[n] for n in pattern], dim=1), dim=0)
    assert found.complete
    assert len(sampled) <= found.lower <= every.count
    assert (found.points.norm(dim=1) < 0.7).all()
    own = rl.activation_pattern(network, found.points)
    codes = torch.cat([own[n] for n in own], dim=1)
    assert len(torch.unique(codes, dim=0)) == found.lower
    # What the samples miss is thin: no more than a few slivers.
    assert found.lower - len(sampled) <= 3


def test_one_plane_is_met_or_missed_in_a_thousand_dimensions():
    weight = np.zeros((2, 1000))
    weight[0, :4] = 1.0
    weight[1, 7] = 1.0
    network = rl.from_layers([(weight, [-1.0, -1.0]), (np.ones((1, 2)), None)])
    # The planes are at distance 1/2 and 1.
    assert rl.regions_in_ball(network, np.zeros(1000), 0.49).lower == 1
    assert rl.regions_in_ball(network, np.zeros(1000), 0.51).lower == 2
    assert rl.regions_in_ball(network, np.zeros(1000), 1.2).lower == 4


def test_max_pooling_counts_winners():
    network, x = NETWORKS["max_pool"]()
    found = rl.regions_in_ball(network, x[:1], 0.1)
    own = rl.activation_pattern(network, found.points)
    codes = torch.cat([own[name].long() for name in own], dim=1)
    assert found.lower == len(torch.unique(codes, dim=0))


def test_a_budget_gives_a_bracket_that_holds():
    network = drawn(0, (3, 8, 6, 1))
    whole = rl.regions_in_ball(network, np.zeros(3), 0.8)
    part = rl.regions_in_ball(network, np.zeros(3), 0.8, budget=3)
    assert not part.complete
    assert part.lower <= whole.lower <= part.upper
    assert "budget" in part.reason


@pytest.mark.parametrize("radius", [0.0, -1.0, np.inf, np.nan])
def test_bad_radii_are_refused(radius):
    with pytest.raises(InvalidArgumentError, match="radius"):
        rl.regions_in_ball(drawn(0, (2, 3, 1)), np.zeros(2), radius)


def test_the_maximum_norm_has_two_names():
    network = drawn(1, (2, 6, 1))
    named = rl.regions_in_ball(network, np.zeros(2), 0.5, norm="inf")
    number = rl.regions_in_ball(network, np.zeros(2), 0.5, norm=np.inf)
    assert named.lower == number.lower
    assert torch.equal(named.points, number.points)
    for norm in (1, "two", [2], None):
        with pytest.raises(InvalidArgumentError, match="norm"):
            rl.regions_in_ball(network, np.zeros(2), 0.5, norm=norm)
