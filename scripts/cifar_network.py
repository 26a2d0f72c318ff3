"""The CIFAR-10 network of Behrmann's talk: trained here, its spectra, its first layer.

Run it with ``python scripts/cifar_network.py FOLDER [--images 100] [--out FILE.png]``;
the folder holds ``cifar10_*.npz`` with arrays x [N, 3, 32, 32] (uint8) and y. It trains
a few minutes on one processor, far from the best accuracy, draws the talk's two
figures (what ReLU does to the singular values, layers 3 to 4 and 9 to 10, and their
decay over layers 1 to 6), and asks what the first layer determines of test images.
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

CHANNELS = ((32, 1), (64, 2), (64, 1), (32, 1), (32, 1), (64, 2))
"""Feature maps and stride of every 3 x 3 convolution; then dense layers 512 and 10."""

RATE, BATCH = 1e-3, 64


def data(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Return pixels in [0, 1] and labels of all files of a part."""
    pixels, labels = [], []
    for path in sorted(folder.glob(f"cifar10_{part}*.npz")):
        with np.load(path) as arrays:
            pixels.append(arrays["x"])
            labels.append(arrays["y"])
    x = torch.from_numpy(np.concatenate(pixels)).float() / 255
    return x, torch.from_numpy(np.concatenate(labels)).long()


def module() -> nn.Sequential:
    """Return the talk's network, with padding so that strides alone shrink an image."""
    parts: list[nn.Module] = []
    before = 3
    for count, stride in CHANNELS:
        parts += [nn.Conv2d(before, count, 3, stride, padding=1), nn.ReLU()]
        before = count
    parts += [nn.Flatten(), nn.Linear(before * 64, 512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*parts)


def train(network: nn.Sequential, x: Tensor, labels: Tensor, seconds: float) -> float:
    """Train for about so many seconds of processor time; return the epochs done."""
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    begun, seen = time.process_time(), 0
    while True:
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.cross_entropy(network(x[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            seen += len(batch)
            if time.process_time() - begun > seconds:
                return seen / len(x)


def spectra(network: rl.Network, image: Tensor, out: Path) -> None:
    """Draw the two figures at one image, and print their numbers."""
    names = [layer.name for layer in network.layers]
    before, after = {}, {}
    for place in (0, 1, 2, 4):
        name = names[place]
        before[name] = rl.singular_values(
            network, image, layer=name, at="preactivation"
        )
        after[name] = rl.singular_values(network, image, layer=name)
        for word, found in (("before", before[name]), ("after", after[name])):
            values = found.values[0]
            kept = values[: int(found.rank[0])]
            print(
                f"{name} {word} ReLU: rank {int(found.rank[0])} of {len(values)},"
                f" largest {kept[0]:.3g}, smallest nonzero {kept[-1]:.3g}",
                flush=True,
            )
    # Every ReLU counts as a layer: 3 and 4 are the second convolution and its ReLU.
    second, fifth = names[1], names[4]
    pairs = [(name, before[name], after[name]) for name in (second, fifth)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    rl.plot.relu_effect(pairs, ax=left).set_title("Layers 3 to 4 and 9 to 10")
    decay = {}
    for number, place in enumerate((0, 1, 2)):
        decay[f"layer {2 * number + 1}"] = before[names[place]]
        decay[f"layer {2 * number + 2}"] = after[names[place]]
    rl.plot.spectrum(decay, ax=right).set_title("Decay over layers 1 to 6")
    figure.savefig(out, dpi=120)


def verdicts(network: rl.Network, x: Tensor) -> None:
    """Print what the first layer determines, with and without the pixel box."""
    for word, box in (("anywhere", rl.Box(-np.inf, np.inf)), ("valid", rl.Box(0, 1))):
        begun = time.process_time()
        found = rl.preimage(network, x, layer=0, domain=box)
        each = (time.process_time() - begun) / len(x)
        active = [result.active for result in found]
        counts = dict(Counter(result.verdict for result in found))
        reasons = dict(Counter(result.reason for result in found))
        print(
            f"first layer, {word}: {counts}, {min(active)} to {max(active)} of"
            f" {active[0] + found[0].inequalities} positive, {each:.2f} s CPU an image,"
            f" {reasons}",
            flush=True,
        )


def main() -> None:
    """Train or read, draw and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--training-images", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--weights", type=Path, help="read, or written after training")
    parser.add_argument("--out", type=Path, default=Path("cifar_spectra.png"))
    parser.add_argument("--skip-spectra", action="store_true")
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = module()
    test, truth = data(given.folder, "test")
    if given.weights is not None and given.weights.exists():
        net.load_state_dict(torch.load(given.weights, weights_only=True))
    else:
        x, labels = data(given.folder, "train")
        x, labels = x[: given.training_images], labels[: given.training_images]
        epochs = train(net, x, labels, given.seconds)
        print(f"trained {epochs:.2f} epochs on {len(x)} images", flush=True)
        if given.weights is not None:
            torch.save(net.state_dict(), given.weights)
    with torch.no_grad():
        right = (net(test[:2000]).argmax(1) == truth[:2000]).float().mean()
    print(f"accuracy on 2000 test images {float(right):.3f}", flush=True)
    network = rl.from_torch(net.eval(), test[:2])
    verdicts(network, test[: given.images])
    if not given.skip_spectra:
        spectra(network, test[:1], given.out)


if __name__ == "__main__":
    main()
