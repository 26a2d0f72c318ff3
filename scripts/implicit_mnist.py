"""Train an implicit model on MNIST beside a feed-forward network of equal size.

Needs a folder of IDX files. Prints test accuracies with their deviation over seeds, and
promises none. With the defaults an epoch takes about a minute on one thread.

    python scripts/implicit_mnist.py MNIST_FOLDER --seeds 5 --epochs 10
"""

import argparse
import statistics
from pathlib import Path

import torch
from torch import Tensor, nn

from relulens.data.read import read_data
from relulens.training import ImplicitLayer


def images(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Return the images [N, 784] in [0, 1] and the labels of one split."""
    name = next(folder.glob(f"{split}-images-idx3-ubyte*"))
    data = read_data(name)
    x = torch.tensor(data.take(range(len(data))), dtype=torch.float32).flatten(1)
    return x / x.max(), torch.as_tensor(data.labels).long()


def trained(
    module: nn.Module, x: Tensor, y: Tensor, given: argparse.Namespace, seed: int
) -> nn.Module:
    """Train a module with Adam, and project an implicit layer after every step."""
    optimiser = torch.optim.Adam(module.parameters(), given.rate)
    source = torch.Generator().manual_seed(seed)
    for _ in range(given.epochs):
        for rows in torch.randperm(len(x), generator=source).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimiser.step()
            if isinstance(module, ImplicitLayer):
                module.project_()
    return module


def equal_width(weights: int) -> int:
    """Return the hidden units with which one hidden layer has as many weights."""
    return round((weights - 10) / (784 + 1 + 10))


def main() -> None:
    """Train both over the seeds and print what they reach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of IDX files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--states", type=int, default=100)
    parser.add_argument("--train", type=int, default=60_000, help="images used")
    parser.add_argument("--rate", type=float, default=1e-3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    x, y = images(given.data, "train")
    x, y = x[: given.train], y[: given.train]
    test_x, test_y = images(given.data, "t10k")
    found: dict[str, list[float]] = {"implicit": [], "feed-forward": []}
    for seed in range(given.seeds):
        torch.manual_seed(seed)
        layer = ImplicitLayer(784, given.states, 10, seed=seed)
        width = equal_width(sum(part.numel() for part in layer.parameters()))
        plain = nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))
        for name, module in (("implicit", layer), ("feed-forward", plain)):
            trained(module, x, y, given, seed)
            with torch.no_grad():
                right = module(test_x).argmax(1) == test_y
            found[name].append(100 * right.double().mean().item())
        line = ", ".join(f"{name} {v[-1]:.2f} %" for name, v in found.items())
        print(f"seed {seed}: {line}")
        print(f"  contraction of the loop {layer.certificate().contraction:.6f}")
    for name, values in found.items():
        spread = statistics.stdev(values) if len(values) > 1 else float("nan")
        print(f"{name}: {statistics.mean(values):.2f} +- {spread:.2f} %")


if __name__ == "__main__":
    main()
