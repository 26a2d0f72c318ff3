"""Stages of many units, cut in rounds: the same regions as at once."""

import numpy as np
import pytest
import torch

import relulens as rl
from relulens.regions import slice_stage, slice_walk
from relulens.regions.slice_rounds import round_of
from relulens.regions.slice_verification import verified
from relulens.regions.slice_walk import Walk

SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]
AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])


class Wide(torch.nn.Module):
    """Two wide layers of units, what they read is read again at the end."""

    def __init__(self, slope, seed):
        super().__init__()
        sizes = ((2, 300), (300, 20), (20, 3), (300, 3))
        self.maps = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in sizes)
        self.act = torch.nn.LeakyReLU(slope)
        generator = torch.Generator().manual_seed(seed)
        for linear in self.maps:
            for values, most in ((linear.weight, 3), (linear.bias, 9)):
                drawn = torch.randint(
                    -most, most + 1, values.shape, generator=generator
                )
                values.data = drawn.double()

    def forward(self, x):
        one, two, three, four = self.maps
        z = one(x)
        return three(self.act(two(self.act(z)))) + four(z)


def wide(slope, seed=0):
    example = torch.zeros(1, 2, dtype=torch.float64)
    return rl.from_torch(Wide(slope, seed).eval(), example, dtype=torch.float64)


def patterns(partition):
    found = partition.codes.patterns(np.arange(partition.count))
    rows = np.concatenate([found[name].flatten(1).numpy() for name in found], axis=1)
    return np.unique(rows, axis=0)


@pytest.fixture
def rounds(monkeypatch):
    """Cut by 64 units at once, and return which rounds left some."""
    found = []

    def counted(*arguments, **options):
        made = round_of(*arguments, **options)
        found.append(made.rest is not None)
        return made

    monkeypatch.setattr(slice_stage, "round_of", counted)
    monkeypatch.setattr(slice_walk, "cut_at_once", lambda *_: None)
    monkeypatch.setattr(Walk, "_room", lambda _: 1)
    return found


@pytest.mark.parametrize("slope", [0.0, 0.125])
def test_rounds_give_the_same_regions(slope, rounds, monkeypatch):
    network = wide(slope)
    small = [[-1, -1], [0.5, -1], [0.5, 0.5], [-1, 0.5]]
    cut = rl.slice_partition(network, AXES, small)
    assert any(rounds)
    monkeypatch.setattr(Walk, "_room", lambda _: 1 << 30)
    rounds.clear()
    whole = rl.slice_partition(network, AXES, small)
    assert not any(rounds)
    assert whole.count > 300
    assert np.array_equal(patterns(cut), patterns(whole))
    assert len(patterns(cut)) == cut.count
    assert cut.counts == whole.counts
    assert len(cut.vertices) == len(whole.vertices)
    assert len(cut.edges) == len(whole.edges)
    report = verified(cut)
    assert report.verdict == "yes"
    for cell in range(0, cut.count, 50):
        places = cut.polygon(cell)
        wanted = rl.evaluate(network, AXES.points(places))
        torch.testing.assert_close(cut.map(cell)(places), wanted, atol=1e-8, rtol=1e-9)


def test_the_last_layer_in_rounds(rounds):
    network = wide(0.0)
    small = [[-1, -1], [0.5, -1], [0.5, 0.5], [-1, 0.5]]
    cut = rl.slice_partition(network, AXES, small, layers=0, threads=2)
    assert any(rounds)
    assert verified(cut).verdict == "yes"
    assert cut.certificate.euler == 1
