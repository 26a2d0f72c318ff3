"""Twins give the same features, and are as far away as a search of corners finds."""

from itertools import combinations

import numpy as np
import pytest
import torch
from networks import NETWORKS, POLYHEDRAL
from numpy.typing import NDArray

from relulens.errors import InvalidArgumentError
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.importers.layers import from_layers
from relulens.preimage.preimage import preimage
from relulens.preimage.twin import twin


def farthest_corner(
    equal: NDArray[np.float64],
    below: NDArray[np.float64],
    slack: NDArray[np.float64],
) -> float:
    """Return the largest distance of a vertex of ``E d = 0, B d <= slack`` from 0."""
    n = below.shape[1]
    best = 0.0
    for places in combinations(range(below.shape[0]), n - equal.shape[0]):
        rows = np.concatenate([equal, below[list(places)]])
        right = np.concatenate([np.zeros(equal.shape[0]), slack[list(places)]])
        if abs(np.linalg.det(rows)) < 1e-9:
            continue
        d = np.linalg.solve(rows, right)
        if (below @ d <= slack + 1e-9).all():
            best = max(best, float(np.linalg.norm(d)))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_distance_against_all_corners(seed: int) -> None:
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((5, 4))
    x = generator.random(4)
    z = weight @ x
    bias = -z + np.array([0.3, 0.2, -0.1, -0.3, -0.5])
    net = from_layers([(weight, bias), (np.ones((1, 5)), None)])
    found = twin(net, x[None], layer=0, domain=Box(0, 1), restarts=6)[0]
    below = np.concatenate([weight[2:], np.eye(4), -np.eye(4)])
    slack = np.concatenate([-(weight @ x + bias)[2:], 1 - x, x])
    best = farthest_corner(weight[:2], below, slack)
    assert 0.95 * best <= found.distance <= best * (1 + 1e-9)
    assert found.difference <= 1e-12
    assert found.x2 is not None
    assert found.x2 in Box(0, 1)


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_twins_of_every_network_keep_the_features(name: str) -> None:
    net, x = NETWORKS[name]()
    for layer in {0, len(net.layers) - 1} & set(range(len(net.layers))):
        for found in twin(net, x[:2], layer=layer, restarts=1):
            if found.x2 is None:
                assert found.reason
                continue
            assert found.distance > 0
            near = evaluate(net, found.x[None], layer=layer)
            far = evaluate(net, found.x2[None], layer=layer)
            size = float(near.abs().max()) or 1.0
            assert float((near - far).abs().max()) <= 1e-12 * size


def test_a_singleton_has_no_twin_and_others_have_one() -> None:
    cross = [[1.0, 0], [-1, 0], [0, 1], [0, -1]]
    net = from_layers([(cross, [-1.0] * 4), (torch.ones(1, 4), None)])
    inside, outside = twin(net, [[0.0, 0.0], [2.0, 3.0]], layer=0)
    assert inside.distance == pytest.approx(np.sqrt(2), rel=1e-6)
    assert not inside.unbounded
    assert outside.x2 is None
    assert "determine" in outside.reason
    verdicts = [p.verdict for p in preimage(net, [[0.0, 0.0], [2.0, 3.0]], layer=0)]
    assert verdicts == ["bounded", "singleton"]


def test_unbounded_twins_are_far() -> None:
    net = from_layers([
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], None),
        ([[1.0, 1.0]], None),
    ])
    found = twin(net, [[1.0, 2.0, 3.0]], layer=0)[0]
    assert found.unbounded
    assert found.distance > 100
    boxed = twin(net, [[1.0, 2.0, 3.0]], layer=0, domain=Box(0, 10))[0]
    assert not boxed.unbounded
    assert boxed.distance == pytest.approx(np.sqrt(18), rel=1e-6)


@pytest.mark.parametrize("restarts", [0, -1, 2.5])
def test_a_search_without_starts_is_refused(restarts: float) -> None:
    network = from_layers([([[1.0, 0.0]], None), ([[1.0]], None)])
    with pytest.raises(InvalidArgumentError, match=r"restarts is .* at least 1"):
        twin(network, [[1.0, 1.0]], layer=0, restarts=restarts)
