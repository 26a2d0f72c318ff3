"""Count the pixels that sparse attacks need, beside Brendel and Bethge's L0 attack.

Run: python benchmarks/attacks.py MODEL.onnx MNIST_FOLDER [--images 100] [--peer 20]

MODEL is a classifier of images with values in [0, 1]; the first test images that it
gets right are attacked, without a budget. One thread, process time. Failures count as
all pixels in medians. With ``--peer N`` foolbox (see ``benchmarks/peers.txt``) attacks
the first N as well, if it is installed; MODEL must then be a chain of dense layers and
ReLUs.
"""

import argparse
import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import relulens as rl
from relulens.graph.blocks import blocks

GOAL = {"success": 1.0, "median": 4, "milliseconds": 100}


def chain(network: rl.Network) -> nn.Sequential:
    """Return a chain of dense layers and ReLUs as a torch module."""
    form = blocks(network)
    maps = [form.B[0], *(form.A[i, i - 1] for i in range(1, len(form.states)))]
    maps.append(form.C[len(form.states) - 1])
    shifts = [form.a.get(i) for i in range(len(form.states))] + [form.d]
    parts: list[nn.Module] = [nn.Flatten()]
    for map_, shift in zip(maps, shifts, strict=True):
        layer = nn.Linear(map_.in_size, map_.out_size)
        layer.weight.data = map_.to_dense().float()
        layer.bias.data = torch.zeros(map_.out_size) if shift is None else shift.float()
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1]).eval().requires_grad_(False)


def summary(
    name: str, changed: Tensor, success: Tensor, size: int, spent: float
) -> dict:
    """Print a row and return it."""
    counted = torch.where(success, changed, size).double()
    row = {
        "attack": name,
        "success": float(success.double().mean()),
        "median": float(np.median(counted)),
        "mean_found": float(changed[success].double().mean()),
        "milliseconds": 1000 * spent / len(changed),
    }
    print("  ".join(f"{k} {v:.3g}" if k != "attack" else v for k, v in row.items()))
    return row


def peer(network: rl.Network, x: Tensor, y: Tensor) -> dict:
    """Attack by foolbox, from starts by salt and pepper noise."""
    import foolbox

    module = chain(network)
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.L0BrendelBethgeAttack(
        init_attack=foolbox.attacks.SaltAndPepperNoiseAttack(), steps=200
    )
    images = x.float()
    start = time.process_time()
    _, found, good = attack(model, images, y, epsilons=None)
    spent = time.process_time() - start
    found = found.reshape(len(x), -1)
    inside = torch.isfinite(found).all(1) & (found >= 0).all(1) & (found <= 1).all(1)
    wrong = module(found).argmax(1) != y
    changed = (found != images.reshape(len(x), -1)).sum(1)
    success = good & inside & wrong
    return summary("foolbox L0 BB", changed, success, found.shape[1], spent)


def main() -> None:
    """Measure, print rows and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--peer", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = rl.load(options.model)
    data = rl.read_data(options.data, network, scale=255)
    count = min(2 * options.images + 50, len(data))
    x, y = torch.tensor(data.take(range(count))), torch.tensor(data.labels[:count])
    right = (rl.evaluate(network, x).argmax(1) == y).nonzero().flatten()
    x, y = x[right[: options.images]], y[right[: options.images]]
    box, size = rl.Box(0, 1), network.input_size
    rl.sparse_attack(network, x[:1], labels=y[:1], domain=box)
    start = time.process_time()
    found = rl.sparse_attack(network, x, labels=y, domain=box)
    spent = time.process_time() - start
    rows = [summary("relulens region", found.changed, found.success, size, spent)]
    if options.peer and find_spec("foolbox") is None:
        print("foolbox is not installed: its line is left out (benchmarks/peers.txt)")
    elif options.peer:
        rows.append(peer(network, x[: options.peer], y[: options.peer]))
    print(json.dumps({"goal": GOAL, "images": len(x), "rows": rows}))


if __name__ == "__main__":
    main()
