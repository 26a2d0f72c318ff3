"""Sparsity and reversal of real features, by hand."""

import math

import pytest
import torch

from relulens.importers.layers import from_layers
from relulens.reversal.activity import activity, following_layer
from relulens.reversal.likeness import random_likeness
from relulens.reversal.reverse import reversal

W = torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_numbers_of_one_layer_by_hand():
    network = from_layers([(W, None), (torch.randn(3, 20), None)])
    x = torch.randn(5, 6, dtype=torch.float64)
    h = torch.relu(x @ W.T)
    found = activity(network, x, network.layers[0])
    assert found.active == pytest.approx(float((h > 0).double().mean()))
    assert found.spread == pytest.approx(float((h.amax(1) / h.norm(dim=1)).mean()))
    k = float((h > 0).sum(1).double().mean())
    assert found.spread_expected == pytest.approx(math.sqrt(math.log(k) / k))
    wanted = reversal(network, x, layer=0).shape_error.median()
    assert found.reversal_error == pytest.approx(float(wanted))


def test_likeness_finds_the_layer_behind_each_matrix():
    layers = [(W, None), (torch.randn(8, 20), None), (torch.randn(3, 8), None)]
    network = from_layers(layers)
    assert following_layer(network, network.cuts["linear1"]).name == "relu1"
    assert following_layer(network, network.cuts["linear2"]) is None
    found = random_likeness(network, network, x=torch.randn(4, 6))
    behind = [w.activity.layer if w.activity else None for w in found.layers]
    assert behind == ["relu0", "relu1", None]
    assert found.layers[0].initial_activity == found.layers[0].activity
    assert random_likeness(network).layers[0].activity is None
