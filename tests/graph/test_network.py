"""Networks: names, sizes, inputs, cuts."""

import numpy as np
import pytest
import torch
from networks import NETWORKS, POLYHEDRAL, finish, relu, start

from relulens.errors import (
    InvalidArgumentError,
    NotFiniteError,
    ShapeError,
    UnknownNameError,
)
from relulens.graph.convert import converted
from relulens.graph.domain import Box
from relulens.graph.network import last_uses
from relulens.graph.nodes import Coupled, sources


def test_sizes():
    network, _ = NETWORKS["max_pool"]()
    assert (network.input_shape, network.output_shape) == ((1, 6, 6), (3,))
    assert (network.input_size, network.output_size) == (36, 3)
    assert network.state_size == 2 * 36 + 2 * 9
    assert [layer.name for layer in network.layers] == ["relu", "pool"]
    assert repr(network).startswith("Network([1, 6, 6] -> [3], 2 layers, state_size=90")


def test_names_of_layers_and_cuts():
    network, _ = NETWORKS["max_pool"]()
    assert network.names() == ["conv", "relu", "pool", "flat", "head", "output"]
    for name in network.names():
        assert network.find(name) in range(len(network.nodes))
    assert network.find(None) == network.find("output") == network.output
    assert network.find(1) == network.find(-1) == network.find("pool")
    relu_node = network.find("relu")
    assert network.find("pool", at="preactivation") == relu_node
    assert network.find("relu", at="preactivation") == network.find("conv")
    assert network.layer_index("relu") == network.layer_index(-2) == 0


@pytest.mark.parametrize("wrong", ["rellu", "", 2, -3])
def test_unknown_names_are_refused_with_the_nearest(wrong):
    network, _ = NETWORKS["max_pool"]()
    with pytest.raises(UnknownNameError) as refusal:
        network.find(wrong)
    assert refusal.value.name == str(wrong)
    assert refusal.value.nearest
    with pytest.raises(UnknownNameError):
        network.layer_index("conv")


def test_inputs_of_any_array():
    network, x = NETWORKS["leaky"]()
    for other in (x.numpy(), x.float(), x.tolist(), x.numpy().astype(np.int64)):
        found = network.as_input(other)
        assert found.dtype == torch.float64
        assert torch.equal(found, x)
    assert network.as_input(x[:0]).shape == (0, 3)
    narrow = converted(network, torch.float32)
    assert narrow.as_input(x).dtype == torch.float32


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1), ()])
def test_wrong_shapes_are_refused(shape):
    network, _ = NETWORKS["leaky"]()
    with pytest.raises(ShapeError, match=r"\[N, 3\]") as refusal:
        network.as_input(torch.zeros(shape))
    assert refusal.value.found == shape
    assert refusal.value.wanted == (3,)
    assert ("x[None]" in str(refusal.value)) == (shape == (3,))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    network, x = NETWORKS["leaky"]()
    x[1, 2] = bad
    with pytest.raises(NotFiniteError, match="cannot use y: 1 of its 15"):
        network.as_input(x, subject="y")


def test_a_network_that_ends_earlier():
    network, _ = NETWORKS["max_pool"]()
    cut = network.with_output(network.find("relu"))
    assert cut.output_shape == (2, 6, 6)
    assert [layer.name for layer in cut.layers] == ["relu"]
    assert cut.state_size == 72


def test_what_the_output_does_not_need_is_left_out():
    build, x = start(2)
    kept = relu(build, "kept", x)
    relu(build, "lost", x)
    network = finish(build, kept)
    assert len(network.nodes) == 2
    assert network.names() == ["kept", "output"]


@pytest.mark.parametrize("name", NETWORKS)
def test_values_are_freed_at_their_last_use(name):
    network, _ = NETWORKS[name]()
    needed = network.ancestors(network.output)
    free = last_uses(network.nodes, needed)
    gone: set[int] = set()
    for index in sorted(needed):
        assert not gone & set(sources(network.nodes[index]))
        gone |= set(free.get(index, ()))
    assert gone == needed - {network.output}


@pytest.mark.parametrize("name", NETWORKS)
def test_conversion_there_and_back(name):
    network, _ = NETWORKS[name]()
    assert converted(network) is network
    narrow = converted(network, torch.float32)
    assert narrow.dtype == torch.float32
    again = converted(narrow)
    assert again.dtype == torch.float64
    if name in POLYHEDRAL:
        assert again.layers == network.layers
    for node in narrow.nodes:
        if (
            isinstance(node, Coupled)
            and getattr(node.function, "mask", None) is not None
        ):
            assert node.function.mask.dtype == torch.float32


def test_boxes():
    box = Box(0, torch.tensor([1.0, 2.0]))
    assert torch.tensor([0.5, 2.0]) in box
    assert [0.5, 2.5] not in box
    assert torch.tensor([torch.nan, 0.0]) not in box
    assert repr(Box(0, 1)) == "Box(0, 1)"
    for low, high in ((1, 0), (torch.nan, 1), ([0.0, 3.0], [1.0, 2.0])):
        with pytest.raises(InvalidArgumentError, match="must not exceed"):
            Box(low, high)
