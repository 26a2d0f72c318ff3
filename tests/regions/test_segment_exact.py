"""Ties along a line beside fractions: kinks at one place, or next to each other."""

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL

import relulens as rl
from relulens.graph.nodes import Affine, Input, TwoSlope
from relulens.regions import line


def rows_of(linear):
    return [[(j, Fraction(w)) for j, w in enumerate(row) if w]
            for row in linear.to_dense().tolist()]  # fmt: skip


def roots_between(low, high):
    """Return where a line from one value to another is zero, if inside."""
    return [low / (low - high)] if low * high < 0 else []


class Path:
    """Values of all nodes along a line, in fractions, where any of them bends."""

    def __init__(self, start, end):
        ends = [[Fraction(v) for v in x.flatten().tolist()] for x in (start, end)]
        self.times, self.values = [Fraction(0), Fraction(1)], {}
        self.ends, self.codes = ends, []

    def affine(self, index, node):
        bias = torch.zeros(()) if node.bias is None else node.bias
        total = [Fraction(v) for v in bias.expand(node.shape).flatten().tolist()]
        terms = [(rows_of(term.map), term.source) for term in node.terms]
        read = [(rows, self.values[source]) for rows, source in terms]
        self.values[index] = [
            [
                first + sum(w * z[at][j] for rows, z in read for j, w in rows[i])
                for i, first in enumerate(total)
            ]
            for at in range(len(self.times))
        ]  # fmt: skip

    def split(self, shares):
        """Take further times, by how far between the old ones they lie."""
        times, values = [self.times[0]], {i: v[:1] for i, v in self.values.items()}
        for k, (a, b) in enumerate(pairwise(self.times)):
            for share in [*sorted(shares[k]), Fraction(1)]:
                times.append(a + share * (b - a))
                for i, rows in self.values.items():
                    both = zip(rows[k], rows[k + 1], strict=True)
                    values[i].append([x + share * (y - x) for x, y in both])
        self.times, self.values = times, values

    def two_slope(self, index, node):
        z = self.values[node.source]
        self.split([
            {root for pair in zip(*rows, strict=True) for root in roots_between(*pair)}
            for rows in pairwise(z)
        ])
        slopes = [
            [Fraction(v) for v in slope.expand(node.shape).flatten().tolist()]
            for slope in (node.negative, node.positive)
        ]
        both = list(zip(*slopes, strict=True))
        self.values[index] = [
            [v * (q if v > 0 else p) for v, (p, q) in zip(row, both, strict=True)]
            for row in self.values[node.source]
        ]
        bends = [i for i, (p, q) in enumerate(both) if p != q]
        self.codes.append((node.source, lambda z: [z[i] > 0 for i in bends]))

    def maximum(self, index, node):
        z, ragged = self.values[node.source], node.groups.ragged
        flat, stops = ragged.index.tolist(), ragged.pointers.tolist()
        groups = [flat[a:b] for a, b in pairwise(stops)]
        pairs = [pair for group in groups for pair in combinations(group, 2)]
        self.split([
            {r for i, j in pairs for r in roots_between(a[i] - a[j], b[i] - b[j])}
            for a, b in pairwise(z)
        ])
        self.values[index] = [
            [max(row[i] for i in group) for group in groups]
            for row in self.values[node.source]
        ]
        self.codes.append((
            node.source,
            lambda z: [max(g, key=z.__getitem__) for g in groups],
        ))

    def code(self, k):
        """Return all codes in the middle between two times."""
        found = []
        for source, code in self.codes:
            rows = self.values[source][k : k + 2]
            found += code([x + y for x, y in zip(*rows, strict=True)])
        return found


def kinks_of(network, start, end):
    """Return where codes change on the line, by fractions through all nodes."""
    path = Path(start, end)
    for index, node in enumerate(network.nodes):
        if isinstance(node, Input):
            path.values[index] = list(path.ends)
        elif isinstance(node, Affine):
            path.affine(index, node)
        elif isinstance(node, TwoSlope):
            path.two_slope(index, node)
        else:
            path.maximum(index, node)
    codes = [path.code(k) for k in range(len(path.times) - 1)]
    changed = [a != b for a, b in pairwise(codes)]
    return [t for t, other in zip(path.times[1:], changed, strict=False) if other]


def assert_right(network, start, end):
    found = rl.regions_on_segment(network, start, end)
    wanted = kinks_of(network, start, end)
    assert found.t.tolist() == pytest.approx([float(t) for t in wanted], abs=1e-12)
    assert found.count == len(wanted) + 1
    assert found.doubtful == 0
    assert found.proved
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted({*POLYHEDRAL} - {"plain_affine"}))
def test_kinks_between_whole_points_are_those_of_fractions(name, seed):
    network, _ = NETWORKS[name]()
    draw = torch.Generator().manual_seed(seed)
    shape = (2, *network.input_shape)
    start, end = torch.randint(-2, 3, shape, generator=draw).double()
    if torch.equal(start, end):
        end = start + 1
    assert_right(network, start, end)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 3))
def test_networks_of_few_numbers_with_ties_everywhere(seed, size):
    draw = np.random.default_rng(seed)
    widths = (2, 4 + size, 4, 3, 2)
    pairs = [
        (
            draw.integers(-2, 3, (m, n)).astype(float),
            draw.integers(-1, 2, m).astype(float),
        )
        for n, m in pairwise(widths)
    ]
    start, end = draw.integers(-3, 4, (2, 2)).astype(float)
    if (start == end).all():
        end = start + 1.0
    assert_right(rl.from_layers(pairs), torch.from_numpy(start), torch.from_numpy(end))


def near_thirds(bias):
    """Return a network of kinks at 1/3 and next to it, in both of two layers."""
    first = ([[3.0], [6.0], [1.0]], [-1.0, -2.0 + bias, 0.0])
    second = ([[0.0, 0.0, 9.0], [1.0, 0.0, 12.0]], [-3.0, -4.0])
    return rl.from_layers([first, second, ([[1.0, 1.0]], None)])


def test_kinks_at_one_place_and_next_to_it_are_told_apart():
    ends = torch.tensor([[0.0], [1.0]]).double()
    together = assert_right(near_thirds(0.0), *ends)
    assert together.count == 2
    assert together.decided > 0
    for bias in (2.0**-51, -(2.0**-51)):
        assert assert_right(near_thirds(bias), *ends).count == 3


def test_without_time_ties_are_doubtful_and_nothing_is_proved():
    found = rl.regions_on_segment(near_thirds(2.0**-51), [0.0], [1.0], exact_seconds=0)
    assert found.doubtful > 0
    assert not found.proved
    assert "doubtful" in repr(found)


def test_bounds_that_tell_nothing_prove_nothing(monkeypatch):
    monkeypatch.setattr(line, "TRUST", 0.0)
    network, _ = NETWORKS["deep"]()
    size = network.input_size
    start, end = -2 * torch.ones(size).double(), torch.arange(1.0, size + 1).double()
    found = rl.regions_on_segment(network, start, end)
    assert not found.proved or found.count == 1
    assert found.count == len(kinks_of(network, start, end)) + 1
