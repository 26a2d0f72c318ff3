"""Train the small network that the package ships, and write it as an ONNX file.

Run it with ``python scripts/train_digits.py``; it takes less than half a minute and
writes the same file again on the same machine with the same versions. The network
reads the raw pixels 0 to 16 of scikit-learn's digits; mean and standard deviation
are subtracted and divided inside it. It is trained on three quarters of the digits,
and its accuracy on the other quarter stands in the file.

The first filters are kept silent on an empty background. Otherwise the windows of the
pooling that see nothing but background would hold equal positive numbers, and every
image would lie on a boundary between regions, at distance zero.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

TARGET = Path(__file__).parent.parent / "src" / "relulens" / "embedded" / "digits.onnx"
CHANNELS, WIDTH, CLASSES, HIGHEST = (16, 24), 64, 10, 16.0
EPOCHS, BATCH, RATE, DECAY = 40, 64, 3e-3, 1e-3
SILENCE = 0.05
LEAST_ACCURACY = 0.975
OPSET, FORMAT_VERSION = 17, 8


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the images [N, 1, 8, 8] and labels, for training and for testing."""
    pixels, labels = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 1, 8, 8).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.25, random_state=0, stratify=labels
    )
    x, y = torch.from_numpy(train_x), torch.from_numpy(train_y)
    return x, y, torch.from_numpy(test_x), torch.from_numpy(test_y)


def network() -> nn.Sequential:
    """Return the untrained network, which reads standardised pixels."""
    first, second = CHANNELS
    return nn.Sequential(
        nn.Conv2d(1, first, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * 9, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, CLASSES),
    )


def silence(first: nn.Conv2d, background: float) -> None:
    """Lower biases in place until no filter answers to background alone."""
    with torch.no_grad():
        answer = background * first.weight.sum((1, 2, 3))
        first.bias.copy_(torch.minimum(first.bias, -SILENCE - answer))


def train(module: nn.Sequential, x: Tensor, y: Tensor) -> None:
    """Fit the network in place, with a rate that falls to zero."""
    steps = EPOCHS * -(-len(x) // BATCH)
    optimiser = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(module(x[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            silence(module[0], float(x.min()))


def accuracy(module: nn.Sequential, x: Tensor, y: Tensor) -> float:
    """Return the share of inputs whose largest logit is the label's."""
    with torch.no_grad():
        return float((module(x).argmax(1) == y).double().mean())


def weights(module: nn.Sequential, mean: float, std: float) -> list[onnx.TensorProto]:
    """Return the constants of the file, named after what they are."""
    named = {"mean": np.float32(mean), "std": np.float32(std)}
    layers = ("conv1", "conv2", "dense1", "dense2")
    trained = (m for m in module if isinstance(m, nn.Conv2d | nn.Linear))
    for name, layer in zip(layers, trained, strict=True):
        named[f"{name}.weight"] = layer.weight.detach().numpy()
        named[f"{name}.bias"] = layer.bias.detach().numpy()
    return [numpy_helper.from_array(np.asarray(v), name=k) for k, v in named.items()]


def _convolution(name: str, source: str, pad: int) -> onnx.NodeProto:
    read = [source, f"{name}.weight", f"{name}.bias"]
    return helper.make_node(
        "Conv", read, [name], name, kernel_shape=[3, 3], pads=[pad] * 4
    )


def _dense(name: str, source: str, result: str) -> onnx.NodeProto:
    read = [source, f"{name}.weight", f"{name}.bias"]
    return helper.make_node("Gemm", read, [result], name, transB=1)


def operations() -> list[onnx.NodeProto]:
    """Return the operations of the file, in order."""
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return [
        helper.make_node("Sub", ["image", "mean"], ["centred"], "centre"),
        helper.make_node("Div", ["centred", "std"], ["standardised"], "standardise"),
        _convolution("conv1", "standardised", 0),
        helper.make_node("Relu", ["conv1"], ["relu1"], "relu1"),
        helper.make_node("MaxPool", ["relu1"], ["pool1"], "pool1", **pool),
        _convolution("conv2", "pool1", 1),
        helper.make_node("Relu", ["conv2"], ["relu2"], "relu2"),
        helper.make_node("Flatten", ["relu2"], ["flat"], "flatten", axis=1),
        _dense("dense1", "flat", "dense1"),
        helper.make_node("Relu", ["dense1"], ["relu3"], "relu3"),
        _dense("dense2", "relu3", "logits"),
    ]


def exported(
    module: nn.Sequential, mean: float, std: float, about: dict[str, str]
) -> onnx.ModelProto:
    """Return the network as a checked ONNX model."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
    constants = weights(module, mean, std)
    graph = helper.make_graph(operations(), "digits", [image], [logits], constants)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(
        graph,
        opset_imports=[opset],
        ir_version=FORMAT_VERSION,
        producer_name="relulens scripts/train_digits.py",
    )
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Train, test and write the network.

    Raises:
        SystemExit: The accuracy on the test quarter is below the least accepted.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    x, y, test_x, test_y = digits()
    mean, std = round(float(x.mean()), 4), round(float(x.std()), 4)
    module = network()
    train(module, (x - mean) / std, y)
    reached = accuracy(module, (test_x - mean) / std, test_y)
    if reached < LEAST_ACCURACY:
        raise SystemExit(f"accuracy {reached:.4f} is below {LEAST_ACCURACY}")
    about = {
        "classes": json.dumps([str(digit) for digit in range(CLASSES)]),
        "domain": json.dumps([0.0, HIGHEST]),
        "data": "scikit-learn load_digits",
        "split": "train_test_split(test_size=0.25, random_state=0, stratify=labels)",
        "accuracy_test": f"{reached:.6f}",
        "accuracy_train": f"{accuracy(module, (x - mean) / std, y):.6f}",
        "script": "scripts/train_digits.py",
    }
    content = exported(module, mean, std, about).SerializeToString(deterministic=True)
    TARGET.write_bytes(content)
    size = f"{len(content):,} bytes"
    sys.stdout.write(f"{TARGET.name}: {size}, test accuracy {reached:.4f}\n")


if __name__ == "__main__":
    main()
