"""Verdicts on samples: sound both ways, monotone, counted."""

import numpy as np
import pytest
import torch
from networks import NETWORKS

import relulens as rl
from relulens.errors import InvalidArgumentError


def problem():
    network, _ = NETWORKS["wide"]()
    x = torch.rand(70, 2, generator=torch.Generator().manual_seed(0)).double() * 4 - 2
    labels = rl.evaluate(network, x).argmax(1)
    labels[:5] = 1 - labels[:5]
    return network, x, labels


@pytest.mark.parametrize("method", ["sensitivity", "interval", "relaxation"])
def test_verdicts_are_right(method):
    network, x, labels = problem()
    found = rl.certified_accuracy(network, x, labels, [0.3, 0.02], method=method)
    assert found.radii.tolist() == [0.02, 0.3]
    assert (found.verdicts[:, :5] == "wrong").all()
    generator = torch.Generator().manual_seed(1)
    for radius, verdicts in zip(found.radii, found.verdicts, strict=True):
        step = radius * (2 * torch.rand(400, *x.shape, generator=generator) - 1)
        kept = (rl.evaluate(network, (x + step).flatten(0, 1)).argmax(1)).reshape(
            400, -1
        )
        held = (kept == labels).all(0).numpy()
        assert held[verdicts == "certified"].all()
    fooled = np.isin(found.verdicts[-1], ["attacked", "wrong"])
    points = found.witness[torch.as_tensor(fooled)]
    assert (rl.evaluate(network, points).argmax(1) != labels[fooled]).all()
    assert ((points - x[fooled]).abs() <= 0.3 + 1e-12).all()
    assert torch.isnan(found.witness[torch.as_tensor(~fooled)]).all()
    assert (found.certified[1] <= found.certified[0]).all()
    assert (found.certified <= found.upper).all()


def test_tighter_methods_certify_no_less():
    network, x, labels = problem()
    shares = [
        rl.certified_accuracy(network, x[:20], labels[:20], 0.1, method=m).certified
        for m in ("sensitivity", "interval", "relaxation", "exact")
    ]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_models_with_loops():
    model = rl.ImplicitModel(
        [[0.5, 0.1], [-0.2, 0.3]], [[1.0], [2.0]], [[1.0, 0.0], [0.0, 1.0]], None
    )
    x = np.array([[1.0], [2.0], [0.0]])
    found = rl.certified_accuracy(model, x, [1, 0, 1], [0.1, 0.5], method="exact")
    assert found.verdicts[0].tolist() == ["wrong", "certified", "wrong"]
    twin = rl.certified_accuracy(model, x, [1, 0, 1], 0.1, method="interval")
    assert twin.certified <= found.certified[0]


def test_no_samples_and_refusals():
    network, x, labels = problem()
    assert rl.certified_accuracy(network, x[:0], labels[:0], 0.1).verdicts.shape == (
        1,
        0,
    )
    with pytest.raises(InvalidArgumentError, match="labels"):
        rl.certified_accuracy(network, x, labels[:3], 0.1)
    found = rl.certified_accuracy(network, x[:3], labels[:3], 0.1, attack=False)
    with pytest.raises(InvalidArgumentError, match="'safe'"):
        found.share("safe")
    wrong = (labels + 1) % 2
    for radii in ([], [-0.1], [0.1, float("nan")], [float("inf")]):
        with pytest.raises(InvalidArgumentError, match="at least one is needed"):
            rl.certified_accuracy(network, x, wrong, radii)
    with pytest.raises(InvalidArgumentError, match="whole numbers from 0"):
        rl.certified_accuracy(network, x[:2], [0.2, 0.9], 0.1)
    assert rl.certified_accuracy(network, x[:0], [], 0.1).verdicts.shape == (1, 0)
