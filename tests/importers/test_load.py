"""Files of every kind: what is read, what is refused, and what it says."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from relulens import evaluate, load
from relulens.errors import (
    InvalidArgumentError,
    ModelLoadError,
    NotFiniteError,
    UnsafeModelError,
)

CODE = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))

def with_example():
    import torch
    return build(), torch.zeros(1, 3)

def wrong():
    return "a string"
"""


def built() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return module.double()


@pytest.fixture
def arch(tmp_path: Path) -> str:
    path = tmp_path / "file.py"
    path.write_text(CODE)
    return str(path)


def assert_follows(network, module: nn.Module) -> None:
    x = torch.randn(4, 3, dtype=torch.float64)
    rounded = module.float().double()
    assert torch.allclose(evaluate(network, x), rounded(x), atol=1e-12)


@pytest.mark.parametrize("kind", ["state.pt", "legacy.pth", "state.safetensors"])
def test_weights_with_an_architecture(kind: str, arch: str, tmp_path: Path) -> None:
    module, path = built(), tmp_path / kind
    if kind.endswith("safetensors"):
        save_file(module.state_dict(), path)
    else:
        zipped = kind == "state.pt"
        torch.save(module.state_dict(), path, _use_new_zipfile_serialization=zipped)
    network = load(path, arch=f"{arch}:build", input_shape=(3,))
    assert_follows(network, module)
    assert_follows(load(path, arch=f"{arch}:with_example"), module)
    known = network.provenance
    assert (known.path, known.unsafe) == (str(path), False)
    assert known.sha256 is not None
    assert len(known.sha256) == 64


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_checkpoint_and_data_parallel_names(
    key: str, arch: str, tmp_path: Path
) -> None:
    module, path = built(), tmp_path / "checkpoint.pt"
    weights = {f"module.{name}": t for name, t in module.state_dict().items()}
    torch.save({"epoch": 3, key: weights}, path)
    network = load(path, arch=f"{arch}:build", input_shape=(3,))
    assert_follows(network, module)


def test_weights_need_an_architecture_and_a_shape(arch: str, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(built().state_dict(), path)
    with pytest.raises(ModelLoadError, match="arch="):
        load(path)
    with pytest.raises(ModelLoadError, match="input_shape="):
        load(path, arch=f"{arch}:build")
    with pytest.raises(ModelLoadError, match="no function 'missing'"):
        load(path, arch=f"{arch}:missing")
    with pytest.raises(ModelLoadError, match="returned str"):
        load(path, arch=f"{arch}:wrong")
    with pytest.raises(ModelLoadError, match="there is no file"):
        load(path, arch="nowhere.py:build")


def test_weights_that_do_not_fit_or_are_not_finite(arch: str, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(nn.Linear(3, 4).state_dict(), path)
    with pytest.raises(ModelLoadError, match="do not fit"):
        load(path, arch=f"{arch}:with_example")
    weights = built().state_dict()
    weights["0.bias"][1] = float("nan")
    torch.save(weights, path)
    with pytest.raises(NotFiniteError, match=r"'0\.bias'"):
        load(path, arch=f"{arch}:with_example")


class Bomb:
    """A pickle that would write a file when it is opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def test_nothing_that_can_run_code_is_opened(tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "model.pt"
    torch.save(Bomb(marker), path)
    with pytest.raises(UnsafeModelError, match="full pickle"):
        load(path)
    for name in ("model.pkl", "model.joblib", "model.onnx"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb(marker)))
        for allowed in (False, True):
            with pytest.raises(UnsafeModelError, match="joblib"):
                load(tmp_path / name, allow_unsafe=allowed)
    np.savez(tmp_path / "layers.npz", W0=np.array([Bomb(marker)], dtype=object))
    with pytest.raises(ModelLoadError, match="W0, b0"):
        load(tmp_path / "layers.npz")
    assert not marker.exists()


def written(kind: str, path: Path) -> nn.Module:
    """Write a module in a form that can run code."""
    module = built().float()
    x = torch.zeros(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "full pickle":
            torch.save(module, path)
        elif kind == "TorchScript":
            torch.jit.trace(module, x).save(path)
        else:
            batch = torch.export.Dim("batch")
            program = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
            torch.export.save(program, path)
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("full pickle", "m.pt"),
        ("TorchScript", "m.pt"),
        (".pt2", "m.pt2"),
        # What a file is, is told by its content.
        (".pt2", "m.onnx"),
        ("TorchScript", "m.pth"),
    ],
)
def test_a_file_that_can_run_code_is_opened_on_demand_only(
    kind: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    module = written(kind, path)
    with pytest.raises(UnsafeModelError) as caught:
        load(path)
    message = str(caught.value)
    assert kind in message
    assert "can run any code" in message
    assert "torch.onnx.export" in message
    network = load(path, input_shape=(3,), allow_unsafe=True)
    assert network.provenance.unsafe
    assert_follows(network, module.double())


def test_layers_in_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "layers.npz"
    np.savez(path, W0=[[1.0, 0.0], [-1.0, 2.0]], b0=[1.0, 0.0], W1=[[1.0, 1.0]])
    network = load(path)
    x = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    assert torch.equal(evaluate(network, x), torch.tensor([[7.0]]).double())
    assert evaluate(load(path, output="relu0"), x).shape == (1, 2)
    assert network.provenance.path == str(path)


@pytest.mark.parametrize(
    "arrays", [{}, {"W1": [[1.0]]}, {"W0": [[1.0]], "x": [1.0]}, {"a": [1.0]}]
)
def test_an_archive_with_other_names(arrays: dict, tmp_path: Path) -> None:
    path = tmp_path / "layers.npz"
    np.savez(path, **arrays)
    with pytest.raises(ModelLoadError):
        load(path)


@pytest.mark.parametrize("name", ["model.h5", "model.tflite", "model", "model.txt"])
def test_an_unknown_file_says_what_can_be_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"something else entirely")
    with pytest.raises(ModelLoadError, match=r"\.onnx.*\.safetensors.*\.npz"):
        load(path)


@pytest.mark.parametrize("name", ["m.pt", "m.safetensors", "m.npz"])
def test_a_truncated_file(name: str, arch: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "m.pt":
        torch.save(built().state_dict(), path)
    elif name == "m.npz":
        np.savez(path, W0=np.ones((50, 50)))
    else:
        save_file(built().state_dict(), path)
    content = path.read_bytes()
    for length in (3, 40, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:length])
        with pytest.raises(ModelLoadError):
            load(path, arch=f"{arch}:with_example")


def test_an_architecture_for_an_onnx_file_is_refused(arch: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08")
    with pytest.raises(InvalidArgumentError, match="Leave arch out"):
        load(path, arch=f"{arch}:build")
