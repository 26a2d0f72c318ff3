"""Measure every analysis on four kinds of network, and write ``docs/limits.md``.

Needs the models of the tests; the environment variable RELULENS_SHARED names where.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType

import torch

import relulens as rl
from relulens.data.digits import embedded_data
from relulens.data.read import read_data
from relulens.report.subject import embedded_network

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("RELULENS_SHARED", ROOT.parent / "shared"))
TARGET = ROOT / "docs" / "limits.md"
SECONDS = 120
Subject = tuple[rl.Network, torch.Tensor]

INTRODUCTION = """\
# Limits

## Every analysis on four kinds of network

Processor seconds, and on how many inputs, measured by `scripts/limits_table.py` on one
thread of a shared machine: read them as orders of magnitude. A refusal is named.
Slopes and spectra are those of the output unless a layer is named; *all values* of a
layer in the middle need its whole slope.
"""
REST = """
## What is not exact, or not there

- **Smooth and coupled operations** (sigmoid, softmax inside the network, attention,
  LSTM, layer norm): evaluation, tangent maps and spectra work; polyhedral questions
  raise `NotPolyhedralError`, which names every such node.
- **Dense matrices** over the memory limit (2 GiB unless `limit=` says otherwise) raise
  `MemoryLimitError` with both numbers; use `m @ v` and `m.T @ w` instead.
- **Boundary distances** of deep convolutional networks need a row norm for every unit,
  at every input. `budget=` stops early and says for which inputs the distance is only a
  lower bound or not known.
- **Ranks** count singular values above a tolerance that the result states.
- **float32 networks** (`dtype=torch.float32`) are faster; their results carry float32's
  rounding. float64 is the default.
- **GPUs** are accepted (`device=`) and not tested.
"""


def mlp() -> Subject:
    generator = torch.Generator().manual_seed(0)
    sizes = [64, 128, 128, 128, 10]
    layers = [
        (torch.randn(n, m, generator=generator) / m**0.5, torch.zeros(n))
        for m, n in pairwise(sizes)
    ]
    x = embedded_data(embedded_network()).take(range(64)).reshape(64, 64) / 16
    return rl.from_layers(layers), torch.tensor(x)


def shared_model(name: str, data: str) -> Subject:
    network = rl.load(SHARED / "models" / name)
    found = read_data(SHARED / "data" / data, network, samples=64, scale=255)
    return network, torch.tensor(found.take(range(64)))


NETWORKS: dict[str, Callable[[], Subject]] = {
    "MLP 64-128-128-128-10": mlp,
    "conv + max-pool (LeNet, MNIST)": lambda: shared_model(
        "mnist-lenet-maxpool.onnx", "mnist"
    ),
    "ResNet20 (CIFAR-10)": lambda: shared_model(
        "cifar10-resnet20.onnx", "cifar10/cifar10_test.npz"
    ),
    "fixed-batch ONNX (MLP, MNIST)": lambda: shared_model(
        "mnist-mlp-256x2.onnx", "mnist"
    ),
}


def middle(network: rl.Network) -> str:
    return network.layers[len(network.layers) // 2].name


def distances(network: rl.Network, x: torch.Tensor, faces: str) -> str:
    found = rl.boundary_distance(network, x, faces=faces, budget=SECONDS)
    done = int(found.complete.sum())
    return "" if done == len(x) else f"{done} of {len(x)} within {SECONDS} s"


# Analysis: number of inputs, and the call; a text it returns stands for the time.
ANALYSES: dict[str, tuple[int, Callable[[rl.Network, torch.Tensor], object]]] = {
    "`evaluate`": (64, rl.evaluate),
    "`activation_pattern`": (64, rl.activation_pattern),
    "`local_affine_map`, dense slope": (
        16,
        lambda n, x: rl.local_affine_map(n, x).slope,
    ),
    "`templates`": (16, rl.templates),
    "`singular_values` of the output": (16, rl.singular_values),
    "`singular_values` in the middle, all values": (
        1,
        lambda n, x: rl.singular_values(n, x, layer=middle(n)),
    ),
    "`singular_values` in the middle, 10 largest": (
        1,
        lambda n, x: rl.singular_values(n, x, layer=middle(n), k=10),
    ),
    "`boundary_distance`, effective faces": (
        2,
        lambda n, x: distances(n, x, "effective"),
    ),
    "`boundary_distance`, all faces": (2, lambda n, x: distances(n, x, "all")),
    "`region_polytope`": (2, rl.region_polytope),
    "`.facets()` of one region, by linear programs": (
        1,
        lambda n, x: rl.region_polytope(n, x)[0].facets(),
    ),
    "`region_polytope(...)[0].A.to_dense()`": (
        1,
        lambda n, x: rl.region_polytope(n, x)[0].A.to_dense(),
    ),
}


def cell(
    subject: Subject, inputs: int, ask: Callable[[rl.Network, torch.Tensor], object]
) -> str:
    network, x = subject
    begun = time.process_time()
    signal.alarm(2 * SECONDS)
    try:
        said = ask(network, x[:inputs])
    except TimeoutError:
        return f"over {2 * SECONDS} s ({inputs})"
    except rl.errors.RelulensError as error:
        return f"refused: {type(error).__name__}"
    finally:
        signal.alarm(0)
    if isinstance(said, str) and said:
        return said
    spent = time.process_time() - begun
    return f"{spent:.0f} s ({inputs})" if spent >= 10 else f"{spent:.2g} s ({inputs})"


def stop(signal_number: int, frame: FrameType | None) -> None:
    raise TimeoutError


def main() -> int:
    signal.signal(signal.SIGALRM, stop)
    if not (SHARED / "models").is_dir():
        print(f"no models in {SHARED}: set RELULENS_SHARED")
        return 1
    torch.set_num_threads(1)
    subjects = {name: make() for name, make in NETWORKS.items()}
    lines = ["| | " + " | ".join(subjects) + " |", "|---" * (len(subjects) + 1) + "|"]
    for name, (inputs, ask) in ANALYSES.items():
        cells = []
        for kind, subject in subjects.items():
            cells.append(cell(subject, inputs, ask))
            print(f"{name} on {kind}: {cells[-1]}", flush=True)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    sizes = [
        f"- {name}: {network.input_size:,} numbers in, {network.state_size:,} of state"
        for name, (network, _) in subjects.items()
    ]
    table = "\n".join([*lines, "", *sizes, ""])
    TARGET.write_text(f"{INTRODUCTION}\n{table}{REST}")
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
