"""Points located in cells, beside a loop over polygons and the network's patterns."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relulens as rl
from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.regions import location
from relulens.regions.location import locate
from relulens.regions.slice_division import Division
from relulens.regions.slice_walk import Walk

AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]


def random_slice(seed, **options):
    generator = np.random.default_rng(seed)
    layers = [
        (generator.normal(size=(m, n)), generator.normal(size=m))
        for n, m in ((2, 8), (8, 6), (6, 2))
    ]
    return rl.slice_partition(rl.from_layers(layers), AXES, SQUARE, **options)


def holding(partition, point):
    """Return every closed cell that holds a point, in exact arithmetic."""
    x, y = map(Fraction, point)
    found = set()
    for cell in range(partition.count):
        corners = [tuple(map(Fraction, p)) for p in partition.polygon(cell).tolist()]
        if all(
            (b[0] - a[0]) * (y - a[1]) >= (b[1] - a[1]) * (x - a[0])
            for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
        ):
            found.add(cell)
    return found


@given(st.integers(0, 10**6), st.integers(0, 40))
def test_located_cells_are_those_that_hold_the_points(seed, count):
    partition = random_slice(seed)
    generator = np.random.default_rng(seed)
    points = generator.uniform(-5, 5, size=(count, 2))
    points[: count // 3] = points[: count // 3].round()
    found = locate(partition, points)
    assert len(found) == count
    for point, cell, depth in zip(points, found.cell, found.depth, strict=True):
        wanted = holding(partition, point)
        assert int(cell) in wanted if wanted else int(cell) == -1
        assert (float(depth) > -1e-9) == bool(wanted)


def test_patterns_are_those_of_the_network_at_the_points(monkeypatch):
    monkeypatch.setattr(location, "_TOGETHER", 64)
    partition = random_slice(5)
    points = torch.rand(2000, 2, dtype=torch.float64) * 8 - 4
    found = locate(partition, points)
    clear = found.depth > 1e-9
    assert int(clear.sum()) > 1990
    seen = rl.activation_pattern(partition.network, AXES.points(points[clear]))
    order = torch.argsort(found.cell[clear])
    stored = partition.codes.patterns(found.cell[clear][order].numpy())
    for name in seen:
        assert torch.equal(seen[name][order], stored[name])


def test_centres_lie_in_their_cells_and_corners_on_borders():
    partition = random_slice(7)
    found = locate(partition, partition.centres)
    assert found.cell.tolist() == list(range(partition.count))
    on = locate(partition, partition.vertices)
    assert (on.cell >= 0).all()
    assert float(on.depth.abs().max()) < 1e-9
    # The depth is a distance: the largest circle about a centre touches the border.
    side = partition.polygon(0) - partition.centres[0]
    following = side.roll(-1, 0)
    cross = side[:, 0] * following[:, 1] - side[:, 1] * following[:, 0]
    assert float(found.depth[0]) == pytest.approx(
        float((cross / (following - side).norm(dim=1)).min())
    )


def test_unfinished_parts_hold_nothing(monkeypatch):
    monkeypatch.setattr(
        Walk,
        "_division",
        lambda _, state, *__: (
            Division(per=8, direct=True) if state.mesh.cells > 16 else None
        ),
    )
    partition = random_slice(3, cells=20)
    assert not partition.complete
    whole = random_slice(3)
    points = torch.rand(500, 2, dtype=torch.float64) * 8 - 4
    found, wanted = locate(partition, points), locate(whole, points)
    assert (wanted.cell >= 0).all()
    inside = found.cell >= 0
    assert float(inside.double().mean()) == pytest.approx(
        partition.finished_area, abs=0.07
    )
    for at in torch.where(inside)[0].tolist():
        cell = int(found.cell[at])
        assert partition.pattern(cell).equals(whole.pattern(int(wanted.cell[at])))


def test_bad_points_are_refused():
    partition = random_slice(3)
    with pytest.raises(InvalidArgumentError, match=r"their shape is \[2\]"):
        locate(partition, [0.0, 1.0])
    with pytest.raises(NotFiniteError, match="1 of their 4 coordinates"):
        locate(partition, [[0.0, 1.0], [np.nan, 0.0]])
    assert repr(locate(partition, [[0, 0], [9, 9]])) == "Located(2 points, 1 outside)"
