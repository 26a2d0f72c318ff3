"""Distances of patterns against a plain loop, and their laws."""

import pytest
import torch
from networks import NETWORKS

import relulens as rl
from relulens.errors import InvalidArgumentError, ShapeError


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plain_loop_gives_the_same(name):
    network, x = NETWORKS[name]()
    if not len(rl.activation_pattern(network, x)):
        with pytest.raises(InvalidArgumentError, match="have codes"):
            rl.pattern_distance(network, x, x)
        return
    pattern = rl.activation_pattern(network, x)
    found = rl.pattern_distance(network, x, x[:2], pairwise=True)
    for layer in pattern:
        code = pattern[layer].tolist()
        wanted = [
            [
                sum(a != b for a, b in zip(one, other, strict=True)) / len(one)
                for other in code[:2]
            ]
            for one in code
        ]
        assert torch.allclose(found.layers[layer], torch.tensor(wanted).double())
    assert torch.allclose(found.total, torch.stack(list(found.layers.values())).mean(0))
    single = rl.pattern_distance(network, x, x.flip(0))
    square = rl.pattern_distance(network, x, x.flip(0), pairwise=True)
    assert torch.equal(single.total, square.total.diagonal())


def test_it_is_a_pseudo_metric_and_zero_within_a_region():
    network, _ = NETWORKS["deep"]()
    x = torch.randn((20, *network.input_shape)).double()
    d = rl.pattern_distance(network, x, x, pairwise=True).total
    assert torch.equal(d, d.T)
    assert (d.diagonal() == 0).all()
    assert (d[:, :, None] + d[None] + 1e-12 >= d[:, None, :]).all()
    near = rl.pattern_distance(network, x, x * (1 + 1e-14)).different
    assert (near == 0).all()


def test_empty_batches_and_bad_sizes():
    network, x = NETWORKS["bottleneck"]()
    assert rl.pattern_distance(network, x[:0], x[:0]).total.shape == (0,)
    assert rl.pattern_distance(network, x[:0], x, pairwise=True)[:].shape[0] == 0
    with pytest.raises(InvalidArgumentError, match="1 inputs and x2 2"):
        rl.pattern_distance(network, x[:1], x[:2])
    with pytest.raises(ShapeError):
        rl.pattern_distance(network, x[0], x)
