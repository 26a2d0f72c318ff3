"""Max-affine parameters and power diagrams against brute force; convexity verdicts."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL

import relulens as rl
from relulens.errors import InvalidArgumentError, MemoryLimitError
from relulens.graph.nodes import TwoSlope


def read_by(spline, network, x):
    parts = [
        torch.as_tensor(x).double().flatten(1)
        if name == network.nodes[0].name
        else rl.evaluate(network.with_output(network.find(name)), x).flatten(1)
        for name, _ in spline.reads
    ]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_parameters_give_the_layer_back(name):
    network, x = NETWORKS[name]()
    for layer in network.layers:
        if len(layer.nodes) > 1:
            continue
        node = network.nodes[layer.nodes[0]]
        if isinstance(node, TwoSlope) and bool((node.positive < node.negative).any()):
            with pytest.raises(InvalidArgumentError, match="fall at the bend"):
                rl.max_affine(network, layer.name)
            continue
        spline = rl.max_affine(network, layer.name)
        value = rl.evaluate(network.with_output(layer.output), x).flatten(1)
        v = read_by(spline, network, x)
        assert torch.equal(spline(v), value)
        dense = torch.einsum("krd,nd->nkr", spline.A(), v) + spline.B
        assert torch.allclose(dense.amax(-1), value)
        assert (dense.argmax(-1) == spline.code(v)).all()


def test_the_cell_of_least_power_is_the_code_by_brute_force():
    draw = np.random.default_rng(0)
    weight, bias = draw.standard_normal((5, 3)), draw.standard_normal(5)
    network = rl.from_layers([(weight, bias), (np.ones((1, 5)), None)])
    spline = rl.max_affine(network, 0)
    every = torch.tensor(list(itertools.product((0, 1), repeat=5)))
    cells = spline.power_diagram(every)
    x = torch.from_numpy(draw.standard_normal((2000, 3)))
    power = ((x[:, None] - cells.centroids) ** 2).sum(-1) - cells.radii
    assert torch.equal(every[power.argmin(1)], spline.code(x))
    own = rl.power_diagram(network, x, layer=0)
    mine = spline.power_diagram(spline.code(x))
    assert torch.allclose(own.centroids, mine.centroids)
    assert torch.allclose(own.radii, mine.radii)


def test_a_deeper_layers_cells_hold_inside_the_parent_region():
    draw = np.random.default_rng(1)
    pairs = [
        (draw.standard_normal((b, a)), draw.standard_normal(b))
        for a, b in ((2, 4), (4, 4), (4, 1))
    ]
    network = rl.from_layers(pairs)
    x = torch.from_numpy(draw.standard_normal((3000, 2)))
    cells = rl.power_diagram(network, x, layer=1)
    parent = rl.activation_pattern(network, x)["relu0"]
    for code in torch.unique(parent, dim=0):
        same = (parent == code).all(1).nonzero().flatten()
        power = ((x[same][:, None] - cells.centroids[same]) ** 2).sum(-1)
        power = power - cells.radii[same]
        assert torch.allclose(power.amin(1), power.diagonal(), atol=1e-9)


def test_what_is_no_maximum_is_refused():
    for name in ("clamp", "smooth"):
        network, _ = NETWORKS[name]()
        with pytest.raises(InvalidArgumentError, match="maximum of affine"):
            rl.max_affine(network, 0)
    with pytest.raises(MemoryLimitError):
        rl.max_affine(NETWORKS["wide"]()[0], 0).A(limit=8)


def test_convex_by_signs_and_not_only_if():
    first = ([[1.0], [-1.0]], None)
    assert (
        rl.convexity(rl.from_layers([first, ([[1, 2]], None)])).verdict == "certified"
    )
    # relu(x) - relu(-x) = x is convex with a negative weight.
    identity = rl.convexity(rl.from_layers([first, ([[1, -1]], None)]))
    assert identity.verdict == "undecided"
    both = rl.convexity(rl.from_layers([first, ([[1, 0], [0, -1]], None)]))
    assert both.certified.tolist() == [True, False]
    assert both.verdict == "refuted"
    assert both.witness.output == 1


@given(st.integers(0, 10_000))
def test_nonnegative_weights_are_certified_and_a_witness_is_one(seed):
    draw = np.random.default_rng(seed)
    first = (draw.standard_normal((6, 2)), draw.standard_normal(6))
    second = (np.abs(draw.standard_normal((4, 6))), draw.standard_normal(4))
    last = np.abs(draw.standard_normal((1, 4)))
    assert rl.convexity(rl.from_layers([first, second, (last, None)])).verdict == (
        "certified"
    )
    last[0, 0] = -50.0
    network = rl.from_layers([first, second, (last, None)])
    found = rl.convexity(network, domain=rl.Box(-3, 3), lines=4)
    assert found.verdict in {"refuted", "undecided"}
    if found.witness is not None:
        hold = found.witness
        points = torch.stack([hold.x, hold.y, hold.between])
        x, y, between = rl.evaluate(network, points)[:, hold.output].tolist()
        chord = (1 - hold.weight) * x + hold.weight * y
        assert between - chord == pytest.approx(hold.excess, rel=1e-6, abs=1e-9)


def test_a_skip_from_the_input_is_free_and_infinite_domains_are_refused():
    network, _ = NETWORKS["residual"]()
    assert rl.convexity(network, domain=rl.Box(-4, 4)).verdict != "certified"
    with pytest.raises(InvalidArgumentError, match="infinite sides"):
        rl.convexity(network, domain=rl.Box(-torch.inf, torch.inf))
