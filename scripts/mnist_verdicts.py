"""What both layers of a 784-3500-784 network forget of MNIST, over several sparsities.

Run it with ``python scripts/mnist_verdicts.py FOLDER [--images 100] [--sparsities 0 3]
[--out FILE.png]``; the folder holds MNIST's four IDX files. It trains one network per
sparsity, asks for the pre-image of test images through the first layer, with and
without the pixel box, and through the second one on each image's region, and draws the
counts.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

import relulens as rl
from relulens.data.idx import read_idx_array

SPARSITIES = (0.0, 1.0, 3.0, 10.0)
INPUTS, WIDTH, SECOND = 784, 3500, 784
EPOCHS, BATCH, RATE = 2, 100, 1e-3


def images(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Return pixels in [0, 1] and labels of one part, ``"train"`` or ``"t10k"``."""
    found = [
        next(path for path in sorted(folder.glob(f"{part}-{kind}*")))
        for kind in ("images-idx3", "labels-idx1")
    ]
    pixels, labels = (np.asarray(read_idx_array(path)) for path in found)
    flat = torch.from_numpy(pixels.reshape(len(pixels), -1).astype(np.float32)) / 255
    return flat, torch.from_numpy(labels.astype(np.int64))


def trained(x: Tensor, labels: Tensor, sparsity: float) -> rl.Network:
    """Return a network whose first layer's mean activity was penalised."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(INPUTS, WIDTH), nn.ReLU())
    rest = nn.Sequential(nn.Linear(WIDTH, SECOND), nn.ReLU(), nn.Linear(SECOND, 10))
    module = nn.Sequential(*first, *rest)
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            hidden = first(x[batch])
            loss = nn.functional.cross_entropy(rest(hidden), labels[batch])
            loss = loss + sparsity * hidden.mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return rl.from_torch(module.eval(), x[:2])


def main() -> None:
    """Train, ask and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--training-images", type=int, default=60_000)
    parser.add_argument("--sparsities", type=float, nargs="+", default=SPARSITIES)
    parser.add_argument("--out", type=Path, default=Path("mnist_verdicts.png"))
    given = parser.parse_args()
    x, labels = images(given.folder, "train")
    x, labels = x[: given.training_images], labels[: given.training_images]
    test = images(given.folder, "t10k")[0][: given.images]
    box = rl.Box(0, 1)
    asked = {
        "layer 1": {"layer": 0},
        "layer 1, pixels in [0, 1]": {"layer": 0, "domain": box},
        "layer 2, on the image's region": {"layer": 1, "scope": "region"},
    }
    found: dict[str, list[rl.Preimage]] = {name: [] for name in asked}
    for sparsity in given.sparsities:
        network = trained(x, labels, sparsity)
        for name, options in asked.items():
            begun = time.process_time()
            results = rl.preimage(network, test, **options)
            each = (time.process_time() - begun) / len(test)
            active = [result.active for result in results]
            counts = dict(Counter(result.verdict for result in results))
            said = f"{min(active)} to {max(active)} positive, {each:.2f} s CPU an image"
            print(f"sparsity {sparsity:g}, {name}: {counts}, {said}", flush=True)
            found[name] += results
    figure, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
    for ax, (name, results) in zip(axes, found.items(), strict=True):
        verdicts = [result.verdict for result in results]
        active = [result.active for result in results]
        rl.plot.verdict_histogram(active, verdicts, ax=ax, columns=INPUTS)
        ax.set_title(name)
    figure.savefig(given.out, dpi=120)


if __name__ == "__main__":
    main()
