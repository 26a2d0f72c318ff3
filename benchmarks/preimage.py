"""Time whole pre-image verdicts: random layers, MNIST networks, twins.

Run: python benchmarks/preimage.py [--quick] [--shared FOLDER] ; one thread. FOLDER
holds models/ and data/; without it only the random layers run.
"""

import argparse
import gzip
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import relulens as rl
from relulens.preimage.preimage import preimage
from relulens.preimage.twin import twin


def random_layer(quick: bool) -> None:
    """Print seconds a sample over layers 784 to 3500 with so many positives."""
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((3500, 784)) / 28
    x = generator.standard_normal((4, 784))
    total = []
    for active in (300, 700) if quick else (300, 400, 500, 600, 700, 784, 900, 1000):
        order = np.sort(weight @ x[0])
        bias = np.full(3500, -order[3500 - active] + 1e-6)
        network = rl.from_layers([(weight, bias), (np.ones((1, 3500)), None)])
        same = np.repeat(x[:1], 4, axis=0)
        start = time.process_time()
        found = preimage(network, same, layer=0)
        spent = (time.process_time() - start) / 4
        total.append(spent)
        start = time.process_time()
        valid = bool(found[0].certificate and found[0].certificate.verify())
        check = time.process_time() - start
        print(
            f"784 -> 3500, {active} active | {found[0].verdict} | {spent:.3f} s |"
            f" verify {check:.2f} s {valid}",
            flush=True,
        )
    print(f"mean {np.mean(total):.3f} s a sample")


def images(folder: Path, count: int) -> np.ndarray:
    """Return MNIST test images in [0, 1]."""
    with gzip.open(folder / "data/mnist/t10k-images-idx3-ubyte.gz") as stream:
        pixels = np.frombuffer(stream.read(), np.uint8, offset=16)
    return pixels.reshape(-1, 1, 28, 28)[:count] / 255


def models(folder: Path, quick: bool) -> None:
    """Print verdicts and seconds a sample on networks trained by others."""
    x = images(folder, 10 if quick else 100)
    for name in ("mnist-conv-small", "mnist-mlp-256x2"):
        network = rl.load(folder / f"models/{name}.onnx")
        points = x.reshape(x.shape[0], *network.input_shape)
        free = rl.Box(-np.inf, np.inf)
        for word, domain in (("anywhere", free), ("in [0, 1]", rl.Box(0, 1))):
            start = time.process_time()
            found = preimage(network, points, layer=0, domain=domain)
            spent = (time.process_time() - start) / len(found)
            verdicts = dict(Counter(p.verdict for p in found))
            print(
                f"{name}, first layer, {word} | {verdicts} | {spent:.3f} s", flush=True
            )
        start = time.process_time()
        pair = twin(network, points[:1], layer=0, domain=rl.Box(0, 1), restarts=2)
        print(f"{name} | {pair[0]} | {time.process_time() - start:.1f} s", flush=True)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--shared", type=Path)
    options = parser.parse_args()
    random_layer(options.quick)
    if options.shared is not None:
        models(options.shared, options.quick)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        main()
