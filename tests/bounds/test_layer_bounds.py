"""Bounds of layers: against a textbook relaxation, sampling, and forced signs."""

from itertools import pairwise

import oracles
import pytest
import torch
from networks import NETWORKS
from textbook_crown import crown

import relulens as rl
from relulens.bounds.layer_bounds import layer_bounds
from relulens.errors import InvalidArgumentError, NotFiniteError, ShapeError
from relulens.graph.nodes import TwoSlope


def box(x, radius):
    return x - radius, x + radius


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("radius", [0.0, 0.25, 1.5])
@pytest.mark.parametrize("method", ["interval", "relaxation"])
def test_bounds_hold_and_never_widen(name, radius, method):
    network, x = NETWORKS[name]()
    low, high = box(x, radius)
    found = layer_bounds(network, low, high, method=method)
    plain = layer_bounds(network, low, high, method="interval")
    assert not found.empty.any()
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        share = torch.rand(x.shape, generator=generator, dtype=torch.float64)
        share = share.round() if torch.rand(1, generator=generator) < 0.5 else share
        values = oracles.replayed(network, low + share * (high - low))
        for index in found.lower:
            room = 1e-9 * (1 + values[index].abs())
            assert (found.lower[index] <= values[index] + room).all()
            assert (found.upper[index] >= values[index] - room).all()
    for index, lower in found.lower.items():
        assert (lower >= plain.lower[index] - 1e-11).all()
        assert (found.upper[index] <= plain.upper[index] + 1e-11).all()


def random_layers(sizes, seed):
    torch.manual_seed(seed)
    modules = [torch.nn.Linear(a, b).double() for a, b in pairwise(sizes)]
    return [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in modules]


@pytest.mark.parametrize("radius", [0.01, 0.1, 0.5])
def test_dense_networks_are_as_tight_as_the_textbook(radius):
    layers = random_layers((12, 20, 20, 20, 4), seed=1)
    network = rl.from_layers(layers)
    x = torch.rand(3, 12, dtype=torch.float64)
    lower, upper = layer_bounds(network, *box(x, radius)).output
    for i in range(3):
        least, most = crown(layers, (x[i] - radius).numpy(), (x[i] + radius).numpy())
        assert (lower[i].numpy() >= least - 1e-9).all()
        assert (upper[i].numpy() <= most + 1e-9).all()


def test_forced_signs_are_kept_and_contradictions_noticed():
    network, _ = NETWORKS["one_unit"]()
    unit = next(i for i, n in enumerate(network.nodes) if isinstance(n, TwoSlope))
    low, high = -torch.ones(3, 1), torch.ones(3, 1)
    low[2], high[2] = 0.5, 1.0
    signs = torch.tensor([[1], [-1], [-1]], dtype=torch.int8)
    found = layer_bounds(network, low, high, splits={unit: signs})
    assert found.empty.tolist() == [False, False, True]
    assert found.output[1][1].item() == pytest.approx(0.0, abs=1e-15)
    assert found.argument(unit)[0][0].item() == 0.0


def test_refining_fewer_rows_is_sound_and_said():
    layers = random_layers((4, 16, 16, 2), seed=3)
    network = rl.from_layers(layers)
    x = torch.rand(1, 4, dtype=torch.float64)
    whole = layer_bounds(network, *box(x, 0.5))
    part = layer_bounds(network, *box(x, 0.5), rows=3)
    assert whole.unrefined == 0
    assert part.unrefined > 0
    assert (part.output[0] <= whole.output[0] + 1e-12).all()


def test_rows_of_the_output():
    network, x = NETWORKS["wide"]()
    found = layer_bounds(network, *box(x, 0.5))
    rows = torch.tensor([[[1.0, -1.0]]], dtype=torch.float64)
    low, high = found.rows(rows)
    y = rl.evaluate(network, x)
    gap = y[:, 0] - y[:, 1]
    assert (low[:, 0] <= gap).all()
    assert (high[:, 0] >= gap).all()
    apart = found.output[0][:, 0] - found.output[1][:, 1]
    assert (low[:, 0] >= apart - 1e-9).all()


def test_no_boxes_give_no_bounds():
    network, x = NETWORKS["residual"]()
    found = layer_bounds(network, x[:0], x[:0])
    assert found.output[0].shape == (0, *network.output_shape)


def test_refusals():
    network, x = NETWORKS["wide"]()
    with pytest.raises(InvalidArgumentError, match="low exceeds high in 10 of its 10"):
        layer_bounds(network, x + 1, x)
    with pytest.raises(NotFiniteError):
        layer_bounds(network, x, x + torch.inf)
    with pytest.raises(ShapeError):
        layer_bounds(network, x[:, :1], x)
    with pytest.raises(InvalidArgumentError, match="method 'zonotope'"):
        layer_bounds(network, x, x, method="zonotope")
    with pytest.raises(InvalidArgumentError, match="signs"):
        layer_bounds(network, x, x, splits={0: torch.zeros(1)})
