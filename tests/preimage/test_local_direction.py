"""Directions behind products of weights, proved by the paths that lead to a row."""

from dataclasses import replace

import numpy as np
import torch

import relulens as rl
from relulens.certificates.recession import Recession


def _halves(seed: int) -> rl.Network:
    """Return a network whose second layer does not read the first one's last units."""
    generator = np.random.default_rng(seed)
    first = np.zeros((12, 8))
    first[:8, :5] = generator.standard_normal((8, 5))
    first[8:, 5:] = -np.abs(generator.standard_normal((4, 3)))
    second = np.zeros((6, 12))
    second[:, :8] = generator.standard_normal((6, 8))
    bias = np.full(12, -0.1)
    return rl.from_layers([(first, bias), (second, None), (np.ones((1, 6)), None)])


def test_coordinates_that_no_active_unit_reads() -> None:
    network = _halves(0)
    x = np.abs(np.random.default_rng(1).standard_normal((3, 8)))
    for found in rl.preimage(network, x, layer=1, scope="region"):
        assert found.verdict == "unbounded"
        assert found.certificate is not None
        assert found.certificate.verify()
        part = found.certificate.recession
        assert isinstance(part, Recession)
        turned = part.direction.clone()
        turned[0] += 1.0
        changed = replace(found.certificate, recession=replace(part, direction=turned))
        assert not changed.verify()


def test_a_direction_that_leaves_the_first_layer_as_it_is() -> None:
    generator = np.random.default_rng(3)
    first = generator.standard_normal((11, 10))
    second = generator.standard_normal((20, 11))
    x = generator.standard_normal((1, 10))
    bias = np.where(np.arange(11) < 8, 1.0, -1.0) - first @ x[0]
    network = rl.from_layers([
        (first, bias),
        (second, None),
        (np.ones((1, 20)), None),
    ])
    assert rl.preimage(network, x, layer=0)[0].verdict == "unbounded"
    found = rl.preimage(network, x, layer=1, scope="region")[0]
    assert found.verdict == "unbounded"
    assert "first layer" in found.reason
    assert found.certificate is not None
    assert found.certificate.verify()
    part = found.certificate.recession
    assert isinstance(part, Recession)
    fewer = replace(
        part, held=part.held[1:], evidence=torch.as_tensor(part.evidence)[:, 1:]
    )
    assert not replace(found.certificate, recession=fewer).verify()
    far = torch.from_numpy(x) + 5 * part.direction
    same = rl.evaluate(network, torch.from_numpy(x), layer=1)
    torch.testing.assert_close(rl.evaluate(network, far, layer=1), same)
