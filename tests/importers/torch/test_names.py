"""Names, outputs, tails and options of the PyTorch importer."""

import logging

import pytest
import torch
from importers.torch_zoo import ZOO, ResNet
from torch import Tensor, nn

from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.graph.nodes import Affine, TwoSlope
from relulens.importers.torch_export import from_torch

X = torch.arange(8.0).reshape(2, 4) / 4


def test_names_are_module_paths() -> None:
    network = from_torch(ResNet().eval(), torch.randn(2, 3, 8, 8))
    names = network.names()
    assert {"conv1", "bn1", "relu", "layer1.0.conv1", "layer2.0.shortcut.0"} <= set(
        names
    )
    assert {"layer1.0.relu", "layer1.0.relu.1", "layer1", "layer2.1", "fc"} <= set(
        names
    )
    assert names.index("conv1") < names.index("layer1.0.conv1") < names.index("fc")
    conv = network.nodes[network.find("conv1")]
    assert isinstance(conv, Affine)
    assert conv.parameters == ("conv1.weight",)
    fc = network.nodes[network.find("fc")]
    assert isinstance(fc, Affine)
    assert fc.parameters == ("fc.weight", "fc.bias")
    assert network.find("layer1.0") == network.find("layer1.0.relu.1")
    assert [layer.name for layer in network.layers][:3] == [
        "relu",
        "layer1.0.relu",
        "layer1.0.relu.1",
    ]


def test_repeated_calls_are_numbered() -> None:
    case = ZOO["shared"]()
    network = from_torch(case.module, case.example())
    assert {"fc", "fc.1", "act", "act.1", "block", "block.1"} <= set(network.names())
    x = case.example(3)
    with torch.no_grad():
        first = case.module.act(case.module.fc(x))
        second = case.module.act(case.module.fc(first))
    assert torch.allclose(evaluate(network, x, layer="act"), first)
    assert torch.allclose(evaluate(network, x, layer="act.1"), second)


def test_a_number_never_makes_the_name_of_another_module() -> None:
    inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    module = nn.Sequential(inner, inner)
    network = from_torch(module, X)
    taken = evaluate(network, X, layer="0.1")
    with torch.no_grad():
        assert torch.allclose(taken, inner(X).double())


@pytest.mark.parametrize("wanted", ["output.0", 0, "lstm"])
def test_tuple_outputs_are_chosen_by_name_or_place(wanted: str | int) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
            return self.lstm(x)

    module = Wrapped().double()
    x = torch.randn(5, 2, 4, dtype=torch.float64)
    network = from_torch(module, x, batch_axis=1, output=wanted)
    assert network.output_shape == (5, 3)
    with torch.no_grad():
        assert torch.allclose(
            evaluate(network, x.movedim(1, 0)).movedim(0, 1), module(x)[0]
        )


def test_a_softmax_at_the_end_is_cut_and_said(caplog: pytest.LogCaptureFixture) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)).double()
    with caplog.at_level(logging.INFO, logger="relulens"):
        network = from_torch(module, X)
    assert "softmax '1'" in caplog.text
    assert any("softmax '1'" in note for note in network.provenance.notes)
    x = X.double()
    with torch.no_grad():
        assert torch.equal(evaluate(network, x), module[0](x))
        whole = from_torch(module, X, output="1")
        assert torch.allclose(evaluate(whole, x), module(x))
        assert torch.allclose(evaluate(from_torch(module, X, output=0), x), module(x))


def test_argmax_of_a_softmax_is_cut() -> None:
    class Labels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x).log_softmax(-1).argmax(dim=1)

    network = from_torch(Labels(), X)
    assert network.output_shape == (3,)
    assert "log_softmax" in network.provenance.notes[0]
    assert "argmax" in network.provenance.notes[0]


def test_an_inner_node_can_be_the_output() -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    network = from_torch(module, X, output="1")
    assert network.output_shape == (5,)
    assert isinstance(network.nodes[network.output], TwoSlope)
    assert network.provenance.agreement is not None
    with torch.no_grad():
        assert torch.equal(evaluate(network, X), module[:2](X.double()))


def test_mean_std_and_domain_are_kept() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()).double()
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.5])
    domain = Box(0.0, 1.0)
    network = from_torch(
        module, torch.rand(1, 3, 2, 2), mean=mean, std=std, domain=domain
    )
    assert network.domain is domain
    x = torch.rand(4, 3, 2, 2, dtype=torch.float64)
    scaled = (x - mean.double()[:, None, None]) / std.double()[:, None, None]
    with torch.no_grad():
        assert torch.allclose(evaluate(network, x), module(scaled), atol=1e-14)


def test_images_in_bytes_start_at_their_numbers() -> None:
    class Bytes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.float() / 255)

    network = from_torch(Bytes(), torch.tensor([[0, 3, 200, 255]], dtype=torch.uint8))
    assert network.provenance.agreement is not None
    assert evaluate(network, torch.ones(1, 4)).shape == (1, 2)
