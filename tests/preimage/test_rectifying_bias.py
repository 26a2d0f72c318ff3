"""Rectifying biases against dense points, and reconstruction from active frames."""

import numpy as np
import pytest

from relulens.errors import InvalidArgumentError
from relulens.preimage.frame_reconstruction import frame_reconstruction
from relulens.preimage.rectifying_bias import rectifying_bias


def _frame(seed: int, m: int, n: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((m, n))
    return np.concatenate([drawn, -drawn.sum(0, keepdims=True)])


def _sphere(n: int, count: int) -> np.ndarray:
    drawn = np.random.default_rng(9).standard_normal((count, n))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize(("seed", "m", "n"), [(0, 9, 3), (1, 6, 2), (2, 14, 4)])
def test_active_rows_span_on_the_whole_sphere(seed: int, m: int, n: int) -> None:
    W = _frame(seed, m, n)
    found = rectifying_bias(W, domain="sphere", radius=2.0)
    assert found.exact
    for x in 2 * _sphere(n, 500):
        active = W[found.alpha.numpy() <= W @ x + 1e-9]
        assert np.linalg.matrix_rank(active) == n


def test_thresholds_in_the_plane_are_those_of_neighbours() -> None:
    angles = np.deg2rad([0, 60, 150, 210, 290])
    W = np.column_stack([np.cos(angles), np.sin(angles)])
    found = rectifying_bias(W, domain="sphere")
    gaps = np.diff([0, 60, 150, 210, 290, 360])
    widest = np.maximum(gaps, np.roll(gaps, 1))
    assert np.allclose(found.alpha, np.cos(np.deg2rad(widest)))
    ball = rectifying_bias(W, domain="ball")
    assert np.allclose(ball.alpha, found.alpha.clamp(max=0))


def test_an_obtuse_facet_reaches_past_its_corners() -> None:
    # Between rows 120 degrees apart the inner product falls to cos 120 at the corner.
    W = np.array([[1.0, 0], [-0.5, 3**0.5 / 2], [-0.5, -(3**0.5) / 2]])
    assert np.allclose(rectifying_bias(W, domain="sphere").alpha, -0.5)
    # In a simplex the farthest point of a facet is inside an edge, not a corner.
    simplex = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    unit = simplex / 3**0.5
    middle = unit[1] + unit[2]
    lowest = unit[0] @ middle / np.linalg.norm(middle)
    assert lowest < unit[0] @ unit[1]
    assert np.allclose(rectifying_bias(unit, domain="sphere").alpha, lowest)


def test_an_estimate_is_marked_and_near_the_exact_answer_from_above() -> None:
    W = _frame(3, 11, 3)
    estimate = rectifying_bias(W, domain="sphere", facets=0, points=3000)
    assert not estimate.exact
    assert rectifying_bias(W, domain="sphere").exact


def test_ball_within_the_thresholds_is_reconstructed_and_beyond_refused() -> None:
    W = _frame(0, 9, 3)
    alpha = rectifying_bias(W).alpha.numpy()
    alpha = np.where(np.isfinite(alpha), alpha, 0.0) - 1e-6
    points = _sphere(3, 200) * np.random.default_rng(1).random((200, 1))
    features = np.maximum(points @ W.T - alpha, 0)
    results = frame_reconstruction(W, -alpha, features)
    for x, result in zip(points, results, strict=True):
        assert result.x is not None
        assert np.abs(result.x.numpy() - x).max() <= 1e-7
    far = frame_reconstruction(W, -alpha - 5, np.zeros((1, 10)))[0]
    assert far.x is None
    assert far.reason == "the active rows have rank 0 of 3"


def test_features_that_no_input_gives_are_refused() -> None:
    found = frame_reconstruction([[1.0], [-1.0]], [0.0, 0.0], [[1.0, 2.0], [-1.0, 0]])
    assert [result.x for result in found] == [None, None]
    assert "no input gives" in found[0].reason
    assert found[1].reason == "1 features are negative"


def test_refusals() -> None:
    with pytest.raises(InvalidArgumentError, match="not omnidirectional"):
        rectifying_bias([[1.0, 0], [0, 1.0]])
    with pytest.raises(InvalidArgumentError, match="without zero rows"):
        rectifying_bias([[1.0], [-1.0], [0.0]])
    with pytest.raises(InvalidArgumentError, match="do not fit"):
        frame_reconstruction([[1.0]], [0.0, 1.0], [[1.0]])
    assert frame_reconstruction([[1.0]], [0.0], np.zeros((0, 1))) == []
