"""The layer that stays well-posed, and the term that sums S."""

import pytest
import torch
from torch import nn

from relulens.errors import InvalidArgumentError, NotFiniteError, NotWellPosedError
from relulens.implicit.equilibrium import equilibrium
from relulens.implicit.wellposedness import wellposedness
from relulens.training import ImplicitLayer, carried_change


def small(**options):
    return ImplicitLayer(3, 4, 2, dtype=torch.float64, error=1e-12, **options)


@pytest.mark.parametrize("phi", ["relu", "tanh", "silu"])
def test_the_state_solves_its_equation(phi):
    layer, x = small(phi=phi), torch.randn(6, 3, dtype=torch.float64)
    state = torch.zeros(6, 4, dtype=torch.float64)
    function = {"relu": torch.relu, "tanh": torch.tanh, "silu": nn.functional.silu}
    for _ in range(2000):
        state = function[phi](state @ layer.A.T + x @ layer.B.T + layer.a)
    wanted = state @ layer.C.T + x @ layer.D.T + layer.d
    torch.testing.assert_close(layer(x), wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize("constraint", ["projection", "parametrization"])
def test_gradients_by_differences(constraint):
    torch.manual_seed(1)
    layer = small(constraint=constraint, kappa=0.5)
    if constraint == "parametrization":
        # Away from the edges of the balls, where the projection has a kink.
        layer.parametrizations.A.original.data.mul_(1.5)
    names, weights = zip(*layer.named_parameters(), strict=True)
    x = torch.randn(5, 3, dtype=torch.float64)

    def value(*parts):
        given = dict(zip(names, parts, strict=True))
        return torch.func.functional_call(layer, given, (x,))

    assert torch.autograd.gradcheck(
        value, tuple(w.detach().requires_grad_() for w in weights)
    )


@pytest.mark.parametrize("constraint", ["projection", "parametrization"])
def test_the_certificate_holds_through_training(constraint):
    vector = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    layer = small(constraint=constraint, vector=vector, phi="silu", kappa=0.8)
    optimiser = torch.optim.SGD(layer.parameters(), 1.0)
    x = torch.randn(20, 3, dtype=torch.float64)
    for _ in range(5):
        optimiser.zero_grad()
        (layer(x) - 5).square().mean().backward()
        optimiser.step()
        layer.project_()
        found = layer.certificate()
        assert found.contraction <= 0.8 * (1 + 1e-12)
        carried = 1.09983933 * layer.A.detach().abs() @ vector
        assert bool((carried <= found.contraction * vector * (1 + 1e-14)).all())
    proof = wellposedness(layer.to_model())
    assert proof.verdict == "well-posed"


def test_a_layer_becomes_a_model_and_back():
    layer, x = small(seed=4), torch.randn(5, 3, dtype=torch.float64)
    model = layer.to_model()
    torch.testing.assert_close(equilibrium(model, x).output, layer(x).detach())
    again = ImplicitLayer.from_model(model, constraint="parametrization", error=1e-12)
    torch.testing.assert_close(again(x), layer(x), atol=1e-8, rtol=0)
    with pytest.raises(InvalidArgumentError, match=r"kappa is 0\.1"):
        ImplicitLayer.from_model(model, kappa=0.1)


def test_a_small_problem_is_learned():
    torch.manual_seed(0)
    x = torch.randn(200, 3)
    y = x[:, :1].abs() - x[:, 1:2]
    layer = ImplicitLayer(3, 10, 1)
    optimiser = torch.optim.Adam(layer.parameters(), 0.02)
    first = (layer(x) - y).square().mean().item()
    for _ in range(80):
        optimiser.zero_grad()
        loss = (layer(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        layer.project_()
    assert loss.item() < 0.05 * first


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_the_carried_change_is_the_row_sums_of_s(gain):
    layer = small(phi="relu" if gain == 1 else "sigmoid")
    A, B, C, D = (p.detach().abs() for p in (layer.A, layer.B, layer.C, layer.D))
    loop = torch.linalg.inv(torch.eye(4).double() - gain * A)
    wanted = (C @ loop @ (gain * B) + D).sum(1)
    radius = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(carried_change(layer, radius), wanted)
    weights = dict(layer.named_parameters())

    def value(*parts):
        given = dict(zip(weights, parts, strict=True))
        with torch.nn.utils.stateless._reparametrize_module(layer, given):
            return carried_change(layer, radius)

    assert torch.autograd.gradcheck(value, tuple(weights.values()))


def test_no_pair_of_inputs_moves_the_output_further():
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    ).double()
    module.append(ImplicitLayer(3, 4, 2, dtype=torch.float64, error=1e-10))
    x = torch.randn(200, 1, 6, 6, dtype=torch.float64)
    radius = torch.rand(1, 6, 6, dtype=torch.float64)
    other = x + (2 * torch.rand_like(x) - 1) * radius
    apart = (module(x) - module(other)).abs().amax(0)
    assert bool((apart <= carried_change(module, radius)).all())


def test_refusals():
    for kappa in (0.0, 1.0, float("nan")):
        with pytest.raises(InvalidArgumentError, match="kappa is"):
            small(kappa=kappa)
    with pytest.raises(InvalidArgumentError, match="softmax"):
        small(phi="softmax")
    with pytest.raises(InvalidArgumentError, match="constraint 'hope'"):
        small(constraint="hope")
    with pytest.raises(InvalidArgumentError, match="numbers above 0"):
        small(vector=[1.0, 0.0, 1.0, 1.0])
    layer = small()
    layer.A.data.mul_(3)
    with pytest.raises(NotWellPosedError, match="project_"):
        layer(torch.zeros(1, 3).double())
    layer.A.data[0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="cannot project rows: 1 of 16"):
        layer.project_()
    with pytest.raises(NotFiniteError, match="cannot evaluate an implicit layer"):
        layer(torch.zeros(1, 3).double())
    with pytest.raises(InvalidArgumentError, match=r"Sequential\.1: a LSTM"):
        carried_change(nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), torch.ones(2))
