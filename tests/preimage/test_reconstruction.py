"""Inputs from features: exact where there is one, regularised beside, errors split."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import relulens as rl
from relulens.errors import InvalidArgumentError, ShapeError
from relulens.importers.layers import from_layers
from relulens.preimage.reconstruction import reconstruction
from relulens.preimage.variation import ROUNDED, variation


def layer(rows, bias=None):
    return from_layers([(rows, bias), (np.ones((1, len(rows))), None)])


def test_a_determined_input_comes_back():
    rows = np.array([[2.0, 1.0], [1.0, -1.0], [-1.0, 0.0]])
    x = np.array([[3.0, 1.0], [1.0, -5.0]])
    features = np.maximum(x @ rows.T, 0)
    found = reconstruction(layer(rows), features, layer=0, truth=x, weight=1e-5)
    assert found.exact[0].verdict == "singleton"
    assert torch.allclose(found.points[0], torch.tensor(x[0]))
    assert torch.allclose(found.regularised[0], torch.tensor(x[0]), atol=1e-3)
    assert found.exact_error[0].total < 1e-12
    # the active row (1, -1) sees nothing along (1, 1); (2, -4) is the shortest left
    second = found.regularised_error[1]
    assert second.total**2 == pytest.approx(second.unidentified**2 + second.unstable**2)
    assert second.unstable < 1e-3
    assert second.unidentified == pytest.approx(np.sqrt(2.0), abs=1e-3)


def test_the_regularised_input_is_the_minimiser():
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((9, 16))
    network = rl.from_torch(
        torch.nn.Sequential(torch.nn.Flatten(), linear(rows), torch.nn.ReLU()).double(),
        torch.zeros(2, 1, 4, 4, dtype=torch.float64),
    )
    # noisy features: no input has them
    features = np.abs(generator.standard_normal((1, 9)))
    features[0, :3] = 0
    box = rl.Box(0, 1)
    weight = 0.01
    found = reconstruction(network, features, layer=0, domain=box, weight=weight)
    scale = weight * np.linalg.norm(rows, 2) ** 2

    def rough(image):
        size = np.abs(image)
        return np.where(size < ROUNDED, size**2 / (2 * ROUNDED), size - ROUNDED / 2)

    def value(flat):
        z, image = rows @ flat, flat.reshape(4, 4)
        miss = np.where(features[0] > 0, z - features[0], np.maximum(z, 0))
        parts = [rough(np.diff(image, axis=a)).sum() for a in (0, 1)]
        return 0.5 * miss @ miss + scale * sum(parts)

    best = minimize(
        value, np.full(16, 0.5), bounds=[(0, 1)] * 16, options={"maxfun": 100_000}
    )
    assert found.regulariser == "total variation"
    ours = value(found.regularised[0].numpy().reshape(-1))
    assert ours <= best.fun + 1e-5
    assert found.regularised.min() >= 0
    assert found.regularised.max() <= 1


def linear(rows):
    made = torch.nn.Linear(rows.shape[1], rows.shape[0], bias=False)
    made.weight.data = torch.tensor(rows)
    return made


def test_the_gradient_is_that_of_the_measure():
    measure = variation((2, 3, 4))
    x = torch.randn(1, 24, dtype=torch.float64, requires_grad=True)
    image = x.reshape(2, 3, 4)
    total = sum(
        torch.nn.functional.huber_loss(
            d, torch.zeros_like(d), reduction="sum", delta=ROUNDED
        )
        / ROUNDED
        for d in (image.diff(dim=-1), image.diff(dim=-2))
    )
    (slope,) = torch.autograd.grad(total, x)
    assert torch.allclose(measure.gradient(x.detach()), slope)


def test_features_that_no_input_has_still_give_a_regularised_input():
    # x and -x cannot both be positive
    found = reconstruction(layer([[1.0], [-1.0]]), [[1.0, 1.0]], layer=0, truth=[[1.0]])
    assert found.exact[0].verdict == "empty"
    assert torch.isnan(found.points).all()
    assert found.exact_error == [None]
    assert found.misfit[0] > 0.5
    assert bool(found.converged.all())


def test_what_cannot_be_inverted_is_refused():
    network = from_layers([([[1.0]], None), ([[1.0]], None), ([[1.0]], None)])
    with pytest.raises(InvalidArgumentError, match="not the input"):
        reconstruction(network, [[1.0]], layer=1)
    with pytest.raises(InvalidArgumentError, match="1 ReLU is needed"):
        reconstruction(network, [[1.0]], layer="output")
    with pytest.raises(ShapeError, match="2"):
        reconstruction(network, [[1.0, 2.0]], layer=0)
    with pytest.raises(InvalidArgumentError, match="numbers differ"):
        reconstruction(network, [[1.0]], layer=0, truth=[[1.0], [2.0]])
    for weight in (-1, float("nan"), float("inf"), "a"):
        with pytest.raises(InvalidArgumentError, match="the weight is"):
            reconstruction(network, [[1.0]], layer=0, weight=weight)
    with pytest.raises(InvalidArgumentError, match="cannot use features"):
        reconstruction(network, "a", layer=0)
