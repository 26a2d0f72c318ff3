"""Counts of multiply-adds against counts by hand."""

import pytest
from linear_maps import MAPS
from networks import NETWORKS
from resnet import resnet20

from relulens.graph.cost import map_cost, node_cost
from relulens.graph.nodes import Affine, Maximum


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("identity", 0),
        ("permute", 0),
        ("gather", 0),
        ("conv", 3 * 30 * 2 * 9),
        ("transposed conv", 2 * 9 * 3 * 9),
        ("grouped conv", 4 * 16 * 3 * 9),
        ("cancelling", 4),
    ],
)
def test_maps(name, wanted):
    assert map_cost(MAPS[name]()) == wanted


def test_a_residual_network_takes_its_known_cost():
    network = resnet20()
    total = sum(node_cost(network, node) for node in network.nodes)
    convolutions = sum(
        map_cost(term.map)
        for node in network.nodes
        if isinstance(node, Affine) and node.name.endswith("conv")
        for term in node.terms
    )
    # The 3 by 3 convolutions, and the two shortcuts.
    assert convolutions == 40_550_400 + 2 * 131_072
    assert convolutions < total < 1.05 * convolutions


def test_a_maximum_counts_what_it_compares():
    network, _ = NETWORKS["max_pool"]()
    (pool,) = (node for node in network.nodes if isinstance(node, Maximum))
    assert node_cost(network, pool) == 2 * 6 * 6


@pytest.mark.parametrize("name", NETWORKS)
def test_every_node_has_a_cost(name):
    network, _ = NETWORKS[name]()
    costs = [node_cost(network, node) for node in network.nodes]
    assert costs[0] == 0
    assert all(cost >= 0 for cost in costs)
