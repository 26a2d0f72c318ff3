"""The network by absolute value: exact numbers, soundness, refusals."""

import oracles
import pytest
import torch
from networks import NETWORKS, POLYHEDRAL, finish, start
from resnet import resnet20

from relulens.errors import UnboundedError
from relulens.graph.absolute import absolute
from relulens.graph.blocks import blocks
from relulens.graph.gains import gains
from relulens.graph.interval import interval
from relulens.graph.smooth import EXP
from relulens.importers.layers import from_layers


def _sensitivity(form, boxes=None):
    """Return S by its rows and by its columns, checked to be one matrix."""
    found = absolute(form, boxes)
    network = form.network
    outs, ins = network.output_size, network.input_size
    rows = torch.eye(outs).double().reshape(outs, *network.output_shape)
    columns = torch.eye(ins).double().reshape(ins, *network.input_shape)
    by_rows = found.adjoint(rows).reshape(outs, ins)
    by_columns = found.forward(columns)[0].reshape(ins, outs).T
    assert torch.allclose(by_rows, by_columns, rtol=1e-12, atol=0)
    return by_rows, found


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_sensitivity_is_its_formula(name):
    network, _ = NETWORKS[name]()
    form = blocks(network)
    found, maps = _sensitivity(form)
    assert maps.exact
    size = form.state_size
    letters = {w: torch.from_numpy(form.to_sparse(w).toarray()).abs() for w in "ABCD"}
    gain = torch.zeros(size, form.argument_size).double()
    for i, argument in enumerate(form.arguments):
        rows = slice(*form.state_offsets[argument.block : argument.block + 2])
        gain[rows, slice(*form.argument_offsets[i : i + 2])] = oracles.matrix(
            maps.gains[i]
        )
    inverse = torch.linalg.inv(torch.eye(size).double() - gain @ letters["A"])
    wanted = letters["C"] @ inverse @ gain @ letters["B"] + letters["D"]
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_changes_stay_within_the_bound(name):
    network, x = NETWORKS[name]()
    form = blocks(network)
    low, high = x[:1] - 0.5, x[:1] + 0.5
    boxes = interval(network, low, high, [a.source for a in form.arguments])
    found, maps = _sensitivity(form, boxes)
    generator = torch.Generator().manual_seed(3)
    first, second = (
        low + torch.rand(200, *x.shape[1:], generator=generator).double() * (high - low)
        for _ in range(2)
    )
    here, there = (oracles.replayed(network, points) for points in (first, second))
    change = (first - second).abs()
    bound, states = maps.forward(change)
    moved = (here[network.output] - there[network.output]).abs()
    assert (moved <= bound + 1e-9).all()
    for block, index in enumerate(form.states):
        assert ((here[index] - there[index]).abs() <= states[block] + 1e-9).all()
    assert torch.allclose(bound.flatten(1), change.flatten(1) @ found.T, rtol=1e-9)


def test_numbers_of_a_small_network():
    network = from_layers([([[2.0], [-1.0]], None), ([[3.0, -4.0]], None)])
    found, maps = _sensitivity(blocks(network))
    assert found.tolist() == [[10.0]]
    assert maps.exact


def test_without_room_the_bound_is_looser_and_says_so():
    network, _ = NETWORKS["diamonds"]()
    exact = absolute(blocks(network))
    loose = absolute(blocks(network), limit=0)
    assert exact.exact
    one = torch.ones(1, 2).double()
    assert (loose.forward(one)[0] >= exact.forward(one)[0]).all()
    # All its coefficients are nonnegative, so nothing could cancel.
    assert loose.exact
    cancelling = from_layers([([[1.0], [1.0]], None)])
    network = _after(cancelling)
    assert absolute(blocks(network)).forward(one[:, :1])[0].item() == 0.0
    blind = absolute(blocks(network), limit=0)
    assert not blind.exact
    assert blind.forward(one[:, :1])[0].item() == 2.0


def _after(network):
    """Return x -> x1 - x2 of two equal copies of the input."""
    from linear_maps import MAPS

    build, x = start(*network.input_shape)
    first, second = MAPS["cancelling"]().maps
    y = build.affine("copies", [(x, first)], None, (2,))
    return finish(build, build.affine("difference", [(y, second)], None, (1,)))


def test_nodes_without_a_gain_are_named():
    for name, wanted in (("product", "product"), ("attention", "scores")):
        network, _ = NETWORKS[name]()
        with pytest.raises(UnboundedError, match="no finite gain anywhere") as refusal:
            absolute(blocks(network))
        assert [node.name for node in refusal.value.nodes] == [wanted]
    build, x = start(1)
    network = finish(build, build.smooth("rise", x, EXP))
    with pytest.raises(UnboundedError, match="exp at 'rise'"):
        gains(network, 1)
    box = (torch.zeros(1, 1).double(), torch.ones(1, 1).double())
    (gain,) = gains(network, 1, (box,))
    assert oracles.matrix(gain).item() == torch.e


def test_a_residual_network_by_its_ten_rows():
    form = blocks(resnet20())
    found = absolute(form)
    assert found.exact
    rows = found.adjoint(torch.eye(10).double())
    assert rows.shape == (10, 3, 32, 32)
    assert (rows >= 0).all()
    total = found.forward(torch.ones(1, 3, 32, 32).double())[0][0]
    assert torch.allclose(rows.flatten(1).sum(1), total, rtol=1e-10)
