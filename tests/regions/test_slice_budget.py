"""Budgets hold within stages, and what is finished is right."""

import time
from itertools import count

import numpy as np
import pytest
import torch

import relulens as rl
from relulens.regions import slice_walk

SQUARE = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])


def wide(units, seed=0):
    """Return a network whose first layer has most lines through the square."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, units)
    first = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    second = generator.normal(size=(32, units)) * (2 / units) ** 0.5
    last = generator.normal(size=(1, 32))
    bias = generator.uniform(-1, 1, units)
    return rl.from_layers([(first, bias), (second, np.zeros(32)), (last, None)])


def codes(partition):
    found = partition.codes.patterns(np.arange(partition.count))
    rows = np.concatenate([found[name].flatten(1).numpy() for name in found], axis=1)
    areas = partition.areas.tolist()
    return {row.tobytes(): area for row, area in zip(rows, areas, strict=True)}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("looks", [30, 80])
def test_what_is_finished_is_part_of_the_whole(threads, looks, monkeypatch):
    network = wide(200)
    whole = codes(rl.slice_partition(network, AXES, SQUARE))
    clock, now = count(), time.monotonic() + 1e-3
    monkeypatch.setattr(slice_walk, "monotonic", lambda: now + next(clock) * 1e-3)
    found = rl.slice_partition(
        network, AXES, SQUARE, budget=looks * 1e-3, threads=threads
    )
    assert not found.complete
    assert 0 < found.count < len(whole)
    for row, area in codes(found).items():
        assert area == pytest.approx(whole[row], rel=1e-9, abs=1e-15)
    assert found.finished_area == pytest.approx(float(found.areas.sum()) / 4)
    assert found.certificate.unmatched_edges == 0


def test_a_budget_of_a_second_holds_where_minutes_are_needed():
    network = wide(1500)
    rl.slice_partition(network, AXES, 0.02 * torch.tensor(SQUARE), budget=60.0)
    begun = time.process_time()
    found = rl.slice_partition(network, AXES, SQUARE, budget=1.0)
    assert time.process_time() - begun < 2.0
    assert not found.complete
    assert found.finished_area < 0.5
    # Every cell is whole: across each of its edges another pattern begins.
    for cell in range(0, found.count, max(found.count // 20, 1)):
        corners = found.polygon(cell)
        inside = corners.mean(0)
        middle = (corners + corners.roll(-1, 0)) / 2
        beyond = inside + 1.001 * (middle - inside)
        beyond = beyond[(beyond.abs() < 1).all(1)]
        own = found.pattern(cell)
        seen = rl.activation_pattern(network, AXES.points(beyond))
        for row in range(len(beyond)):
            assert any(not torch.equal(own[k][0], seen[k][row]) for k in own)


def test_cells_stop_the_walk_after_the_part_that_reaches_them():
    network = wide(200)
    found = rl.slice_partition(network, AXES, SQUARE, cells=2000)
    assert not found.complete
    assert 2000 <= found.count < 4000
