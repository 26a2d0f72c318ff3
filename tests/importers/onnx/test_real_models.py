"""Real models: import, agreement with onnxruntime on real data, accuracy."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from relulens import Box, evaluate, load
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope

# File, layers, entries of the state, accuracy on the whole test set (the manifest's).
MODELS = {
    "cifar10-resnet20": (19, 188_416, 0.9173),
    "mnist-conv-small": (3, 3_604, 0.9825),
    "mnist-lenet-maxpool": (6, 2_444, 0.9848),
    "mnist-mlp-256x2": (2, 512, 0.9808),
}


def images(name: str, shared: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return test images in [0, 1] as the model takes them, and their labels."""
    if name.startswith("cifar10"):
        with np.load(shared / "data/cifar10/cifar10_test.npz") as data:
            x, y = data["x"][:count], data["y"][:count]
        return x.astype(np.float32) / 255, y.reshape(-1)
    folder = shared / "data/mnist"
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as stream:
        x = np.frombuffer(stream.read(), np.uint8, offset=16)[: count * 784]
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as stream:
        y = np.frombuffer(stream.read(), np.uint8, offset=8)[:count]
    shape = (784, 1) if "mlp" in name else (1, 28, 28)
    return x.reshape(-1, *shape).astype(np.float32) / 255, y


def by_runtime(path: Path, x: np.ndarray, *, single: bool) -> np.ndarray:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    if single:
        return np.concatenate([session.run(None, {name: row[None]})[0] for row in x])
    return session.run(None, {name: x})[0]


@pytest.mark.parametrize("name", MODELS)
def test_a_real_model_agrees_on_real_data(name: str, shared: Path) -> None:
    path = shared / "models" / f"{name}.onnx"
    network = load(path, domain=Box(0, 1))
    layers, size, accuracy = MODELS[name]
    assert (len(network.layers), network.state_size) == (layers, size)
    assert all(
        isinstance(n, Input | Affine | TwoSlope | Maximum) for n in network.nodes
    )
    agreement = network.provenance.agreement
    assert agreement is not None
    assert agreement.difference <= 1e-5
    x, labels = images(name, shared, 12 if "cifar" in name else 200)
    ours = evaluate(network, torch.from_numpy(x)).numpy()
    theirs = by_runtime(path, x, single="mlp" in name)
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    assert np.mean(ours.argmax(1) == labels) >= accuracy - 0.1


def test_the_file_for_one_input_takes_batches(shared: Path) -> None:
    network = load(shared / "models" / "mnist-mlp-256x2.onnx")
    assert (network.input_shape, network.output_shape) == ((784, 1), (10,))
    x = torch.rand(3, 784, 1, dtype=torch.float64)
    each = torch.cat([evaluate(network, row[None]) for row in x])
    assert torch.allclose(evaluate(network, x), each, atol=1e-12)
