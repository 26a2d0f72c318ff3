"""The check of a partition finds what is broken in it, and all of it if asked."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import relulens as rl
from relulens.graph.tolerances import Tolerances
from relulens.regions import slice_verification
from relulens.regions.slice_verification import verified

AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]


@pytest.fixture(scope="module")
def partition():
    generator = np.random.default_rng(0)
    layers = [
        (generator.normal(size=(m, n)), generator.normal(size=m))
        for n, m in pairwise((2, 60, 40, 1))
    ]
    return rl.slice_partition(rl.from_layers(layers), AXES, SQUARE)


def inner_edges(partition):
    return torch.where((partition.edge_cells >= 0).all(1))[0]


def swapped(partition, one, two):
    """Give two cells each other's corners."""
    indices, offsets = partition.indices.clone(), partition.offsets
    first = slice(int(offsets[one]), int(offsets[one + 1]))
    second = slice(int(offsets[two]), int(offsets[two + 1]))
    kept = indices[first].clone()
    indices[first] = indices[second]
    indices[second] = kept
    return replace(partition, indices=indices, _known={})


def clear_cells(partition, wanted):
    """Return cells with three corners and some area, the last ones."""
    three = (partition.offsets.diff() == 3) & (partition.areas > 1e-3)
    return torch.where(three)[0][-wanted:].tolist()


def test_everything_is_looked_at_if_asked(partition):
    assert partition.count > 2000
    found = verified(partition, most=None)
    assert found.verdict == "yes"
    assert found.checked + found.thin == partition.count
    assert found.checked > 0.99 * partition.count
    assert found.crossings == len(inner_edges(partition))
    assert (found.other, found.same) == (0, 0)
    some = verified(partition)
    assert some.checked + some.thin == some.crossings == 2000


def test_one_wrong_cell_among_all_is_found(partition):
    one, two = clear_cells(partition, 2)
    broken = swapped(partition, one, two)
    found = verified(broken, most=None)
    assert (found.verdict, found.other, found.same) == ("no", 2, 0)
    # A draw of a few may miss it; none of all does, whatever the seed.
    assert verified(broken, most=5, seed=1).other == 0
    assert verified(broken, most=None, seed=1).other == 2


def test_one_edge_that_changes_nothing_is_found(partition):
    sides = partition.edge_cells.clone()
    edge = int(inner_edges(partition)[-1])
    sides[edge, 1] = sides[edge, 0]
    found = verified(replace(partition, edge_cells=sides), most=None)
    assert (found.verdict, found.other, found.same) == ("no", 0, 1)


@pytest.mark.parametrize(
    ("field", "value"), [("unmatched_edges", 1), ("vertices", 0), ("area", 65.0)]
)
def test_sums_that_do_not_fit_are_no(partition, field, value):
    certificate = replace(partition.certificate, **{field: value})
    found = verified(replace(partition, certificate=certificate), most=10)
    assert found.verdict == "no"


def test_what_is_open_is_undecided(partition):
    certificate = replace(partition.certificate, undecided_signs=1)
    found = verified(replace(partition, certificate=certificate), most=10)
    assert found.verdict == "undecided"
    thin = verified(partition, most=10, tol=Tolerances(feasible=1.0))
    assert (thin.verdict, thin.checked, thin.thin) == ("undecided", 0, 10)


def test_cells_that_differ_in_one_layer_alone_are_told_apart(partition):
    sides = partition.edge_cells[inner_edges(partition)]
    made = partition.edge_layer[inner_edges(partition)]
    corners, areas = partition.offsets.diff()[sides], partition.areas[sides]
    alike = (corners[:, 0] == corners[:, 1]) & (areas > 1e-3).all(1)
    for layer in (0, 1):
        one, two = sides[alike & (made == layer)][0].tolist()
        assert verified(swapped(partition, one, two), most=None).other == 2


def test_batches_change_nothing(partition, monkeypatch):
    one, *_, two = clear_cells(partition, 40)
    broken = swapped(partition, one, two)
    sides = broken.edge_cells.clone()
    for edge in (0, -1):
        row = int(inner_edges(partition)[edge])
        sides[row, 1] = sides[row, 0]
    broken = replace(broken, edge_cells=sides)
    wanted = verified(broken, most=None)
    assert (wanted.other, wanted.same) == (2, 2)
    monkeypatch.setattr(slice_verification, "_CELLS", 7)
    assert verified(broken, most=None) == wanted


def test_a_partition_without_cells_is_undecided(partition):
    empty = rl.slice_partition(partition.network, AXES, SQUARE, budget=1e-9)
    assert empty.count == 0
    found = verified(empty, most=None)
    assert (found.verdict, found.checked, found.crossings) == ("undecided", 0, 0)
