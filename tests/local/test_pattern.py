import pytest
import torch
from networks import NETWORKS, POLYHEDRAL
from oracles import group_lists, replayed

from relulens.errors import InvalidArgumentError, UnknownNameError
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.local.pattern import activation_pattern


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_codes_say_what_units_do(name: str) -> None:
    network, x = NETWORKS[name]()
    values = replayed(network, x)
    pattern = activation_pattern(network, x)
    assert list(pattern) == [layer.name for layer in network.layers]
    for layer in network.layers:
        if len(layer.nodes) > 1:
            continue
        node = network.nodes[layer.nodes[0]]
        code = pattern[layer.name]
        argument = values[node.source].flatten(1)
        if isinstance(node, TwoSlope):
            assert torch.equal(code, (argument > 0).to(torch.int8))
        elif isinstance(node, Maximum):
            for group, entries in enumerate(group_lists(node.groups)):
                first = argument[:, entries].argmax(1)
                assert code[:, group].tolist() == [entries[i] for i in first]


def test_a_clamp_has_three_codes() -> None:
    network, _ = NETWORKS["clamp"]()
    x = torch.tensor([[-9.0, -9.0, -9.0], [9.0, 9.0, 9.0]], dtype=torch.float64)
    before = replayed(network, x)[network.find("relu6", "preactivation")]
    linear = replayed(network, x)[1]
    wanted = (linear > 0).int() + (linear >= 6).int()
    assert activation_pattern(network, x)["relu6"].tolist() == wanted.tolist()
    assert before.shape == linear.shape


def test_patterns_compare_point_by_point() -> None:
    network, x = NETWORKS["wide"]()
    pattern = activation_pattern(network, x)
    assert pattern.equals(pattern).all()
    other = activation_pattern(network, x.flip(0))
    same = [
        all(
            torch.equal(a[i], b[i])
            for a, b in zip(pattern.codes.values(), other.codes.values(), strict=True)
        )
        for i in range(len(x))
    ]
    assert pattern.equals(other).tolist() == same
    one = activation_pattern(network, x[:1])
    assert pattern.equals(one).shape == (5,)
    assert bool(pattern.equals(one)[0])
    with pytest.raises(InvalidArgumentError):
        pattern.equals(activation_pattern(network, x[:2]))


def test_layers_by_name_and_place() -> None:
    network, x = NETWORKS["max_pool"]()
    pattern = activation_pattern(network, x)
    assert len(pattern) == 2
    assert torch.equal(pattern[1], pattern["pool"])
    assert torch.equal(pattern[-1], pattern["pool"])
    with pytest.raises(UnknownNameError):
        _ = pattern["poll"]
    with pytest.raises(UnknownNameError):
        _ = pattern[2]


def test_coupled_layers_have_no_codes() -> None:
    network, x = NETWORKS["softmax"]()
    pattern = activation_pattern(network, x)
    assert len(pattern) == 0
    assert pattern.equals(pattern).tolist() == [True] * len(x)
