"""Exact slices beside dense sampling, known counts and laws."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS

import relulens as rl
from relulens.errors import (
    InvalidArgumentError,
)
from relulens.regions.decision import decision_segments, level_segments
from relulens.regions.slice import slice_cells
from relulens.regions.slice_division import Division
from relulens.regions.slice_verification import verified
from relulens.regions.slice_walk import Walk

SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]
AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
COUNTS = {
    "a": (872, 922, 1793),
    "b": (4630, 4765, 9394),
    "d": (9379, 9591, 18969),
    "h1": (13772, 13957, 27728),
    "h3": (116, 121, 236),
    "h4": (79, 78, 156),
}
TABLE = [
    "residual",
    "projected_residual",
    "leaky",
    "parametric",
    "absolute_value",
    "clamp",
    "wide",
    "deep",
    "concat",
    "diamonds",
    "maximum_of_two",
    "conv_avgpool",
    "duplicate_hyperplane",
]


def slice_of(name):
    network, _ = NETWORKS[name]()
    size, shape = network.input_size, network.input_shape
    generator = torch.Generator().manual_seed(1)
    origin = torch.randint(-2, 3, (size,), generator=generator).double()
    directions = torch.randint(-2, 3, (2, size), generator=generator).double()
    plane = rl.Plane(origin.reshape(shape), directions.reshape(2, *shape))
    return network, plane


def key(pattern, row=0):
    return tuple(v for name in pattern for v in pattern[name][row].tolist())


def random_network(sizes, seed, bias=True):
    generator = np.random.default_rng(seed)
    return rl.from_layers([
        (
            generator.integers(-3, 4, (m, n)).astype(float),
            generator.integers(-3, 4, m).astype(float) if bias else None,
        )
        for n, m in pairwise(sizes)
    ])


def assert_right(partition, samples=1000):
    network, plane = partition.network, partition.plane
    assert partition.certificate.euler == 1
    assert abs(partition.certificate.area_difference) < 1e-9 * (
        partition.certificate.area
    )
    found = {key(partition.pattern(i)) for i in range(partition.count)}
    assert len(found) == partition.count
    generator = torch.Generator().manual_seed(2)
    low, high = partition.domain.amin(0), partition.domain.amax(0)
    places = torch.rand(samples, 2, generator=generator, dtype=torch.float64)
    seen = rl.activation_pattern(network, plane.points(low + places * (high - low)))
    assert {key(seen, i) for i in range(samples)} <= found
    report = verified(partition)
    assert report.verdict == "yes"
    assert report.other == 0
    assert report.same == 0


@pytest.mark.parametrize("name", TABLE)
def test_patterns_are_those_of_dense_sampling(name):
    network, plane = slice_of(name)
    assert_right(rl.slice_partition(network, plane, SQUARE))


def test_max_pooling_with_ties():
    network, plane = slice_of("max_pool")
    small = [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert_right(rl.slice_partition(network, plane, small))


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.booleans())
def test_degenerate_integer_networks(seed, bias):
    network = random_network((2, 5, 4, 3), seed, bias)
    assert_right(rl.slice_partition(network, AXES, SQUARE), samples=200)


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_maps_are_the_network_on_their_cells(seed):
    network = random_network((2, 5, 3, 2), seed)
    partition = rl.slice_partition(network, AXES, SQUARE)
    for cell in range(partition.count):
        places = partition.polygon(cell)
        wanted = rl.evaluate(network, AXES.points(places))
        torch.testing.assert_close(
            partition.map(cell)(places), wanted, atol=1e-8, rtol=0
        )


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(-3, 3))
def test_a_domain_cut_in_two_has_the_same_regions(seed, at):
    network = random_network((2, 5, 4, 1), seed)
    whole = rl.slice_partition(network, AXES, SQUARE)
    left = [[-4, -4], [at, -4], [at, 4], [-4, 4]]
    right = [[at, -4], [4, -4], [4, 4], [at, 4]]
    halves = [rl.slice_partition(network, AXES, half) for half in (left, right)]
    both = {key(half.pattern(i)) for half in halves for i in range(half.count)}
    assert both == {key(whole.pattern(i)) for i in range(whole.count)}


@pytest.mark.parametrize("name", list(COUNTS))
def test_counts_of_the_standard_cases(name, shared):
    case = np.load(shared / "cases" / f"{name}.npz")
    depth = sum(file.startswith("W") for file in case.files)
    network = rl.from_layers([(case[f"W{i}"], case[f"b{i}"]) for i in range(depth)])
    (a, b), (c, d) = case["lo"], case["hi"]
    partition = rl.slice_partition(network, AXES, [[a, b], [c, b], [c, d], [a, d]])
    sizes = (partition.count, len(partition.vertices), len(partition.edges))
    assert sizes == COUNTS[name]


def few_cells(walk, state, place, share):
    """Divide into parts of four cells, some with a basis and some with values."""
    if state.mesh.cells <= 8:
        return None
    return Division(per=4, direct=bool(state.mesh.cells % 2))


@pytest.mark.parametrize("name", ["projected_residual", "maximum_of_two"])
def test_parts_are_sewn_to_the_same_graph(name, monkeypatch):
    network, plane = slice_of(name)
    whole = rl.slice_partition(network, plane, SQUARE)
    monkeypatch.setattr(Walk, "_division", few_cells)
    parts = rl.slice_partition(network, plane, SQUARE)
    assert parts.certificate.unmatched_edges == 0
    assert_right(parts)
    assert len(parts.vertices) == len(whole.vertices)
    assert len(parts.edges) == len(whole.edges)
    given_ = list(slice_cells(network, plane, SQUARE))
    assert len(given_) > 1
    assert sum(part.count for part in given_) == whole.count


def test_a_budget_returns_what_is_finished(monkeypatch):
    network, plane = slice_of("projected_residual")
    monkeypatch.setattr(Walk, "_division", few_cells)
    partition = rl.slice_partition(network, plane, SQUARE, cells=100)
    assert not partition.complete
    assert partition.count >= 100
    assert 0 < partition.finished_area < 1
    assert float(partition.areas.sum()) == pytest.approx(64 * partition.finished_area)


def test_layers_and_what_made_the_edges():
    network = random_network((2, 4, 4, 1), 3)
    first = rl.slice_partition(network, AXES, SQUARE, layers=0)
    both = rl.slice_partition(network, AXES, SQUARE)
    assert both.counts == (first.count, both.count)
    assert set(both.edge_layer.tolist()) <= {-1, 0, 1}
    on_border = (both.edge_cells < 0).any(1)
    assert torch.equal(on_border, both.edge_layer < 0)
    for edge in torch.where(~on_border)[0].tolist():
        left, right = (both.pattern(int(c)) for c in both.edge_cells[edge])
        place, unit = int(both.edge_layer[edge]), int(both.edge_unit[edge])
        assert left[place][0, unit] != right[place][0, unit]


def test_decision_boundary_of_a_worked_example():
    # relu(x) against relu(y): equal on the diagonal, and both 0 below the axes.
    eye = [[1.0, 0.0], [0.0, 1.0]]
    network = rl.from_layers([(eye, None), (eye, [0.0, -1.0])])
    partition = rl.slice_partition(network, AXES, SQUARE)
    assert partition.count == 4
    segments = decision_segments(partition)
    ends = segments.ends.reshape(-1, 2)
    on = rl.evaluate(network, ends)
    torch.testing.assert_close(on[:, 0], on[:, 1])
    lengths = (segments.ends[:, 0] - segments.ends[:, 1]).norm(dim=1)
    # From (-4, 1) to (0, 1), then up to (3, 4).
    assert float(lengths.sum()) == pytest.approx(4 + 3 * 2**0.5)
    level = level_segments(partition, 0.5, output=0)
    assert torch.equal(level.ends[..., 0], torch.full_like(level.ends[..., 0], 0.5))


def test_a_partition_knows_its_decision_boundary():
    network = random_network((2, 6, 5, 3), 3)
    partition = rl.slice_partition(network, AXES, SQUARE)
    found = partition.decision_segments
    assert found is partition.decision_segments
    assert torch.equal(found.ends, decision_segments(partition).ends)
    assert len(found) > 0
    middle = rl.evaluate(network, AXES.points(found.ends.mean(1)))
    tied = middle.gather(1, found.outputs)
    torch.testing.assert_close(tied[:, 0], tied[:, 1], rtol=0, atol=1e-9)
    torch.testing.assert_close(tied[:, 0], middle.amax(1), rtol=0, atol=1e-9)
    assert "\n" not in repr(found)
    assert "\n" not in repr(partition.map(0))


def test_a_part_of_the_layers_has_no_decision_boundary():
    network = random_network((2, 6, 5, 3), 3)
    partition = rl.slice_partition(network, AXES, SQUARE, layers=0)
    with pytest.raises(InvalidArgumentError, match="by 1 of 2 layers"):
        _ = partition.decision_segments


def test_planes():
    points = torch.tensor([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0], [0.0, 3.0, 1.0]])
    plane = rl.Plane.through(*points)
    corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert torch.equal(plane.points(corners), points.double())
    torch.testing.assert_close(
        plane.coordinates(points), torch.tensor(corners).double()
    )
    principal = rl.Plane.principal(points)
    torch.testing.assert_close(
        principal.points(principal.coordinates(points)), points.double()
    )


def test_errors_of_deep_networks_are_capped_wherever_they_grow():
    # Few functions, whose own errors are small: the sums' bounds grow with depth alone.
    generator = np.random.default_rng(1)
    layers = [
        (generator.normal(size=(m, n)) * (2 / n) ** 0.5, generator.normal(size=m) / 10)
        for n, m in pairwise((2, *[64] * 14, 1))
    ]
    side = 1e-3
    square = [[-side, -side], [side, -side], [side, side], [-side, side]]
    partition = rl.slice_partition(rl.from_layers(layers), AXES, square)
    assert partition.count == 8
    assert not partition.certificate.proved_signs
    assert partition.certificate.largest_error < 1e-10
    assert verified(partition, most=None).verdict == "yes"
