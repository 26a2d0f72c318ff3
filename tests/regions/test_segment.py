"""Regions along a line against exact rationals and dense sampling."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL

import relulens as rl
from relulens.errors import InvalidArgumentError, NotFiniteError, NotPolyhedralError
from relulens.regions import segment


def patterns_between(network, start, end, t):
    """Return the patterns in the middle of every interval of the line."""
    ends = torch.cat([torch.zeros(1).double(), t, torch.ones(1).double()])
    middle = ((ends[1:] + ends[:-1]) / 2).reshape(-1, *[1] * start.ndim)
    pattern = rl.activation_pattern(network, start + middle * (end - start))
    return torch.cat([pattern[name].long() for name in pattern], dim=1)


@pytest.mark.parametrize("name", sorted({*POLYHEDRAL} - {"plain_affine"}))
def test_the_pattern_changes_at_every_switch_and_nowhere_else(name):
    network, _ = NETWORKS[name]()
    generator = torch.Generator().manual_seed(3)
    ends = 3 * torch.randn((2, *network.input_shape), generator=generator).double()
    found = rl.regions_on_segment(network, *ends)
    assert found.complete
    codes = patterns_between(network, *ends, found.t)
    assert ((codes[1:] != codes[:-1]).any(1)).all()
    fine = torch.linspace(0, 1, 4001).double()
    inside = torch.searchsorted(found.t, fine)
    pattern = rl.activation_pattern(
        network, torch.stack([torch.lerp(*ends, float(v)) for v in fine])
    )
    sampled = torch.cat([pattern[key].long() for key in pattern], dim=1)
    gap = (fine[:, None] - found.t).abs().amin(1) if len(found.t) else fine + 1
    far = gap > 1e-9
    assert (sampled[far] == codes[inside[far]]).all()


@given(st.integers(0, 10_000))
def test_kinks_of_one_layer_are_the_rational_roots(seed):
    draw = np.random.default_rng(seed)
    weight = draw.integers(-3, 4, (6, 2)).astype(float)
    bias = draw.integers(-3, 4, 6).astype(float)
    network = rl.from_layers([(weight, bias), (np.ones((1, 6)), None)])
    start, end = draw.integers(-5, 6, (2, 2)).astype(float)
    if (start == end).all():
        end = start + 1.0
    low, high = weight @ start + bias, weight @ end + bias
    roots = {
        Fraction(int(a)) / Fraction(int(a - b))
        for a, b in zip(low, high, strict=True)
        if a * b < 0
    }
    found = rl.regions_on_segment(network, start, end)
    assert found.count == len(roots) + 1
    assert found.t.tolist() == pytest.approx([float(r) for r in sorted(roots)])


def test_pieces_of_the_line_join_without_a_seam(monkeypatch, shared):
    table = np.load(shared / "cases" / "b.npz")
    pairs = [(table[f"W{i}"], table[f"b{i}"]) for i in range(4)]
    network = rl.from_layers(pairs)
    whole = rl.regions_on_segment(network, table["lo"], table["hi"])
    monkeypatch.setattr(segment, "CHUNK_BYTES", 8)
    cut = rl.regions_on_segment(network, table["lo"], table["hi"])
    assert whole.count == cut.count > 64
    assert torch.allclose(whole.t, cut.t, atol=1e-12)


def test_a_max_pool_network_between_two_images(shared):
    network = rl.load(shared / "models" / "mnist-lenet-maxpool.onnx")
    draw = torch.Generator().manual_seed(0)
    ends = torch.rand((2, 1, 28, 28), generator=draw).double().round(decimals=2)
    found = rl.regions_on_segment(network, *ends)
    codes = patterns_between(network, *ends, found.t)
    assert (codes[1:] != codes[:-1]).any(1).all()
    assert len(torch.unique(codes, dim=0)) == found.count


def test_a_budget_stops_early_and_says_where():
    network = rl.from_layers([
        (np.ones((9, 1)), -np.arange(1.0, 10.0)),
        (np.ones((1, 9)), None),
    ])
    found = rl.regions_on_segment(network, [0.0], [10.0], budget=4)
    assert (found.count, found.complete) == (4, False)
    assert found.reached == pytest.approx(0.4)
    whole = rl.regions_on_segment(network, [0.0], [10.0])
    assert whole.t.tolist() == pytest.approx([k / 10 for k in range(1, 10)])
    assert whole.unit.tolist() == list(range(9))


def test_bad_ends_are_refused():
    network, _ = NETWORKS["bottleneck"]()
    ones = torch.ones(network.input_shape)
    with pytest.raises(InvalidArgumentError, match="equal"):
        rl.regions_on_segment(network, ones, ones)
    with pytest.raises(NotFiniteError):
        rl.regions_on_segment(network, ones, ones * torch.nan)
    with pytest.raises(InvalidArgumentError, match="holds 2"):
        rl.regions_on_segment(network, ones, torch.stack([ones, ones]))
    curved, x = NETWORKS["smooth"]()
    with pytest.raises(NotPolyhedralError, match="gelu"):
        rl.regions_on_segment(curved, x[0], x[1])
