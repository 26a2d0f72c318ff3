import pytest
import torch
from networks import NETWORKS, POLYHEDRAL, whole
from oracles import jacobian, replayed

from relulens.importers.layers import from_layers
from relulens.local.templates import templates


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_parts_add_up_to_the_outputs(name: str) -> None:
    network, x = NETWORKS[name]()
    x = x + whole(*x.shape, seed=31, most=1000) / 1024
    found = templates(network, x)
    logits = replayed(network, x)[network.output].flatten(1)
    assert torch.equal(found.inner + found.offsets, logits)
    assert torch.equal(found.logits, logits)
    assert torch.equal(found.rows.flatten(2), jacobian(network, x))
    assert found.rows.shape == (*logits.shape, *network.input_shape)


def test_without_biases_there_is_no_offset() -> None:
    layers = [(whole(6, 4, seed=1), None), (whole(3, 6, seed=2), None)]
    found = templates(from_layers(layers), whole(5, 4, seed=3))
    assert not found.offsets.any()
    assert torch.equal(torch.as_tensor(found.__array__()), found.rows)
    assert torch.equal(found[2], found.rows[2])
    assert len(found) == 5
