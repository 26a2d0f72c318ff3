"""Reversal of networks against transposes written out by hand."""

import pytest
import torch

from relulens.errors import InvalidArgumentError, UnsupportedOperationError
from relulens.graph.coupled import Product
from relulens.graph.domain import Box
from relulens.graph.groups import Groups
from relulens.graph.maps.windows import Windows
from relulens.graph.network import Provenance
from relulens.importers.builder import Builder, with_batch
from relulens.importers.layers import from_layers
from relulens.reversal.reverse import generate, reversal

W1 = torch.randn(
    30, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
)
W2 = torch.randn(9, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_two_layers_by_hand():
    network = from_layers(
        [(W1, None), (W2, None), (torch.eye(9), None)], domain=Box(0, 1)
    )
    x = torch.rand(4, 12, dtype=torch.float64)
    result = reversal(network, x, layer="relu1")
    h = torch.relu(torch.relu(x @ W1.T) @ W2.T)
    middle = torch.relu(h @ W2) * 2 * 9 / W2.square().sum()
    made = torch.relu(middle @ W1) * 2 * 30 / W1.square().sum()
    torch.testing.assert_close(result.generated, made)
    again = torch.relu(torch.relu(made @ W1.T) @ W2.T)
    torch.testing.assert_close(result.error, (again - h).norm(dim=1) / h.norm(dim=1))
    assert set(result.by_layer) >= {"relu0", "relu1"}
    assert set(result.baselines) == {"least squares", "shuffled features"}


def test_least_squares_goes_back_where_it_can():
    wide = torch.randn(6, 20, dtype=torch.float64)
    network = from_layers([(wide, torch.ones(6)), (torch.eye(6), None)])
    result = reversal(network, torch.randn(5, 20, dtype=torch.float64), layer=0)
    assert (result.baselines["least squares"] < 1e-4).all()


def test_least_squares_stays_finite_where_features_outnumber_inputs():
    tall = torch.randn(60, 5, dtype=torch.float64)
    network = from_layers([(tall, torch.randn(60)), (torch.eye(60), None)])
    x = torch.randn(6, 5, dtype=torch.float64)
    found = reversal(network, x, layer=0).baselines["least squares"]
    assert (found < 1.5).all()


def test_generation_from_a_class_is_the_transposed_row():
    network = from_layers([(W1, None), (W2, None)])
    made = generate(network, torch.eye(9, dtype=torch.float64))
    middle = torch.relu(W2) * 2 * 9 / W2.square().sum()
    torch.testing.assert_close(made, middle @ W1 * 30 / W1.square().sum())


def test_pooling_spreads_a_maximum_over_its_window():
    build = Builder()
    x = build.input("input", with_batch((1, 4)))
    groups = Groups.of_windows((1, 4), Windows((2,), (2,), ((0, 0),), (1,)))
    pooled = build.maximum("pool", x, groups, with_batch((1, 2)), operation="max_pool")
    network = build.network(pooled, provenance=Provenance(format="layers"))
    made = generate(network, torch.tensor([[[3.0, 5.0]]]), layer="pool")
    assert made.tolist() == [[[3.0, 3.0, 5.0, 5.0]]]


def test_products_are_refused_by_name():
    build = Builder()
    x = build.input("input", with_batch((3,)))
    both = build.coupled("gate", [x, x], Product(), with_batch((3,)))
    network = build.network(both, provenance=Provenance(format="layers"))
    with pytest.raises(UnsupportedOperationError) as caught:
        reversal(network, torch.ones(1, 3), layer="gate")
    assert [node.name for node in caught.value.nodes] == ["gate"]


def test_refusals_and_empty_batches():
    network = from_layers([(W1, None), (W2, None)])
    with pytest.raises(InvalidArgumentError, match="kept"):
        reversal(network, torch.ones(1, 12), layer=0, keep=0.0)
    with pytest.raises(InvalidArgumentError, match="shape"):
        generate(network, torch.ones(1, 4))
    assert reversal(network, torch.ones(0, 12), layer=0).error.shape == (0,)
