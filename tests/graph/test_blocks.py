"""Form (1): z = A x + B u + a, y = C x + D u + d, against values of the nodes."""

import oracles
import pytest
import torch
from networks import NETWORKS, POLYHEDRAL
from resnet import resnet20

from relulens.errors import MemoryLimitError
from relulens.graph.absolute import absolute
from relulens.graph.blocks import blocks
from relulens.graph.maps import Diagram, Identity
from relulens.importers.layers import from_layers
from relulens.importers.load import load


def _stacked(values, indices, count):
    empty = torch.zeros(count, 0).double()
    return torch.cat([empty, *(values[i].reshape(count, -1) for i in indices)], 1)


def _matrix(form, letter):
    return torch.from_numpy(form.to_sparse(letter).toarray())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_equation_holds(name):
    network, x = NETWORKS[name]()
    values = oracles.replayed(network, x)
    form = blocks(network)
    count = x.shape[0]
    state = _stacked(values, form.states, count)
    arguments = _stacked(values, [a.source for a in form.arguments], count)
    output = values[network.output].reshape(count, -1)
    u = x.reshape(count, -1)
    z = state @ _matrix(form, "A").T + u @ _matrix(form, "B").T + form.offset("a")
    y = state @ _matrix(form, "C").T + u @ _matrix(form, "D").T + form.offset("d")
    if name in POLYHEDRAL:
        assert torch.equal(z, arguments)
        assert torch.equal(y, output)
    assert torch.allclose(z, arguments, rtol=1e-12, atol=1e-12)
    assert torch.allclose(y, output, rtol=1e-12, atol=1e-12)
    assert form.state_size == network.state_size == state.shape[1]
    assert form.argument_size == arguments.shape[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_of_a_network_are_strictly_triangular(name):
    form = blocks(NETWORKS[name]()[0])
    for i, j in form.A:
        assert j < form.arguments[i].block


def test_numbers_of_a_small_network():
    form = blocks(from_layers([([[2.0], [-1.0]], [1.0, 0.0]), ([[3.0, 4.0]], [5.0])]))
    assert not form.A
    assert _matrix(form, "B").tolist() == [[2.0], [-1.0]]
    assert _matrix(form, "C").tolist() == [[3.0, 4.0]]
    assert form.D is None
    assert _matrix(form, "D").tolist() == [[0.0]]
    assert form.offset("a").tolist() == [1.0, 0.0]
    assert form.offset("d").tolist() == [5.0]
    assert form.state_offsets == form.argument_offsets == (0, 2)


def test_a_network_that_ends_in_its_state():
    network = NETWORKS["diamonds"]()[0]
    form = blocks(network)
    assert isinstance(form.C[1], Identity)
    assert form.d is None
    assert not form.offset("d").any()


def test_diamonds_are_summed_without_following_every_path():
    form = blocks(NETWORKS["diamonds"]()[0])
    (block,) = form.A.values()
    assert isinstance(block, Diagram)
    # 12 diamonds: the first splits at the state, every further one at the sum before.
    assert len(block.arrows) == 4 * 12


def test_products_read_two_arguments():
    network = NETWORKS["product"]()[0]
    form = blocks(network)
    by_block = [a.block for a in form.arguments]
    assert by_block == [0, 1, 2, 2, 3, 4, 4]
    assert form.argument_size == 7 * 4
    assert form.node(2).name == "product"


def test_the_form_of_a_residual_network():
    form = blocks(resnet20())
    assert form.state_size == form.argument_size == 188_416
    assert len(form.states) == 19
    assert all(j < form.arguments[i].block for i, j in form.A)
    # Nine blocks: two convolutions each, and nine shortcuts, two of them convolutions.
    assert len(form.A) == 27
    assert set(form.B) == {0}
    assert set(form.C) == {18}
    with pytest.raises(MemoryLimitError) as refusal:
        form.to_sparse("A", limit=1 << 20)
    assert refusal.value.limit == 1 << 20
    assert form.to_sparse("B").shape == (188_416, 3072)


def test_assembled_matrices_keep_within_the_limit():
    form = blocks(NETWORKS["wide"]()[0])
    assert form.to_sparse("B", limit=16 * 60).nnz <= 60
    with pytest.raises(MemoryLimitError):
        form.to_sparse("B", limit=16 * 10)


def test_the_form_of_a_published_residual_network(shared):
    network = load(shared / "models" / "cifar10-resnet20.onnx")
    form = blocks(network)
    assert form.state_size == form.argument_size == network.state_size == 188_416
    assert all(j < form.arguments[i].block for i, j in form.A)
    assert len(form.A) == 27
    assert absolute(form).exact
