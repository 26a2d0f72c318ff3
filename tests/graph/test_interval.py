"""Bounds on boxes against sampling, and the images of single nodes."""

import math

import oracles
import pytest
import torch
from coupled_maps import COUPLED, EXACT, boxes_of, samples_of
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, finish, start, step

from relulens.errors import UnboundedError
from relulens.graph.coupled import Quotient
from relulens.graph.coupled_bounds import coupled_image
from relulens.graph.interval import interval
from relulens.graph.maps import Identity
from relulens.graph.nodes import Coupled
from relulens.graph.smooth import RECIPROCAL, SIN, SQUARE


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("radius", [0.0, 0.25, 2.0])
def test_bounds_hold_at_every_node(name, radius):
    network, x = NETWORKS[name]()
    x = x[:1]
    low, high = x - radius, x + radius
    everything = range(len(network.nodes))
    found = interval(network, low, high, everything)
    for index in everything:
        least, most = oracles.sampled(
            lambda points, index=index: oracles.replayed(network, points[:, 0])[index],
            low,
            high,
            count=200,
        )
        below, above = (bound[0] for bound in found[index])
        room = 1e-9 * (1 + most.abs())
        assert (below <= least + room).all()
        assert (above >= most - room).all()
        if radius == 0.0:
            assert torch.allclose(below, above, rtol=1e-9, atol=1e-9)


def test_boxes_of_a_batch_do_not_mix():
    network, x = NETWORKS["max_pool"]()
    together = interval(network, x - 1, x + 1, [network.output])[network.output]
    for i in range(x.shape[0]):
        one = interval(network, x[i : i + 1] - 1, x[i : i + 1] + 1, [network.output])
        for a, b in zip(one[network.output], together, strict=True):
            assert torch.equal(a[0], b[i])


def test_one_affine_layer_and_relu_are_exact():
    network, _ = NETWORKS["absolute_value"]()
    low, high = -torch.ones(1, 2).double(), 2 * torch.ones(1, 2).double()
    index = network.layers[0].output
    found = interval(network, low, high, [index])[index]
    least, most = oracles.sampled(
        lambda points: oracles.replayed(network, points[:, 0])[index], low, high, 4000
    )
    assert torch.equal(found[1][0], most)
    assert (found[0][0] <= least).all()
    assert (found[0][0] >= 0).all()


@pytest.mark.parametrize("name", COUPLED)
@pytest.mark.parametrize("seed", range(6))
def test_images_of_coupled_maps(name, seed):
    function, _ = COUPLED[name]
    boxes = boxes_of(name, seed)
    low, high = coupled_image(function, boxes)
    read = samples_of(boxes, 3000)
    node = Coupled(name="", shape=tuple(low.shape[1:]), sources=(), function=function)
    values = oracles.coupled(node, *read)
    assert (values >= low - 1e-9).all()
    assert (values <= high + 1e-9).all()
    if name in EXACT:
        # The corners, among the samples, attain the bounds.
        assert torch.allclose(values.amin(0), low[0], atol=1e-9)
        assert torch.allclose(values.amax(0), high[0], atol=1e-9)


def test_divisors_that_can_be_zero_are_refused_by_name():
    network, x = NETWORKS["product"]()
    build, value = start(2)
    top = step(build, "top", value, Identity((2,)))
    network = finish(
        build, build.coupled("ratio", [top, value], Quotient(), value.dims)
    )
    with pytest.raises(UnboundedError, match="quotient at 'ratio'") as refusal:
        interval(network, -x[:1, :2].abs(), x[:1, :2].abs() + 1, [network.output])
    assert [node.name for node in refusal.value.nodes] == ["ratio"]


def test_smooth_functions_outside_their_domain_are_refused():
    build, x = start(1)
    network = finish(build, build.smooth("inverse", x, RECIPROCAL))
    one = torch.ones(1, 1).double()
    with pytest.raises(UnboundedError, match="reciprocal at 'inverse'"):
        interval(network, -one, one, [network.output])
    with pytest.raises(UnboundedError):
        interval(network, 0 * one, one, [network.output])
    low, high = interval(network, one, 4 * one, [network.output])[network.output]
    assert (low.item(), high.item()) == (0.25, 1.0)


@given(st.floats(-20, 20), st.floats(0, 10))
def test_images_of_functions_that_turn(middle, radius):
    low, high = (torch.tensor([middle + s * radius]).double() for s in (-1, 1))
    points = torch.linspace(low.item(), high.item(), 4001).double()
    for function in (SIN, SQUARE):
        least, most = function.image(low, high)
        values = function.value(points)
        assert least.item() <= values.min().item() + 1e-12
        assert most.item() >= values.max().item() - 1e-12
        assert math.isclose(
            least.item(), values.min().item(), abs_tol=2e-3 * (1 + radius)
        )
        assert math.isclose(
            most.item(), values.max().item(), abs_tol=2e-3 * (1 + radius)
        )


def test_no_boxes():
    network, _ = NETWORKS["leaky"]()
    none = torch.zeros(0, 3).double()
    low, high = interval(network, none, none, [network.output])[network.output]
    assert low.shape == high.shape == (0, 2)
