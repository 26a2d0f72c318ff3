"""The shape of a pre-image against vertices, known bodies and laws."""

import numpy as np
import pytest
import torch
from preimage.polytope_oracle import vertices
from scipy.optimize import linprog
from scipy.spatial.distance import pdist

import relulens as rl
from relulens.errors import InvalidArgumentError
from relulens.preimage.geometry import preimage_geometry

CUBE = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])


def _network(A: np.ndarray, b: np.ndarray) -> rl.Network:
    return rl.from_layers([(A, b), (np.ones((1, len(A))), None)])


def _closed_cases() -> list[tuple[np.ndarray, np.ndarray]]:
    """Random bounded polytopes ``A x + b <= 0`` around zero, off at zero."""
    generator = np.random.default_rng(3)
    cases = []
    for _ in range(12):
        n = int(generator.integers(2, 4))
        extra = generator.integers(-3, 4, (4, n)).astype(float)
        A = np.concatenate([np.eye(n), -np.eye(n), extra])
        b = -generator.integers(1, 5, len(A)).astype(float)
        cases.append((A, b))
    return cases


@pytest.mark.parametrize(("A", "b"), _closed_cases())
def test_against_vertices(A: np.ndarray, b: np.ndarray) -> None:
    n = A.shape[1]
    corners = vertices(A, -b)
    directions = np.random.default_rng(0).standard_normal((4, n))
    found = preimage_geometry(
        _network(A, b), np.zeros((1, n)), layer=0, directions=directions
    )[0]
    assert found.verdict == "bounded"
    assert found.dimension == n
    for ranges, rows in ((found.widths, directions), (found.image, np.eye(n))):
        assert ranges is not None
        assert bool(ranges.complete.all())
        high, low = (corners @ rows.T).max(0), (corners @ rows.T).min(0)
        assert (ranges.high_found.numpy() <= high + 1e-12).all()
        assert (ranges.high_bound.numpy() >= high).all()
        assert np.allclose(ranges.high_found, high, atol=1e-6)
        assert np.allclose(ranges.high_bound, high, atol=1e-6)
        assert (ranges.low_bound.numpy() <= low).all()
        assert np.allclose(ranges.low_bound, low, atol=1e-6)
        assert np.allclose(ranges.low_found, low, atol=1e-6)
    assert found.diameter is not None
    true = pdist(corners).max()
    assert found.diameter.lower <= true + 1e-9
    assert found.diameter.lower >= 0.85 * true
    assert found.diameter.upper >= true


@pytest.mark.parametrize(("A", "b"), _closed_cases())
def test_largest_ball_against_a_linear_program(A: np.ndarray, b: np.ndarray) -> None:
    n = A.shape[1]
    size = np.linalg.norm(A, axis=1)
    kept = size > 0
    answer = linprog(
        np.eye(n + 1)[n] * -1,
        A_ub=np.column_stack([A, size])[kept],
        b_ub=-b[kept],
        bounds=[(None, None)] * (n + 1),
    )
    found = preimage_geometry(_network(A, b), np.zeros((1, n)), layer=0, programs=0)[0]
    assert found.radius <= -answer.fun + 1e-12
    assert found.radius == pytest.approx(-answer.fun, rel=1e-6)
    assert found.radius_bound >= -answer.fun - 1e-12
    assert found.radius_bound == pytest.approx(-answer.fun, rel=1e-6)
    assert found.centre is not None
    value = (A @ found.centre.numpy() + b)[kept]
    assert (value <= -(found.radius - 1e-12) * size[kept]).all()


def test_bounds_hold_without_programs() -> None:
    A, b = _closed_cases()[0]
    corners = vertices(A, -b)
    found = preimage_geometry(
        _network(A, b), np.zeros((1, A.shape[1])), layer=0, programs=0
    )[0]
    assert found.image is not None
    assert (found.image.high_bound.numpy() >= corners.max(0)).all()
    assert (found.image.low_bound.numpy() <= corners.min(0)).all()
    assert found.outer is not None
    assert found.inner is not None
    assert found.diameter is not None
    true = pdist(corners).max()
    assert 2 * found.inner <= true <= min(found.diameter.upper, 2 * found.outer)


def test_cube_samples_have_the_variance_of_a_cube() -> None:
    found = preimage_geometry(
        _network(CUBE, -np.ones(6)), np.zeros((1, 3)), layer=0, programs=0, samples=4000
    )[0]
    assert found.samples is not None
    points = found.samples.points.numpy()
    assert points.shape == (4000, 3)
    assert (np.abs(points) <= 1 + 1e-9).all()
    assert found.samples.mixed
    # The variance of 4000 uniform draws has standard error 0.0047.
    assert np.allclose(points.var(0), 1 / 3, atol=0.025)
    assert np.allclose(points.mean(0), 0, atol=0.05)
    again = preimage_geometry(
        _network(CUBE, -np.ones(6)), np.zeros((1, 3)), layer=0, programs=0, samples=4000
    )[0]
    assert again.samples is not None
    assert torch.equal(again.samples.points, found.samples.points)


def test_samples_of_a_needle_are_rounded_first() -> None:
    A = np.array([[1.0, 1], [-1, -1], [1000, -1000], [-1000, 1000]])
    found = preimage_geometry(
        _network(A, -np.ones(4)), np.zeros((1, 2)), layer=0, programs=0, samples=4000
    )[0]
    assert found.samples is not None
    assert found.samples.mixed
    inside = found.samples.points.numpy() @ A[[0, 2]].T
    assert np.allclose(inside.var(0), 1 / 3, atol=0.03)


def test_flat_piece_in_its_own_hull() -> None:
    network = _network(CUBE, -np.ones(6))
    found = preimage_geometry(network, [[2.0, 0.25, 0.5]], layer=0)[0]
    assert found.dimension == 2
    assert found.radius == pytest.approx(1)
    assert found.image is not None
    assert found.image.high_bound.tolist() == pytest.approx([2, 1, 1])
    assert found.image.low_bound.tolist() == pytest.approx([2, -1, -1])
    assert found.diameter is not None
    assert found.diameter.lower == pytest.approx(8**0.5)


def test_tight_rows_that_cancel_are_equalities() -> None:
    A = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    found = preimage_geometry(
        _network(A, np.array([0.0, 0, -1, -1])), [[0.0, 0]], layer=0
    )[0]
    assert (found.verdict, found.dimension) == ("bounded", 1)
    assert found.radius == pytest.approx(1)
    single = preimage_geometry(_network(A, np.zeros(4)), [[0.0, 0]], layer=0)[0]
    assert (single.verdict, single.dimension) == ("singleton", 0)
    assert single.diameter is not None
    assert single.diameter.upper == 0


def test_free_directions_and_lines() -> None:
    A = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    found = preimage_geometry(_network(A, np.zeros(3)), [[1.0, -1, 3]], layer=0)[0]
    assert (found.verdict, found.dimension) == ("unbounded", 2)
    assert found.recession is not None
    assert found.lineality is not None
    assert found.recession.shape == (2, 3)
    assert found.lineality.abs().tolist() == [[0, 0, 1]]
    assert found.radius == np.inf
    assert found.image is not None
    assert found.image.high_found.tolist() == [1, 0, np.inf]
    assert found.image.low_found.tolist() == [1, -np.inf, -np.inf]


def test_box_and_region_of_a_deep_network() -> None:
    generator = np.random.default_rng(5)
    W1 = generator.integers(-2, 3, (6, 5)).astype(float)
    W2 = generator.integers(-2, 3, (3, 6)).astype(float)
    network = rl.from_layers([
        (W1, np.ones(6)),
        (W2, np.ones(3)),
        (np.ones((1, 3)), None),
    ])
    x = np.full((1, 5), 0.5) + generator.random((1, 5)) * 0.25
    found = preimage_geometry(
        network, x, layer=1, scope="region", domain=rl.Box(0, 1), samples=200
    )[0]
    assert found.verdict == "bounded"
    assert found.samples is not None
    points = found.samples.points.numpy()
    assert points.min() >= -1e-12
    assert points.max() <= 1 + 1e-12

    def features(at: np.ndarray) -> np.ndarray:
        return np.maximum(np.maximum(at @ W1.T + 1, 0) @ W2.T + 1, 0)

    assert np.abs(features(points) - features(x)).max() <= 1e-9
    assert found.image is not None
    assert (found.image.high_bound.numpy() >= points.max(0)).all()
    assert (found.image.high_bound <= 1 + 1e-9).all()


def test_refusals() -> None:
    network = _network(CUBE, -np.ones(6))
    with pytest.raises(InvalidArgumentError, match="needs 3 finite entries"):
        preimage_geometry(network, np.zeros((1, 3)), layer=0, directions=[[1.0, 0]])
    assert preimage_geometry(network, np.zeros((0, 3)), layer=0) == []
    x = np.zeros((1, 3))
    for wrong in ({"samples": -1}, {"samples": 1.5}, {"programs": -1}):
        with pytest.raises(InvalidArgumentError, match="at least 0"):
            preimage_geometry(network, x, layer=0, **wrong)
    with pytest.raises(InvalidArgumentError, match="cannot use directions"):
        preimage_geometry(network, x, layer=0, directions="a")
