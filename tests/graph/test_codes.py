"""Codes of layers against counts made by hand."""

import oracles
import pytest
import torch
from networks import NETWORKS, POLYHEDRAL, finish, start

from relulens.errors import InvalidArgumentError
from relulens.graph.codes import codes, layer_codes, node_codes
from relulens.graph.freeze import freeze
from relulens.graph.network import Layer
from relulens.graph.nodes import Coupled, Maximum, Smooth, TwoSlope
from relulens.graph.smooth import SmoothFunction


def _frozen(name):
    network, x = NETWORKS[name]()
    return freeze(network, x, network.output), oracles.replayed(network, x)


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_codes_of_nodes_follow_their_arguments(name):
    frozen, values = _frozen(name)
    for index, node in frozen.network.nonlinear():
        found = node_codes(frozen, index)
        if isinstance(node, TwoSlope):
            assert found.dtype == torch.int8
            assert torch.equal(found == 1, values[node.source] > 0)
        if isinstance(node, Maximum):
            assert found.dtype == torch.int32
            flat = values[node.source].flatten(1)
            taken = flat.gather(1, found.long().flatten(1))
            assert torch.equal(taken, values[index].flatten(1))


def test_a_clamp_is_one_layer_of_three_codes():
    build, x = start(1)
    y = build.clamp("clamp", x, -1.0, 2.0, operation="clamp")
    network = finish(build, y)
    points = torch.tensor([[-3.0], [-1.0], [0.0], [2.0], [5.0]]).double()
    frozen = freeze(network, points, network.output)
    assert len(network.layers) == 1
    # Off means at most zero: -1 is still below, and 2 is already above.
    assert codes(frozen)[0].flatten().tolist() == [0, 0, 1, 2, 2]


def test_codes_of_smooth_functions_count_kinks_below():
    steps = SmoothFunction(
        name="steps",
        value=torch.abs,
        slope=torch.sign,
        slopes=(-1.0, 1.0),
        kinks=(-1.0, 0.0, 2.0),
    )
    build, x = start(1)
    network = finish(build, build.smooth("steps", x, steps))
    points = torch.tensor([[-2.0], [-1.0], [-0.5], [0.0], [2.0], [3.0]]).double()
    frozen = freeze(network, points, network.output)
    assert codes(frozen)[0].flatten().tolist() == [0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_has_codes_but_coupled_ones(name):
    frozen, values = _frozen(name)
    found = codes(frozen)
    for place, layer in enumerate(frozen.network.layers):
        kinds = [frozen.network.nodes[i] for i in layer.nodes]
        assert (place in found) == (not isinstance(kinds[0], Coupled))
        if place in found:
            assert found[place].shape == values[layer.output].shape
        if isinstance(kinds[0], Smooth):
            assert not found[place].any()


def test_layers_past_the_end_have_no_codes():
    network, x = NETWORKS["deep"]()
    frozen = freeze(network, x, network.layers[2].output)
    assert sorted(codes(frozen)) == [0, 1, 2]


def test_affine_nodes_have_no_codes():
    frozen, _ = _frozen("one_unit")
    assert node_codes(frozen, 0) is None
    assert node_codes(frozen, 1) is None


def test_layers_of_several_other_nodes_are_refused():
    frozen, _ = _frozen("normalise")
    places = tuple(index for index, _ in frozen.network.nonlinear())
    odd = Layer(name="odd", operation="odd", nodes=places, output=places[-1])
    with pytest.raises(InvalidArgumentError, match=r"2 nodes \(Coupled, TwoSlope\)"):
        layer_codes(frozen, odd)
