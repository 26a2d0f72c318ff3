"""Attacks on trained networks, if they are there."""

import pytest
import torch

import relulens as rl


def images(folder, name: str, count: int):
    network = rl.load(folder / "models" / name)
    data = rl.read_data(folder / "data" / "mnist", network, scale=255)
    x = torch.tensor(data.take(range(count)))
    y = torch.tensor(data.labels[:count])
    right = rl.evaluate(network, x).argmax(1) == y
    return network, x[right], y[right]


@pytest.mark.slow
def test_few_pixels_turn_every_image(shared) -> None:
    network, x, y = images(shared, "mnist-mlp-256x2.onnx", 20)
    found = rl.sparse_attack(network, x, labels=y, domain=rl.Box(0, 1))
    assert bool(found.success.all())
    assert float(found.changed.double().median()) <= 4
    logits = rl.evaluate(network, found.inputs)
    assert bool((logits.argmax(1) != y).all())
    assert found.inputs in rl.Box(0, 1)
    weak = rl.sparse_attack(
        network, x, labels=y, domain=rl.Box(0, 1), k=2, method="sensitivity"
    )
    assert int(weak.success.sum()) <= int((found.changed <= 2).sum())


@pytest.mark.parametrize("name", ["mnist-conv-small.onnx", "mnist-lenet-maxpool.onnx"])
def test_convolutions_and_maxima_are_attacked(shared, name: str) -> None:
    network, x, y = images(shared, name, 1)
    found = rl.sparse_attack(network, x, labels=y, domain=rl.Box(0, 1))
    assert bool(found.success.all())
    assert int(found.changed.max()) < 30
