"""Diagnostics of chains on chains whose answers are known."""

import numpy as np

from relulens.numerics.mixing import mixing


def test_independent_draws_count_in_full() -> None:
    drawn = np.random.default_rng(0).standard_normal((500, 8, 3))
    found = mixing(drawn)
    assert (np.abs(found.spread - 1) < 0.01).all()
    assert (found.effective > 0.8 * 4000).all()


def test_autoregressive_chains_have_the_known_size() -> None:
    generator = np.random.default_rng(1)
    rho, steps = 0.8, 4000
    draws = np.empty((steps, 8, 1))
    draws[0] = generator.standard_normal((8, 1))
    for i in range(1, steps):
        fresh = generator.standard_normal((8, 1)) * (1 - rho**2) ** 0.5
        draws[i] = rho * draws[i - 1] + fresh
    expected = steps * 8 * (1 - rho) / (1 + rho)
    assert 0.8 < mixing(draws).effective[0] / expected < 1.25


def test_chains_apart_are_seen() -> None:
    drawn = np.random.default_rng(2).standard_normal((200, 4, 1))
    drawn[:, 0] += 5
    found = mixing(drawn)
    assert found.spread[0] > 1.5
    assert found.effective[0] < 50


def test_a_coordinate_that_does_not_move() -> None:
    found = mixing(np.ones((10, 2, 1)))
    assert np.isnan(found.spread[0])
    assert found.effective[0] == 0
