"""Recurrent networks and attention from torch: as models, modules, and equilibria."""

from functools import cache

import pytest
import torch
from torch import Tensor, nn

import relulens as rl

SHAPE = (3, 4)


class Sequence(nn.Module):
    """What a layer makes of a sequence, and a head that reads the last step."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.layer, nn.MultiheadAttention):
            values, _ = self.layer(x, x, x, need_weights=False)
        else:
            values = self.layer(x)
        values = values[0] if isinstance(values, tuple) else values
        return self.head(values[:, -1])


LAYERS = {
    "rnn": lambda: nn.RNN(4, 5, 2, nonlinearity="relu", batch_first=True),
    "lstm": lambda: nn.LSTM(4, 5, batch_first=True),
    "gru": lambda: nn.GRU(4, 5, batch_first=True),
    "attention": lambda: nn.MultiheadAttention(4, 2, batch_first=True),
    "transformer": lambda: nn.TransformerEncoderLayer(4, 2, 6, batch_first=True),
}


@cache
def network_of(name: str) -> tuple[nn.Module, rl.Network, Tensor]:
    torch.manual_seed(3)
    width = 4 if name in {"attention", "transformer"} else 5
    module = Sequence(LAYERS[name](), width).double().eval()
    x = torch.randn(6, *SHAPE, dtype=torch.float64)
    return module, rl.from_torch(module, x[:1]), x


@pytest.mark.parametrize("name", LAYERS)
def test_the_model_is_the_network(name):
    module, network, x = network_of(name)
    model = rl.implicit_model(network)
    assert rl.wellposedness(model).verdict == "well-posed"
    solution = rl.equilibrium(model, x)
    wanted = rl.evaluate(network, x)
    with torch.no_grad():
        own = module(x)
    size = float(own.abs().max())
    assert float((wanted - own).abs().max()) <= 1e-12 * size
    assert float((solution.output - own).abs().max()) <= 1e-12 * size
    z = model.arguments(solution.state, x.flatten(1))
    assert torch.allclose(model.phi.value(z), solution.state, atol=1e-13, rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_the_module_is_the_network_and_has_its_gradients(name):
    module, network, x = network_of(name)
    made = rl.to_torch(rl.implicit_model(network))
    given, again = (x.clone().requires_grad_() for _ in range(2))
    output, own = made(given), module(again)
    assert float((output - own).detach().abs().max()) <= 1e-12
    (pulled,) = torch.autograd.grad((output**2).sum(), given)
    (wanted,) = torch.autograd.grad((own**2).sum(), again)
    assert float((pulled - wanted).abs().max()) <= 1e-11
