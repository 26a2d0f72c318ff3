"""What cannot be imported is refused by name, with what to do."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from relulens.errors import (
    AmbiguousModelError,
    ImportMismatchError,
    InvalidArgumentError,
    ModelLoadError,
    NotFiniteError,
    RelulensError,
    UnknownNameError,
    UnsupportedOperationError,
)
from relulens.importers import torch_export
from relulens.importers.torch_export import from_torch

X = torch.ones(2, 4)


class Of(nn.Module):
    """A module made of one function."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.fc(x))


def refused(function: object, x: Tensor = X) -> UnsupportedOperationError:
    with pytest.raises(UnsupportedOperationError) as caught:
        from_torch(Of(function), x)
    return caught.value


def test_all_operations_without_a_rule_are_named_at_once() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Of(torch.floor)
            self.other = Of(lambda y: torch.fft.fft(y).real)

        def forward(self, x: Tensor) -> Tensor:
            return self.part(x) + self.other(x) + torch.sort(x, dim=1).values

    with pytest.raises(UnsupportedOperationError) as caught:
        from_torch(Odd(), X)
    operations = {node.operation: node for node in caught.value.nodes}
    assert {"floor", "sort", "_fft_r2c"} <= set(operations)
    assert operations["floor"].name == "part.floor"
    assert "not continuous" in operations["floor"].reason


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda y: functional.dropout(y, 0.5, training=True), "random"),
        (
            lambda y: functional.batch_norm(y, None, None, training=True),
            "training mode",
        ),
        (lambda y: y + torch.rand(4), "random"),
        (lambda y: y * (y > 0), "jumps"),
        (lambda y: y - y.mean(0, keepdim=True), "inputs must not mix"),
        (lambda y: y.flip(0), "mixes inputs"),
        (lambda y: y / y.shape[0], "batch size"),
        (lambda y: y.max(1).indices[:, None] + y, "not continuous"),
        (lambda y: functional.threshold(y, 0.1, 20.0), "jumps"),
        (lambda y: y + torch.tensor([-torch.inf, 0, 0, 0]).relu_().log(), "infinity"),
        (lambda y: torch.div(y, 2.0, rounding_mode="floor"), "rounds"),
        (lambda y: y.to(torch.int64).to(y.dtype), "rounds"),
        (lambda y: functional.linear(y, y[:1].T @ y[:1]), "batch"),
    ],
)
def test_operations_that_cannot_be(function: object, reason: str) -> None:
    error = refused(function)
    assert any(reason in node.reason for node in error.nodes)


def test_modules_in_training_mode_inside_are_refused() -> None:
    norm = nn.BatchNorm1d(4, track_running_stats=False)
    with pytest.raises(UnsupportedOperationError) as caught:
        from_torch(nn.Sequential(nn.Linear(4, 4), norm), X)
    assert caught.value.nodes[0].name == "1"
    assert "training mode" in caught.value.nodes[0].reason


def test_embeddings_say_where_to_start() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(UnsupportedOperationError) as caught:
        from_torch(module, torch.tensor([[1, 2], [3, 4]]))
    (node,) = caught.value.nodes
    assert (node.name, node.operation) == ("0", "embedding")
    assert "start at the embedding's output" in node.reason


def test_several_outputs_are_named() -> None:
    with pytest.raises(AmbiguousModelError) as caught:
        from_torch(nn.LSTM(4, 3, batch_first=True), torch.ones(2, 5, 4))
    assert caught.value.names == ("output.0", "output.1.0", "output.1.1")
    assert "output=NAME" in str(caught.value)

    class Two(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"logits": x * 2, "aux": x + 1}

    with pytest.raises(AmbiguousModelError) as caught:
        from_torch(Two(), X)
    assert set(caught.value.names) == {"output.logits", "output.aux"}
    assert from_torch(Two(), X, output="aux").nodes[-1].name == "add"
    with pytest.raises(UnknownNameError) as unknown:
        from_torch(Two(), X, output="logit")
    assert "output.logits" in unknown.value.nearest


def test_several_inputs_are_named() -> None:
    class Two(nn.Module):
        def forward(self, image: Tensor, text: Tensor) -> Tensor:
            return image + text

    for example in (X, (X, X)):
        with pytest.raises(AmbiguousModelError) as caught:
            from_torch(Two(), example)
        assert caught.value.names == ("image", "text")


def test_weights_that_are_not_finite_are_named() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        module[2].weight[0, 1] = torch.nan
    with pytest.raises(NotFiniteError, match=r"1 of the 6 numbers of '2\.weight'"):
        from_torch(module, X)


def test_nested_graphs_are_refused() -> None:
    class Nested(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                return x.relu()

    with pytest.raises(UnsupportedOperationError, match="a nested graph"):
        from_torch(Nested(), X)


@pytest.mark.parametrize(
    ("module", "example", "kind", "words"),
    [
        (nn.Linear(4, 3), torch.ones(4), ModelLoadError, "batch"),
        (nn.Linear(4, 3), torch.ones(2, 5), ModelLoadError, "x\\[None\\]"),
        (nn.Linear(4, 3), torch.ones(0, 4), InvalidArgumentError, "1 row"),
        (nn.Linear(4, 3), torch.full((2, 4), torch.nan), NotFiniteError, "8 of its 8"),
        (nn.LazyLinear(3), X, ModelLoadError, "no shape yet"),
        (Of(lambda y: y.reshape(2, 4)), X, ModelLoadError, "x.shape\\[0\\]"),
        (Of(lambda y: y if y.sum() > 0 else -y), X, ModelLoadError, "control flow"),
        (lambda x: x, X, ModelLoadError, "nn.Module"),
    ],
)
def test_modules_and_examples_that_do_not_fit(
    module: nn.Module, example: Tensor, kind: type[RelulensError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        from_torch(module, example)


def test_a_wrong_rule_is_caught_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.1))
    real = torch_export.assembled

    def broken(*arguments: object) -> object:
        made = real(*arguments)
        node = made.network.nodes[-1]
        object.__setattr__(node, "negative", node.negative * 1.001)
        return made

    monkeypatch.setattr(torch_export, "assembled", broken)
    with pytest.raises(ImportMismatchError) as caught:
        from_torch(module.double(), torch.randn(3, 4))
    assert caught.value.difference > caught.value.tolerance == 1e-9
    from_torch(module, torch.randn(3, 4), check=False)
