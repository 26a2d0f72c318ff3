"""Maxima of many groups, cut in rounds with the cells divided between: the same."""

import numpy as np
import pytest
import torch

import relulens as rl
from relulens.regions import slice_contest, slice_maximum, slice_walk
from relulens.regions.slice_division import Division
from relulens.regions.slice_verification import verified
from relulens.regions.slice_walk import Walk

AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
SQUARE = [[-2, -2], [2, -2], [2, 2], [-2, 2]]


class Pooled(torch.nn.Module):
    """Maxima of four entries of two layers; what the first reads is read again."""

    def __init__(self, seed):
        super().__init__()
        sizes = ((2, 64), (16, 24), (6, 3), (64, 3))
        self.maps = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in sizes)
        self.pool = torch.nn.MaxPool1d(4)
        generator = torch.Generator().manual_seed(seed)
        for linear in self.maps:
            for values in (linear.weight, linear.bias):
                drawn = torch.randint(-3, 4, values.shape, generator=generator)
                values.data = drawn.double()

    def forward(self, x):
        one, two, three, four = self.maps
        z = one(x)
        return three(self.pool(two(self.pool(z)))) + four(z)


def pooled(seed):
    example = torch.zeros(1, 2, dtype=torch.float64)
    return rl.from_torch(Pooled(seed).eval(), example, dtype=torch.float64)


def patterns(partition):
    found = partition.codes.patterns(np.arange(partition.count))
    rows = np.concatenate([found[name].flatten(1).numpy() for name in found], axis=1)
    return np.unique(rows, axis=0)


@pytest.fixture
def rounds(monkeypatch):
    """Cut by few groups at once, and return how many rounds left some."""
    left = []
    stage = slice_walk.maximum_stage

    def counted(state, *arguments, **options):
        value = stage(state, *arguments, **options)
        left.append(state.rest is not None)
        return value

    monkeypatch.setattr(slice_walk, "maximum_stage", counted)
    monkeypatch.setattr(slice_contest, "_PAIRS", 24)
    monkeypatch.setattr(slice_maximum, "_SMALL", 4)
    monkeypatch.setattr(Walk, "_room", lambda _: 1)
    return left


def in_parts(walk, state, *place):
    """Divide between the rounds, keeping the basis."""
    if state.rest is not None and state.mesh.cells > 10:
        return Division(per=7, direct=False)
    return None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("divided", [False, True])
def test_rounds_give_the_same_regions(seed, divided, rounds, monkeypatch):
    network = pooled(seed)
    division = in_parts if divided else lambda *_: None
    monkeypatch.setattr(Walk, "_division", division)
    cut = rl.slice_partition(network, AXES, SQUARE)
    assert sum(rounds) > 1
    assert (len(cut.codes.branches) > 2) == divided
    monkeypatch.setattr(Walk, "_room", lambda _: 1 << 30)
    rounds.clear()
    whole = rl.slice_partition(network, AXES, SQUARE)
    assert not any(rounds)
    assert whole.count > 60
    assert np.array_equal(patterns(cut), patterns(whole))
    assert len(patterns(cut)) == cut.count
    assert cut.counts == whole.counts
    assert len(cut.vertices) == len(whole.vertices)
    assert len(cut.edges) == len(whole.edges)
    report = verified(cut, most=None)
    assert report.verdict == "yes"
    for cell in range(0, cut.count, 10):
        places = cut.polygon(cell)
        wanted = rl.evaluate(network, AXES.points(places))
        torch.testing.assert_close(cut.map(cell)(places), wanted, atol=1e-8, rtol=1e-9)
