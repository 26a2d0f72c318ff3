"""Full pre-images of small networks against all sign patterns, one program each."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

import relulens as rl
from relulens.errors import InvalidArgumentError, NotPolyhedralError
from relulens.preimage.enumeration import preimage_pieces

Layers = list[tuple[np.ndarray, np.ndarray]]


def _network(seed: int) -> tuple[Layers, rl.Network, np.ndarray]:
    generator = np.random.default_rng(seed)
    sizes = [(4, 2), (3, 4)]
    layers = [
        (generator.standard_normal(s), generator.standard_normal(s[0])) for s in sizes
    ]
    head = (np.ones((1, 3)), np.zeros(1))
    network = rl.from_layers([*layers, head])
    return layers, network, generator.standard_normal((1, 2))


def _system(
    layers: Layers, pattern: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return inequalities and equalities of a pattern of the first layer."""
    (W1, b1), (W2, b2) = layers
    sign = np.where(pattern, -1.0, 1.0)
    W, b = W2 @ (W1 * pattern[:, None]), W2 @ (b1 * pattern) + b2
    on = y > 0
    upper = np.concatenate([sign[:, None] * W1, W[~on]])
    right = np.concatenate([-sign * b1, -b[~on]])
    return upper, right, W[on], y[on] - b[on]


def _meets(*systems: tuple[np.ndarray, ...]) -> bool:
    equal = np.concatenate([s[2] for s in systems])
    answer = linprog(
        np.zeros(2),
        A_ub=np.concatenate([s[0] for s in systems]),
        b_ub=np.concatenate([s[1] for s in systems]),
        A_eq=equal if len(equal) else None,
        b_eq=np.concatenate([s[3] for s in systems]) if len(equal) else None,
        bounds=[(None, None)] * 2,
    )
    return answer.status == 0


def _parts(systems: dict[tuple[bool, ...], tuple[np.ndarray, ...]]) -> list[set]:
    groups = [{key} for key in systems]
    for one, two in combinations(systems, 2):
        if _meets(systems[one], systems[two]):
            first = next(g for g in groups if one in g)
            second = next(g for g in groups if two in g)
            if first is not second:
                first |= second
                groups.remove(second)
    return groups


@pytest.mark.parametrize("seed", range(8))
def test_against_all_patterns(seed: int) -> None:
    layers, network, x = _network(seed)
    y = rl.evaluate(network, x, layer=1)[0].numpy()
    truth = {}
    for bits in product([False, True], repeat=4):
        system = _system(layers, np.array(bits), y)
        if _meets(system):
            truth[bits] = system
    found = preimage_pieces(network, x, layer=1)[0]
    assert found.complete == "all"
    keys = [tuple(piece.pattern[:4].tolist()) for piece in found.pieces]
    assert sorted(keys) == sorted(truth)
    groups: dict[int, set] = {}
    for key, number in zip(keys, found.component, strict=True):
        groups.setdefault(number, set()).add(key)
    assert sorted(map(sorted, groups.values())) == sorted(map(sorted, _parts(truth)))
    for piece in found.pieces:
        value = rl.evaluate(network, piece.point[None], layer=1)[0].numpy()
        assert np.abs(value - y).max() <= 1e-6


def test_some_pre_image_is_not_connected() -> None:
    counts = []
    for seed in range(8):
        _, network, x = _network(seed)
        counts.append(len(set(preimage_pieces(network, x, layer=1)[0].component)))
    assert max(counts) > 1


def test_both_signs_of_an_absolute_value() -> None:
    A = np.array([[1.0], [-1.0]])
    network = rl.from_layers([(A, None), ([[1.0, 1.0]], [-1.0]), ([[1.0]], None)])
    found = preimage_pieces(network, [[3.0]], layer=1)[0]
    assert found.complete == "all"
    assert sorted(round(float(p.point[0]), 9) for p in found.pieces) == [-3, 3]
    assert found.component == (0, 1)
    inside = preimage_pieces(network, [[3.0]], layer=1, domain=rl.Box(0, 4))[0]
    assert [round(float(p.point[0]), 9) for p in inside.pieces] == [3]


def test_budget_is_said() -> None:
    seed = next(
        s
        for s in range(20)
        if len(preimage_pieces(*_network(s)[1:], layer=1)[0].pieces) > 4
    )
    _, network, x = _network(seed)
    short = preimage_pieces(network, x, layer=1, budget=2, restarts=0)[0]
    assert short.complete == "none"
    middle = preimage_pieces(network, x, layer=1, budget=8, restarts=0)[0]
    assert middle.complete in {"component", "none"}
    assert len(middle.pieces) >= len(short.pieces)


def test_refusals() -> None:
    _, network, _ = _network(0)
    with pytest.raises(InvalidArgumentError, match="outside its domain: 1 of"):
        preimage_pieces(network, [[0.5, 2.0]], layer=1, domain=rl.Box(0, 1))
    for wrong in ({"budget": 0}, {"budget": "all"}, {"restarts": -1}):
        with pytest.raises(InvalidArgumentError, match="at least"):
            preimage_pieces(network, [[0.5, 0.5]], layer=1, **wrong)


def test_pieces_of_a_pooled_network() -> None:
    torch.manual_seed(0)
    pooled = torch.nn.Sequential(
        torch.nn.Linear(2, 6), torch.nn.MaxPool1d(2), torch.nn.Linear(3, 2)
    )
    taken = rl.from_torch(pooled.eval(), torch.zeros(1, 2))
    x = np.array([[0.3, -0.4]])
    found = preimage_pieces(taken, x, layer="output")[0]
    y = rl.evaluate(taken, x)[0].numpy()
    assert found.complete == "all"
    for piece in found.pieces:
        assert piece.pattern.max() <= 1
        value = rl.evaluate(taken, piece.point[None])[0].numpy()
        assert np.abs(value - y).max() < 1e-8
    assert len({piece.pattern.tobytes() for piece in found.pieces}) == len(found.pieces)


def test_curved_networks_are_refused() -> None:
    curved = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh())
    taken = rl.from_torch(curved.eval(), torch.zeros(1, 2))
    with pytest.raises(NotPolyhedralError):
        preimage_pieces(taken, np.zeros((1, 2)), layer="output")
