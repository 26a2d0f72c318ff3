"""Small dense chains cut at once: the same cells as the walk over the nodes finds."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relulens as rl
from relulens.graph.polyhedral import polyhedral
from relulens.regions.slice_chain import cut_at_once, dense_chain
from relulens.regions.slice_mesh import polygon_mesh

SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def dense(widths, seed):
    generator = np.random.default_rng(seed)
    return rl.from_layers([
        (generator.normal(size=(m, n)), generator.normal(size=m))
        for n, m in pairwise(widths)
    ])


def plane_of(inputs, seed):
    generator = np.random.default_rng(seed)
    return rl.Plane(generator.normal(size=inputs), generator.normal(size=(2, inputs)))


def at_once(network, plane):
    region = polyhedral(network, network.output)
    return cut_at_once(region, plane, polygon_mesh(SQUARE), {})


def patterns(partition):
    return {
        tuple(v for name in pattern for v in pattern[name][0].tolist())
        for pattern in map(partition.pattern, range(partition.count))
    }


@settings(max_examples=15)
@given(
    st.lists(st.integers(1, 24), min_size=1, max_size=4),
    st.integers(2, 5),
    st.integers(0, 10**6),
)
def test_cells_are_those_of_the_walk(widths, inputs, seed):
    network, plane = dense((inputs, *widths, 2), seed), plane_of(inputs, seed)
    quick = rl.slice_partition(network, plane, SQUARE)
    # A budget is kept by the walk only.
    walked = rl.slice_partition(network, plane, SQUARE, budget=1e6)
    assert patterns(quick) == patterns(walked)
    assert quick.counts == walked.counts
    assert quick.certificate.euler == walked.certificate.euler == 1
    assert quick.vertices.shape == walked.vertices.shape
    assert quick.edges.shape == walked.edges.shape


def test_maps_and_patterns_are_the_networks():
    network, plane = dense((3, 70, 20, 2), 4), plane_of(3, 4)
    assert at_once(network, plane) is not None
    partition = rl.slice_partition(network, plane, SQUARE)
    points = plane.points(partition.centres)
    wanted = rl.activation_pattern(network, points)
    for cell in range(partition.count):
        found = partition.pattern(cell)
        assert all((found[name][0] == wanted[name][cell]).all() for name in found)
    outputs = rl.evaluate(network, points)
    for cell in range(0, partition.count, 7):
        here = partition.map(cell)(partition.centres[cell : cell + 1])
        torch.testing.assert_close(here[0], outputs[cell], atol=1e-9, rtol=0)


def test_leaky_units_and_units_that_do_not_vary():
    inputs = torch.nn.Sequential(
        torch.nn.Linear(2, 9), torch.nn.LeakyReLU(0.1), torch.nn.Linear(9, 5),
        torch.nn.PReLU(5), torch.nn.Linear(5, 1),
    ).double()  # fmt: skip
    with torch.no_grad():
        inputs[0].bias[:2] = torch.tensor([50.0, -50.0])
        inputs[3].weight[:] = torch.tensor([0.0, 0.2, 1.0, -1.0, 0.5])
    network = rl.from_torch(inputs, torch.zeros(1, 2, dtype=torch.float64))
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    assert at_once(network, plane) is not None
    quick = rl.slice_partition(network, plane, SQUARE)
    walked = rl.slice_partition(network, plane, SQUARE, budget=1e6)
    assert patterns(quick) == patterns(walked)
    for cell in range(quick.count):
        places = quick.polygon(cell)
        torch.testing.assert_close(
            quick.map(cell)(places), rl.evaluate(network, places), atol=1e-9, rtol=0
        )


@pytest.mark.parametrize("bias", [None, [0.0, 0.0, -0.5]])
def test_lines_through_one_point_are_left_to_the_walk(bias):
    first = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    network = rl.from_layers([(first, bias), ([[1.0, 1.0, 1.0]], None)])
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    if bias is None:
        assert at_once(network, plane) is None
    assert rl.slice_partition(network, plane, SQUARE).count == (
        6 if bias is None else 7
    )


def test_other_networks_are_no_chains():
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU()).double()

    class Residual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, x):
            return torch.relu(x + self.inner(x)[:, :2])

    network = rl.from_torch(Residual(), torch.zeros(1, 2, dtype=torch.float64))
    assert dense_chain(polyhedral(network, network.output)) is None
