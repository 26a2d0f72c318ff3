"""Bounds with optimised slopes: sound, never wider, and close to the linear program."""

from dataclasses import replace
from itertools import pairwise

import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS

import relulens as rl
from relulens.bounds.backward import Ball, lowest_and_highest
from relulens.bounds.layer_bounds import layer_bounds
from relulens.bounds.lines import two_slope_lines
from relulens.bounds.optimised import optimised_bounds
from relulens.errors import InvalidArgumentError
from relulens.graph.nodes import TwoSlope


@pytest.mark.parametrize("name", NETWORKS)
def test_bounds_hold_and_never_widen(name):
    network, x = NETWORKS[name]()
    low, high = x - 0.75, x + 0.75
    found = layer_bounds(network, low, high, method="optimised")
    plain = layer_bounds(network, low, high)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        share = torch.rand(x.shape, generator=generator, dtype=torch.float64)
        share = share.round() if torch.rand(1, generator=generator) < 0.5 else share
        values = oracles.replayed(network, low + share * (high - low))
        for index in found.lower:
            room = 1e-9 * (1 + values[index].abs())
            assert (found.lower[index] <= values[index] + room).all()
            assert (found.upper[index] >= values[index] - room).all()
    for index, lower in found.lower.items():
        assert (lower >= plain.lower[index]).all()
        assert (found.upper[index] <= plain.upper[index]).all()


def test_a_slope_between_the_two_is_found():
    # y = relu(x) - (x + 8) / 2 on [-1, 1] is least, -4, at 0; a line of slope 0 or 1
    # below relu gives -4.5.
    shifted = rl.from_layers([([[1.0], [1.0]], [0.0, 8.0]), ([[1.0, -0.5]], None)])
    plain = rl.output_bounds(shifted, [[0.0]], 1.0)
    found = rl.output_bounds(shifted, [[0.0]], 1.0, method="optimised")
    assert plain.lower.item() == pytest.approx(-4.5, abs=1e-9)
    assert -4.03 < found.lower.item() <= -4.0
    assert found.upper.item() == pytest.approx(-3.5, abs=1e-9)


@given(seed=st.integers(0, 10**6), radius=st.sampled_from([0.2, 0.6]))
@settings(max_examples=8, deadline=None)
def test_one_hidden_layer_comes_close_to_the_linear_program(seed, radius):
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    network = rl.from_layers([(drawn(9, 5), drawn(9)), (drawn(2, 9), drawn(2))])
    x = drawn(2, 5)
    plain, found, program = (
        rl.output_bounds(network, x, radius, method=method)
        for method in ("relaxation", "optimised", "triangle")
    )
    # With exact bounds of the only hidden layer, the best slopes give the program.
    assert (found.lower <= program.lower + 1e-7).all()
    assert (found.upper >= program.upper - 1e-7).all()
    gap = (plain.upper - plain.lower) - (program.upper - program.lower)
    closed = (plain.upper - plain.lower) - (found.upper - found.lower)
    assert (closed >= -1e-12).all()
    assert closed.sum() >= 0.6 * gap.sum() - 1e-9


def deep():
    torch.manual_seed(3)
    sizes = (6, 12, 12, 3)
    layers = []
    for m, n in pairwise(sizes):
        layers.append((torch.randn(n, m) / m**0.5, torch.randn(n) / 4))
    return rl.from_layers(layers), torch.randn(3, 6, dtype=torch.float64)


def test_lines_of_every_row_agree_with_lines_of_all():
    network, x = deep()
    found = layer_bounds(network, x - 0.4, x + 0.4)
    rows = torch.eye(3, dtype=torch.float64)[None]
    same = {}
    for index, node in enumerate(found.network.nodes):
        if isinstance(node, TwoSlope):
            low, high = (bound.unsqueeze(1) for bound in found.argument(index))
            inner = torch.where(high >= -low, node.positive, node.negative)
            inner = inner.expand(-1, 6, -1)
            same[index] = two_slope_lines(node, (low, high), inner)
    assert same
    relaxation = replace(found.relaxation, lines={**found.relaxation.lines, **same})
    for a, b in zip(
        lowest_and_highest(relaxation, found.network.output, rows),
        lowest_and_highest(found.relaxation, found.network.output, rows),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_deep_networks_gain_and_gradients_leave_nothing_behind():
    network, x = deep()
    plain = rl.output_bounds(network, x, 0.4)
    found = rl.output_bounds(network, x, 0.4, method="optimised")
    assert (found.upper - found.lower).sum() < 0.99 * (plain.upper - plain.lower).sum()
    assert not found.lower.requires_grad
    again = rl.output_bounds(network, x, 0.4, method="optimised")
    assert torch.equal(found.lower, again.lower)
    one = rl.output_bounds(network, x[1:2], 0.4, method="optimised")
    torch.testing.assert_close(one.lower[0], found.lower[1], rtol=1e-6, atol=1e-6)


def test_no_steps_are_the_relaxation():
    network, x = deep()
    found = layer_bounds(network, x - 0.4, x + 0.4)
    rows = torch.eye(3, dtype=torch.float64)[None]
    end = found.network.output
    arguments = {
        i: found.argument(i)
        for i, node in enumerate(found.network.nodes)
        if isinstance(node, TwoSlope)
    }
    least, most = optimised_bounds(found.relaxation, end, rows, arguments, steps=0)
    plain = lowest_and_highest(found.relaxation, end, rows)
    assert torch.equal(least, plain[0])
    assert torch.equal(most, plain[1])


def test_forced_signs_balls_labels_and_no_inputs():
    network, x = deep()
    index = next(
        i for i, node in enumerate(network.nodes) if isinstance(node, TwoSlope)
    )
    signs = torch.ones((3, 12), dtype=torch.int64)
    split = {index: signs * (layer_bounds(network, x, x).argument(index)[0] > 0)}
    low, high = x - 0.1, x + 0.1
    plain = layer_bounds(network, low, high, splits=split)
    found = layer_bounds(network, low, high, splits=split, method="optimised")
    assert (found.output[0] >= plain.output[0]).all()
    ball = Ball(centre=x, radius=torch.full((3,), 0.1, dtype=torch.float64), dual=2.0)
    tighter = layer_bounds(network, low, high, ball=ball, method="optimised")
    assert (tighter.output[0] >= layer_bounds(network, low, high).output[0]).all()
    kept = rl.output_bounds(network, x, 0.1, labels=[0, 1, 2], method="optimised")
    loose = rl.output_bounds(network, x, 0.1, labels=[0, 1, 2])
    assert (kept.lower >= loose.lower - 1e-12).all()
    assert rl.output_bounds(network, x[:0], 0.1, method="optimised").lower.shape[0] == 0


def test_loops_are_refused():
    model = rl.ImplicitModel([[0.1]], [[1.0]], [[1.0]])
    with pytest.raises(InvalidArgumentError, match="'optimised': it goes through"):
        rl.output_bounds(model, [[0.0]], 0.1, method="optimised")
