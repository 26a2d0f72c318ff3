"""Lipschitz brackets against enumeration of signs, samples and worked examples."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_oracle import NORMS, ORDERS, largest_norm, random_layers
from networks import NETWORKS, POLYHEDRAL, dense, finish, relu, start

import relulens as rl
from relulens.errors import InvalidArgumentError, NotFiniteError, NotPolyhedralError
from relulens.graph.domain import Box
from relulens.graph.maps import Identity


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", [(2, 6, 1), (2, 4, 4, 2), (3, 5, 3)])
def test_the_exact_bracket_is_the_maximum_over_all_patterns(sizes, norm):
    layers = random_layers(sizes, seed=len(sizes))
    low, high = -np.ones(sizes[0]), np.linspace(0.5, 1.5, sizes[0])
    truth = largest_norm(layers, low, high, norm)
    found = rl.lipschitz_bounds(rl.from_layers(layers), Box(low, high), norm, gap=1.0)
    assert found.complete
    assert found.lower == pytest.approx(truth, rel=1e-9)
    assert found.upper == pytest.approx(truth, rel=1e-9)
    assert found.upper >= truth * (1 - 1e-13)


@pytest.mark.parametrize("norm", NORMS)
def test_many_inputs_split_signs_and_find_the_same_maximum(norm):
    layers = random_layers((8, 4, 3, 2), seed=5)
    low, high = -np.ones(8), np.ones(8)
    truth = largest_norm(layers, low, high, norm)
    found = rl.lipschitz_bounds(rl.from_layers(layers), Box(low, high), norm, gap=1.0)
    assert found.complete
    assert found.lower == pytest.approx(truth, rel=1e-9)
    assert found.upper == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize(("place", "name"), list(enumerate(POLYHEDRAL)))
def test_samples_of_every_kind_of_network_stay_below(place, name):
    (network, x), norm = NETWORKS[name](), NORMS[place % 3]
    low, high = x.amin(0) - 1, x.amax(0) + 1
    found = rl.lipschitz_bounds(network, Box(low, high), norm, budget=0.1)
    share = torch.rand((200, *x.shape[1:]), dtype=torch.float64)
    steep = rl.local_lipschitz(network, low + share * (high - low), norm)
    assert float(steep.max()) <= found.upper
    assert found.lower <= found.upper <= found.relaxation <= found.interval
    if found.witness is not None:
        there = rl.local_affine_map(network, found.witness[None])
        value = np.linalg.norm(there.slope[0].numpy(), ORDERS[norm])
        assert value == pytest.approx(found.lower, rel=1e-9)
        assert found.witness in Box(low, high)
        assert float(there.margin[0]) > 0


def test_the_kink_of_a_straight_line_is_no_slope():
    network = rl.from_layers([([[1.0], [-1.0]], None), ([[1.0, -1.0]], None)])
    for norm in NORMS:
        found = rl.lipschitz_bounds(network, Box(-1, 1), norm, gap=1.0)
        assert found.complete
        assert found.lower == 1.0
        assert 1.0 <= found.upper <= 1.0 + 1e-12


def test_norms_of_input_and_output_are_the_same_one():
    matrix = torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]])
    network = rl.from_layers([(matrix, None)])
    for norm in NORMS:
        truth = np.linalg.norm(matrix.numpy().astype(float), ORDERS[norm])
        assert float(rl.local_lipschitz(network, [[1.0, 2, 3]], norm)) == pytest.approx(
            truth
        )
        found = rl.lipschitz_bounds(network, Box(0, 1), norm)
        assert found.lower == pytest.approx(truth)
        assert found.upper == pytest.approx(truth, rel=1e-12)
    one = rl.lipschitz_bounds(network, Box(0, 1), "inf", outputs=[0])
    assert one.upper == pytest.approx(6.0, rel=1e-12)


def test_fixed_entries_of_the_box_do_not_count():
    network = rl.from_layers([([[3.0, 100.0]], [0.0]), ([[1.0]], None)])
    found = rl.lipschitz_bounds(network, Box([0.0, 1.0], [1.0, 1.0]), "inf")
    assert found.lower == 3.0
    assert found.upper == pytest.approx(3.0, rel=1e-12)


@given(st.integers(0, 10**6), st.sampled_from(NORMS))
@settings(max_examples=6)
def test_weights_scale_the_constant_and_smaller_boxes_have_smaller_ones(seed, norm):
    layers = random_layers((2, 5, 2), seed)
    network = rl.from_layers(layers)
    whole = rl.lipschitz_bounds(network, Box(-1, 1), norm, gap=1.0)
    part = rl.lipschitz_bounds(network, Box(-0.5, 0.7), norm, gap=1.0)
    assert part.lower <= whole.upper
    assert part.upper <= whole.upper * (1 + 1e-12)
    (first, (last, bias)) = layers
    scaled = rl.from_layers([first, (4 * last, bias)])
    four = rl.lipschitz_bounds(scaled, Box(-1, 1), norm, gap=1.0)
    assert four.upper == pytest.approx(4 * whole.upper, rel=1e-9)


def test_the_relaxation_is_never_looser_than_interval_slopes():
    torch.manual_seed(0)
    sizes = (20, 30, 30, 3)
    layers = random_layers(sizes, 3)
    network = rl.from_layers(layers)
    x = torch.rand(20, dtype=torch.float64)
    for radius in (0.01, 0.1, 1.0):
        found = rl.lipschitz_bounds(
            network, Box(x - radius, x + radius), "inf", budget=0
        )
        assert found.lower <= found.upper <= found.interval
        if radius == 0.1:
            assert found.upper < 0.8 * found.interval


def test_a_constant_network_has_a_bracket_of_zeros():
    network = rl.from_layers([([[1.0]], [-5.0]), ([[2.0]], None)])
    found = rl.lipschitz_bounds(network, Box(-1, 1))
    assert (found.lower, found.upper, found.gap, found.complete) == (
        0.0,
        0.0,
        1.0,
        True,
    )


def test_what_cannot_be_asked_is_refused():
    network = rl.from_layers([([[1.0]], None), ([[1.0]], None)])
    for wrong in (3, "two", None, True, float("nan")):
        with pytest.raises(InvalidArgumentError, match="none of the 3"):
            rl.lipschitz_bounds(network, Box(0, 1), wrong)
    with pytest.raises(NotFiniteError, match="infinite side"):
        rl.lipschitz_bounds(network, Box(0, math.inf))
    with pytest.raises(InvalidArgumentError, match="it is a point"):
        rl.lipschitz_bounds(network, Box(1, 1))
    with pytest.raises(InvalidArgumentError, match="no box"):
        rl.lipschitz_bounds(network)
    with pytest.raises(InvalidArgumentError, match="must not exceed"):
        rl.lipschitz_bounds(network, Box(1, 0))
    with pytest.raises(InvalidArgumentError, match="cannot close a bracket"):
        rl.lipschitz_bounds(network, Box(0, 1), gap=0.9)
    with pytest.raises(InvalidArgumentError, match="budget"):
        rl.lipschitz_bounds(network, Box(0, 1), budget=float("nan"))
    with pytest.raises(InvalidArgumentError, match="flat positions"):
        rl.lipschitz_bounds(network, Box(0, 1), outputs=[1])
    with pytest.raises(InvalidArgumentError, match="shapes"):
        rl.lipschitz_bounds(network, Box([0.0, 0.0], 1))


def test_curved_networks_are_refused_by_name():
    curved = next(name for name in NETWORKS if name not in POLYHEDRAL)
    network, x = NETWORKS[curved]()
    with pytest.raises(NotPolyhedralError):
        rl.lipschitz_bounds(network, Box(0, 1))
    with pytest.raises(NotPolyhedralError):
        rl.local_lipschitz(network, x)


def test_two_nodes_that_read_the_same_values_share_their_signs():
    build, x = start(8)
    inner = dense(build, "in", x, 5, seed=3)
    left, right = relu(build, "relu", inner), relu(build, "again", inner)
    both = [(left, Identity((5,))), (right, Identity((5,)))]
    total = build.affine("add", both, None, inner.dims)
    network = finish(build, dense(build, "head", total, 2, seed=4))
    found = rl.lipschitz_bounds(network, Box(-1, 1), "inf", gap=1.0)
    source = torch.rand((5000, 8), dtype=torch.float64) * 2 - 1
    steep = rl.local_lipschitz(network, source, "inf")
    assert found.complete
    assert float(steep.max()) <= found.upper
