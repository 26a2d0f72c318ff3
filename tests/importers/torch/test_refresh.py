"""A network follows its module in training; the module is never touched."""

import copy

import pytest
import torch
from importers.torch_zoo import ResNet
from torch import nn
from torch.nn.utils import parametrizations

from relulens.errors import ImportMismatchError, InvalidArgumentError, ModelLoadError
from relulens.graph.evaluate import evaluate
from relulens.importers.layers import from_layers
from relulens.importers.refresh import refresh
from relulens.importers.torch_export import from_torch


def trained(module: nn.Module, x: torch.Tensor) -> None:
    module.train()
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    module(x).square().sum().backward()
    optimiser.step()


def test_refresh_follows_an_optimiser_step() -> None:
    module = ResNet().double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    network = from_torch(module, x)
    before = evaluate(network, x)
    trained(module, x)
    fresh = refresh(network, module)
    assert module.training
    module.eval()
    with torch.no_grad():
        theirs = module(x)
    gap = (evaluate(fresh, x) - theirs).abs().max()
    assert float(gap) <= 1e-12 * float(theirs.abs().max())
    assert torch.equal(evaluate(network, x), before)
    assert fresh.names() == network.names()
    assert fresh.provenance.sha256 != network.provenance.sha256
    assert not torch.allclose(evaluate(fresh, x), before)


def test_refresh_keeps_options() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(1))
    network = from_torch(module, torch.ones(1, 2), mean=0.5, std=2.0)
    fresh = refresh(network, module)
    x = torch.randn(3, 2)
    assert torch.equal(evaluate(fresh, x), evaluate(network, x))
    assert fresh.provenance.notes == network.provenance.notes


def test_refresh_refuses_other_architectures() -> None:
    network = from_torch(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.ones(1, 2))
    with pytest.raises(ModelLoadError, match=r"\[4, 2\].*\[3, 2\]"):
        refresh(network, nn.Sequential(nn.Linear(2, 4), nn.ReLU()))
    with pytest.raises(ModelLoadError, match=r"2\.weight is new"):
        refresh(network, nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)))
    with pytest.raises(ModelLoadError, match=r"0\.bias is missing"):
        refresh(network, nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU()))
    with pytest.raises(ImportMismatchError):
        refresh(network, nn.Sequential(nn.Linear(2, 3), nn.Tanh()))
    with pytest.raises(InvalidArgumentError, match="from_torch"):
        refresh(from_layers([([[1.0]], None)]), nn.Linear(1, 1))


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_never_changed(training: bool) -> None:
    module = ResNet()
    module.train(training)
    x = torch.randn(2, 3, 8, 8)
    state = copy.deepcopy(module.state_dict())
    fast = torch.backends.mha.get_fastpath_enabled()
    from_torch(module, x)
    assert module.training is training
    assert all(part.training is training for part in module.modules())
    assert module.state_dict().keys() == state.keys()
    assert all(torch.equal(module.state_dict()[key], state[key]) for key in state)
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert next(module.parameters()).dtype == torch.float32
    assert torch.backends.mha.get_fastpath_enabled() is fast
    assert torch.is_grad_enabled()


def test_parametrised_modules_stay_parametrised() -> None:
    module = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(3, 4)),
        nn.ReLU(),
        parametrizations.spectral_norm(nn.Linear(4, 4)),
        nn.ReLU(),
        parametrizations.orthogonal(nn.Linear(4, 2)),
    ).double()
    x = torch.randn(3, 3, dtype=torch.float64)
    trained(module, x)
    keys = list(module.state_dict())
    network = from_torch(module, x)
    assert list(module.state_dict()) == keys
    module.eval()
    with torch.no_grad():
        assert torch.allclose(evaluate(network, x), module(x), atol=1e-13)
    assert network.nodes[network.find("0")].parameters == ("0.weight", "0.bias")
    trained(module, x)
    fresh = refresh(network, module)
    module.eval()
    with torch.no_grad():
        assert torch.allclose(evaluate(fresh, x), module(x), atol=1e-13)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_old_style_weight_norm_is_taken_from_a_copy() -> None:
    module = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)), nn.ReLU())
    x = torch.randn(2, 3)
    module(x)  # leaves a computed tensor, which deepcopy refuses, on the module
    keys = list(module.state_dict())
    network = from_torch(module, x)
    assert list(module.state_dict()) == keys
    with torch.no_grad():
        assert torch.allclose(evaluate(network, x), module(x).double(), atol=1e-6)
