"""Unions of pieces against all patterns, one linear program each, and their proofs."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

import relulens as rl
from relulens.preimage.result import Preimage


def _dense(seed: int) -> tuple[list, rl.Network, np.ndarray]:
    generator = np.random.default_rng(seed)
    layers = [
        (generator.standard_normal(s), generator.standard_normal(s[0]))
        for s in ((4, 2), (3, 4))
    ]
    network = rl.from_layers([*layers, (np.ones((1, 3)), np.zeros(1))])
    return layers, network, generator.standard_normal((1, 2))


def _meets(layers: list, bits: np.ndarray, y: np.ndarray, box: float) -> bool:
    (W1, b1), (W2, b2) = layers
    sign = np.where(bits, -1.0, 1.0)
    W, b = W2 @ (W1 * bits[:, None]), W2 @ (b1 * bits) + b2
    on = y > 0
    answer = linprog(
        np.zeros(2),
        A_ub=np.concatenate([sign[:, None] * W1, W[~on]]),
        b_ub=np.concatenate([-sign * b1, -b[~on]]),
        A_eq=W[on] if on.any() else None,
        b_eq=(y - b)[on] if on.any() else None,
        bounds=[(-box, box)] * 2,
    )
    return answer.status == 0


def _sound(found: Preimage) -> None:
    assert found.certificate is not None
    assert found.certificate.verify()
    for piece in found.pieces:
        if piece.certificate is not None:
            assert piece.certificate.verify()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("box", [None, 4.0])
def test_all_regions_of_a_network(seed: int, box: float | None) -> None:
    layers, network, x = _dense(seed)
    y = rl.evaluate(network, x, layer=1)[0].numpy()
    domain = None if box is None else rl.Box(-box, box)
    found = rl.preimage(network, x, layer=1, scope="network", domain=domain)[0]
    assert found.complete
    assert found.scope == "network"
    _sound(found)
    truth = {
        bits
        for bits in product((0, 1), repeat=4)
        if _meets(layers, np.array(bits), y, box or 1e4)
    }
    got = {tuple(piece.codes[:4].tolist()) for piece in found.pieces}
    assert truth <= got
    for piece in found.pieces:
        value = rl.evaluate(network, piece.point[None], layer=1)[0].numpy()
        assert np.abs(value - y).max() <= 1e-8
    expected = "singleton" if found.pieces == found.pieces[:1] else "bounded"
    if any(piece.verdict == "unbounded" for piece in found.pieces):
        expected = "unbounded"
    elif found.pieces[0].dimension:
        expected = "bounded"
    assert found.verdict == expected


def test_two_points_and_one() -> None:
    network = rl.from_layers([
        ([[1.0], [-1.0]], None),
        ([[1.0, 1.0]], [-1.0]),
        ([[1.0]], None),
    ])
    two = rl.preimage(network, [[3.0]], layer=1, scope="network")[0]
    assert (two.verdict, len(two.pieces), two.complete) == ("bounded", 2, True)
    assert [piece.component for piece in two.pieces] == [0, 1]
    _sound(two)
    box = rl.Box(0, 4)
    one = rl.preimage(network, [[3.0]], layer=1, scope="network", domain=box)[0]
    assert (one.verdict, len(one.pieces)) == ("singleton", 1)
    _sound(one)
    part = rl.preimage(network, [[3.0]], layer=1, scope="network", budget=3)[0]
    assert part.verdict == "undecided"
    assert "only a part" in part.reason


def test_proofs_survive_the_file_and_refuse_changes(tmp_path: Path) -> None:
    _, network, x = _dense(2)
    found = rl.preimage(network, x, layer=1, scope="network")[0]
    path = rl.write_certificate(tmp_path / "proof.npz", found.certificate)
    read = rl.read_certificate(path, network)
    assert read.verify()
    cover = read.cover
    assert cover is not None
    excluded = int(cover.starts.diff().nonzero()[0])
    for changed in (
        replace(cover, codes=cover.codes[1:], starts=cover.starts[1:]),
        replace(cover, support=cover.support.flip(0)),
        replace(cover, support=cover.support + 40),
        replace(cover, closed=cover.closed[1:]),
        replace(cover, closed=(cover.closed[0], *cover.closed[:-1])),
        replace(
            cover,
            codes=torch.cat([cover.codes, cover.codes[excluded : excluded + 1]]),
            starts=torch.cat([cover.starts, cover.starts[-1:]]),
        ),
    ):
        assert not replace(read, cover=changed).verify()
    assert not replace(read, cover=None).verify()


def test_another_unbounded_piece_is_proved() -> None:
    _, network, x = _dense(5)
    found = rl.preimage(network, x, layer=1, scope="network")[0]
    assert found.verdict == "unbounded"
    other = found.certificate.elsewhere
    assert other is not None
    assert found.certificate.verify()
    words = other.direction.split()
    turned = " ".join(f"-{w}" if w[0] != "-" else w[1:] for w in words)
    for changed in (
        replace(other, direction=turned),
        replace(other, direction="0 0"),
        replace(other, point="0 0"),
        replace(other, codes=1 - other.codes),
    ):
        assert not replace(found.certificate, elsewhere=changed).verify()


@pytest.mark.parametrize("seed", range(12))
def test_unions_of_one_layer(seed: int) -> None:
    """|A x + b| = y: every choice of signs, solved exactly."""
    generator = np.random.default_rng(seed)
    A = generator.integers(-3, 4, (3, 2)).astype(float)
    b = generator.integers(-2, 3, 3).astype(float)
    x = generator.integers(-3, 4, (1, 2)).astype(float)
    module = torch.nn.Linear(2, 3)
    module.weight.data, module.bias.data = (
        torch.tensor(A).float(),
        torch.tensor(b).float(),
    )

    class Absolute(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.first(x).abs()

    network = rl.from_torch(Absolute().eval(), torch.zeros(1, 2))
    found = rl.preimage(network, x, layer=0)[0]
    y = np.abs(A @ x[0] + b)
    points = set()
    for signs in product((-1.0, 1.0), repeat=3):
        point, _, rank, _ = np.linalg.lstsq(A, np.array(signs) * y - b)
        if np.abs(np.abs(A @ point + b) - y).max() < 1e-9 and rank == 2:
            points.add(tuple(np.round(point, 6) + 0.0))
    if np.linalg.matrix_rank(A) < 2:
        assert found.verdict == "unbounded"
    elif len(points) > 1:
        assert found.verdict == "bounded"
    else:
        # A tie at x leaves several pieces that hold the same point.
        assert found.verdict == "singleton" or (y == 0).any()
    if found.verdict != "undecided":
        _sound(found)


def test_a_pooled_layer_is_settled() -> None:
    pool = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.MaxPool1d(2))
    torch.manual_seed(1)
    network = rl.from_torch(pool.eval(), torch.zeros(1, 2))
    verdicts = set()
    for x in np.random.default_rng(0).standard_normal((12, 1, 2)):
        found = rl.preimage(network, x, layer=0)[0]
        assert found.complete or found.verdict != "singleton"
        if found.verdict != "undecided":
            verdicts.add(found.verdict)
            _sound(found)
    assert verdicts


def test_large_networks_say_what_was_not_searched() -> None:
    generator = np.random.default_rng(0)
    first = (generator.standard_normal((60, 30)), None)
    second = (generator.standard_normal((40, 60)), None)
    network = rl.from_layers([first, second, (np.ones((1, 40)), None)])
    found = rl.preimage(network, np.ones((1, 30)), layer=1, scope="network")[0]
    assert found.verdict == "undecided"
    assert "not searched on 30 coordinates" in found.reason
