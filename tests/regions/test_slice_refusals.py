"""What slices refuse, in words, and what a budget leaves says so."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

import relulens as rl
from relulens.errors import (
    InvalidArgumentError,
    NotFiniteError,
    NotPolyhedralError,
    ShapeError,
    UnknownNameError,
)
from relulens.regions.slice import slice_cells

AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]
NETWORK = rl.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 1.0]], None)])


@pytest.mark.parametrize(
    ("directions", "error", "words"),
    [
        ([[1.0, 2.0], [2.0, 4.0]], InvalidArgumentError, "norms 2.24 and 4.47.*parall"),
        ([[1.0, 2.0], [-1.0, -2.0 - 1e-13]], InvalidArgumentError, "parallel"),
        ([[1.0, 2.0], [0.0, 0.0]], InvalidArgumentError, "norms 2.24 and 0,"),
        ([[1.0, 2.0]], InvalidArgumentError, r"directions \[1, 2\]"),
        ([[1.0, np.nan], [np.inf, 1.0]], NotFiniteError, "2 of the 4 .* directions"),
        ([[1.0, 2.0], [1.0, 2.0 + 1e-9]], None, ""),
    ],
)
def test_directions(directions, error, words):
    with pytest.raises(error, match=words) if error else nullcontext():
        rl.Plane([0.0, 0.0], directions)


@pytest.mark.parametrize("make", [rl.Plane.through, rl.Plane.orthonormal])
def test_points_that_span_no_plane(make):
    line = [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [3.0, 3.0, 1.0]]
    with pytest.raises(InvalidArgumentError, match="parallel"):
        make(*line)
    with pytest.raises(InvalidArgumentError, match="parallel"):
        make(line[0], line[0], line[1])
    with pytest.raises(NotFiniteError, match="NaN"):
        make([0.0, np.nan, 1.0], *line[1:])
    with pytest.raises(InvalidArgumentError, match=r"shapes \[3\], \[3\], \[2\]"):
        make(*line[:2], [1.0, 2.0])


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ([[0.0, 0.1], [1.0, 1.1], [3.0, 3.1]], InvalidArgumentError, "have 1, and 2"),
        ([[0.0, 0.1], [1.0, 1.1]], InvalidArgumentError, "2 points of 2 numbers have"),
        ([[1e9, 0.1], [1e9, 0.1], [1e9, 0.1]], InvalidArgumentError, "have 0, and 2"),
        (np.zeros((0, 2)), InvalidArgumentError, "0 points"),
        ([0.0, 1.0], InvalidArgumentError, "batch axis"),
        ([[0.0, 1.0], [np.nan, 1.0], [2.0, 3.0]], NotFiniteError, "1 of the 6"),
        ([[1e9, 0.0], [1e9 + 1, 0.0], [1e9, 1.0]], None, ""),
    ],
)
def test_data_without_two_principal_components(data, error, words):
    with pytest.raises(error, match=words) if error else nullcontext():
        rl.Plane.principal(data)


def test_points_and_coordinates_that_are_none():
    with pytest.raises(NotFiniteError, match="1 of the 4 numbers of coordinates"):
        AXES.points([[0.0, 1.0], [np.nan, 2.0]])
    with pytest.raises(InvalidArgumentError, match=r"\[1, 3\]"):
        AXES.points([[0.0, 1.0, 2.0]])
    with pytest.raises(NotFiniteError, match="1 of the 2 numbers of x"):
        AXES.coordinates([[0.0, np.inf]])
    for wrong in ([0.0, 1.0], [[0.0, 1.0, 2.0]]):
        with pytest.raises(ShapeError, match="points of a plane"):
            AXES.coordinates(wrong)


@pytest.mark.parametrize(
    ("domain", "error", "words"),
    [
        ([], InvalidArgumentError, r"its shape is \[0\]"),
        (np.zeros((0, 2)), InvalidArgumentError, r"\[0, 2\]"),
        (np.zeros((4, 3)), InvalidArgumentError, r"\[4, 3\]"),
        ([[0, 0], [1, 1]], InvalidArgumentError, "at least 3"),
        ([[1, 1]] * 3, InvalidArgumentError, "area is 0"),
        ([[0, 0], [0.1, 0.3], [0.2, 0.6]], InvalidArgumentError, "area is 0"),
        ([[0, 0], [1, 0], [0, 1], [0, 1]], InvalidArgumentError, "1 of its 4 sides"),
        ([[0, 0], [1, 0], [np.nan, 1]], NotFiniteError, "1 of its 6"),
        ([[0, 0], [np.inf, 0], [0, -np.inf]], NotFiniteError, "2 of its 6"),
        ([[0, 0], [4, 4], [0, 4], [4, 0]], InvalidArgumentError, "not convex"),
        ([[0, 0], [2, 0], [0.5, 0.5], [0, 2]], InvalidArgumentError, "1 turn right"),
        ([[0, 3], [-2, -3], [3, 1], [-3, 1], [2, -3]], InvalidArgumentError, "2 times"),
    ],
)
def test_domains(domain, error, words):
    with pytest.raises(error, match=words):
        rl.slice_partition(NETWORK, AXES, domain)
    with pytest.raises(error, match=words):
        next(slice_cells(NETWORK, AXES, domain))


def test_planes_and_layers_that_are_none():
    space = rl.Plane([0.0] * 3, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    with pytest.raises(ShapeError, match=r"\[3\]"):
        rl.slice_partition(NETWORK, space, SQUARE)
    with pytest.raises(UnknownNameError, match="'relu7'"):
        rl.slice_partition(NETWORK, AXES, SQUARE, layers="relu7")
    partition = rl.slice_partition(NETWORK, AXES, SQUARE)
    for asked in (partition.polygon, partition.neighbours, partition.map):
        for cell in (-1, partition.count):
            with pytest.raises(InvalidArgumentError, match=f"cannot find cell {cell}:"):
                asked(cell)


def test_every_smooth_node_is_named_and_layers_before_it_are_cut():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.GELU(), nn.Linear(3, 2),
        nn.Tanh(),
    ).double()  # fmt: skip
    network = rl.from_torch(module, torch.zeros(1, 2).double())
    with pytest.raises(NotPolyhedralError, match="2 of the nodes") as raised:
        rl.slice_partition(network, AXES, SQUARE)
    assert len(raised.value.nodes) == 2
    for word in ("gelu at '3'", "tanh at '5'", "earlier layer", "relu for gelu"):
        assert word in str(raised.value)
    with pytest.raises(NotPolyhedralError, match="1 of the nodes") as raised:
        rl.slice_partition(network, AXES, SQUARE, layers=1)
    assert "gelu" in str(raised.value)
    assert "tanh at" not in str(raised.value)
    first = rl.slice_partition(network, AXES, SQUARE, layers=0)
    assert 4 <= first.count <= 7
    assert first.complete


@pytest.mark.parametrize("name", ["budget", "cells"])
@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_budgets_that_are_none(name, value):
    with pytest.raises(InvalidArgumentError, match=f"{name} is {value}, and must be"):
        rl.slice_partition(NETWORK, AXES, SQUARE, **{name: value})


def test_a_budget_that_is_reached_says_so():
    generator = np.random.default_rng(0)
    layers = [
        (generator.normal(size=(m, n)), generator.normal(size=m))
        for n, m in ((2, 90), (90, 60), (60, 2))
    ]
    network = rl.from_layers(layers)
    whole = rl.slice_partition(network, AXES, SQUARE)
    assert (whole.complete, whole.finished_area) == (True, 1.0)
    assert whole.certificate.complete
    assert "%" not in repr(whole)
    some = rl.slice_partition(network, AXES, SQUARE, cells=600)
    assert not some.complete
    assert not some.certificate.complete
    assert 600 <= some.count < whole.count
    assert some.finished_area == pytest.approx(float(some.areas.sum()) / 64)
    assert 0 < some.finished_area < 1
    assert f"{some.finished_area:.1%} of the area" in repr(some)
    assert some.certificate.finished_area == pytest.approx(float(some.areas.sum()))
    enough = rl.slice_partition(network, AXES, SQUARE, budget=1e6, cells=10**9)
    assert (enough.complete, enough.count) == (True, whole.count)
    none = rl.slice_partition(network, AXES, SQUARE, budget=1e-9)
    assert (none.complete, none.count, none.finished_area) == (False, 0, 0.0)
    assert "0.0% of the area" in repr(none)
