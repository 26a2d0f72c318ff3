"""The gate to polyhedral questions."""

import pytest
from networks import NETWORKS, POLYHEDRAL

from relulens.errors import NotPolyhedralError
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import polyhedral, source_name


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_piecewise_affine_networks_pass(name):
    network, _ = NETWORKS[name]()
    view = polyhedral(network, network.output)
    assert set(view.nodes) == network.ancestors(network.output)
    assert list(view.nodes) == sorted(view.nodes)
    assert all(
        isinstance(node, Input | Affine | TwoSlope | Maximum)
        for node in view.nodes.values()
    )
    needed = network.ancestors(network.output)
    assert view.nonlinear() == [p for p in network.nonlinear() if p[0] in needed]
    assert view.network is network
    assert view.end == network.output


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("smooth", ["tanh", "gelu", "sigmoid"]),
        ("product", ["gate", "product", "below.gate", "quotient"]),
        ("softmax", ["softmax", "logsumexp"]),
        ("attention", ["scores", "weights", "mixed"]),
        ("normalise", ["normalise"]),
    ],
)
def test_every_offending_node_is_named(name, names):
    network, _ = NETWORKS[name]()
    with pytest.raises(NotPolyhedralError, match="cannot answer a distance") as refusal:
        polyhedral(network, network.output, question="a distance")
    assert [node.name for node in refusal.value.nodes] == names
    assert all(repr(name) in str(refusal.value) for name in names)


def test_only_ancestors_count():
    network, _ = NETWORKS["product"]()
    before = network.find("relu")
    view = polyhedral(network, before)
    assert set(view.nodes) == network.ancestors(before)


def test_nodes_of_a_layer_have_its_name():
    network, _ = NETWORKS["clamp"]()
    for layer in network.layers:
        assert {source_name(network, i) for i in layer.nodes} == {layer.name}
    assert source_name(network, 0) == "input"
