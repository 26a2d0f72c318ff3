"""Gains of nodes against slopes and Jacobians at sampled points."""

import oracles
import pytest
import torch
from coupled_maps import COUPLED, boxes_of, samples_of
from networks import NETWORKS

from relulens.graph.coupled import Softmax
from relulens.graph.coupled_gains import coupled_gains
from relulens.graph.gains import node_gains
from relulens.graph.nodes import Coupled, Maximum, Smooth, TwoSlope
from relulens.graph.smooth import (
    ERF,
    EXP,
    GELU,
    LOG,
    RECIPROCAL,
    SIGMOID,
    SIN,
    SOFTSIGN,
    SQRT,
    SQUARE,
    TANH,
)

SMOOTH = (
    ERF,
    EXP,
    GELU,
    LOG,
    RECIPROCAL,
    SIGMOID,
    SIN,
    SOFTSIGN,
    SQRT,
    SQUARE,
    TANH,
)


def _node(kind, name):
    return next(n for n in NETWORKS[name]()[0].nodes if isinstance(n, kind))


def test_two_slopes_have_their_steepest():
    for name, wanted in (
        ("one_unit", [1.0]),
        ("leaky", [1.0]),
        ("absolute_value", [1.0]),
    ):
        node = _node(TwoSlope, name)
        (gain,) = node_gains(node)
        assert oracles.matrix(gain).diagonal().unique().tolist() == wanted
    (gain,) = node_gains(_node(TwoSlope, "parametric"))
    assert oracles.matrix(gain).diagonal().unique().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", ["max_pool", "ragged_max_pool", "maximum_of_two"])
def test_a_maximum_has_ones_over_its_groups(name):
    node = _node(Maximum, name)
    (gain,) = node_gains(node)
    found = oracles.matrix(gain)
    for row, entries in zip(found, oracles.group_lists(node.groups), strict=True):
        assert row.nonzero().flatten().tolist() == sorted(entries)
        assert row.sum() == len(entries)


@pytest.mark.parametrize("function", SMOOTH, ids=lambda f: f.name)
def test_smooth_gains_bound_slopes(function):
    node = Smooth(name="", shape=(1,), source=0, function=function)
    start = max(function.domain[0], -6.0)
    for low, high in ((-5.0, -4.0), (-2.0, 0.5), (0.25, 3.0), (0.0, 0.0), (-6.0, 6.0)):
        if low <= start and function.domain[0] == 0:
            continue
        ends = tuple(torch.tensor([[end]]).double() for end in (low, high))
        (gain,) = node_gains(node, (ends,))
        points = torch.linspace(low, high, 2001).double().requires_grad_(True)
        slopes = torch.autograd.grad(function.value(points).sum(), points)[0].abs()
        bound = oracles.matrix(gain).item()
        assert bound >= slopes.max().item() - 1e-12
        assert bound <= max(function.gain(), 0)
        if function.bends is not None:
            assert bound == pytest.approx(slopes.max().item(), rel=1e-4, abs=1e-9)


def test_smooth_gains_without_a_box():
    for function in SMOOTH:
        node = Smooth(name="", shape=(2,), source=0, function=function)
        found = node_gains(node)
        if function in (EXP, LOG, RECIPROCAL, SQRT, SQUARE):
            assert found is None
        else:
            assert oracles.matrix(found[0])[0, 0] == function.gain()


@pytest.mark.parametrize("name", COUPLED)
@pytest.mark.parametrize("seed", range(4))
def test_coupled_gains_dominate_jacobians(name, seed):
    function, shapes = COUPLED[name]
    boxes = boxes_of(name, seed)
    bounds = [oracles.matrix(gain) for gain in coupled_gains(function, boxes)]
    node = Coupled(name="", shape=(), sources=(), function=function)
    for point in zip(*samples_of(boxes, 30), strict=True):
        jacobians = torch.autograd.functional.jacobian(
            lambda *read: oracles.coupled(node, *(r[None] for r in read))[0], point
        )
        for bound, part, shape in zip(bounds, jacobians, shapes, strict=True):
            flat = part.reshape(-1, torch.Size(shape).numel()).abs()
            assert (flat <= bound + 1e-9).all()


def test_coupled_gains_that_are_attained():
    zero = (torch.zeros(1, 2).double(),) * 2
    (gain,) = coupled_gains(Softmax(-1), (zero,))
    assert oracles.matrix(gain).tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_coupled_maps_have_no_gain_without_a_box_or_away_from_it():
    for function, _ in COUPLED.values():
        assert coupled_gains(function, None) is None
    one = torch.ones(1, 2).double()
    quotient, _ = COUPLED["quotient"]
    assert coupled_gains(quotient, ((-one, one), (-one, one))) is None
