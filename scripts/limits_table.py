"""Measure every analysis on four kinds of network, and write ``docs/limits.md``.

Run: python scripts/limits_table.py [--seconds 60] [--jobs 1] [--keep CELLS.json]

Every cell is a process of its own, which the system ends at the limit of processor
seconds. Needs the models of the tests; the environment variable RELULENS_SHARED names
where they are. Cells in the file of ``--keep`` are not measured again.
"""

import argparse
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

import relulens as rl
from relulens.data.digits import embedded_data
from relulens.data.read import read_data
from relulens.report.subject import embedded_network

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("RELULENS_SHARED", ROOT.parent / "shared"))
TARGET = ROOT / "docs" / "limits.md"
Subject = tuple[rl.Network, torch.Tensor]

Ask = Callable[[rl.Network, torch.Tensor], object]
Running = tuple[BaseProcess, Connection]

INTRODUCTION = """\
# Limits

## Every analysis on four kinds of network

Processor seconds, on how many inputs, and what was found, measured by
`scripts/limits_table.py` on one thread of a shared machine: read them as orders of
magnitude. *Over* a number of seconds, a cell was ended. A refusal is named. Rows that
name seconds pass them as `budget=`, which goes by the clock of that loaded machine.
Inputs are images with values in [0, 1], boxes and balls around them have a radius of
0.01. Slopes and spectra are those of the output unless a layer is named; *all values*
of a layer in the middle need its whole slope.
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


def short(value: object) -> str:
    return f"{float(value):.3g}"  # type: ignore[arg-type]


def verdicts(found: Sequence[rl.Preimage]) -> str:
    words = [item.verdict for item in found]
    return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))


def distances(network: rl.Network, x: torch.Tensor, faces: str) -> str:
    found = rl.boundary_distance(network, x, faces=faces)
    return f"least {short(found.distance.min())}"


def triangle(network: rl.Network, x: torch.Tensor) -> str:
    plane = rl.Plane.through(*x)
    corners = [[0.0, 0.0], [0.05, 0.0], [0.0, 0.05]]
    found = rl.slice_partition(network, plane, corners)
    return f"{found.count:,} cells" + ("" if found.complete else ", incomplete")


def segment(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.regions_on_segment(network, x[0], x[1])
    return f"{found.count:,} regions" + ("" if found.complete else ", incomplete")


def ball(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.regions_in_ball(network, x, 0.01, budget=100)
    return f"{found.lower:,} to {found.upper:,.0f}"


def many_regions(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.linear_regions(network, rl.Box(x[0] - 0.01, x[0] + 0.01), budget=20)
    return f"{found.count:,}" + ("" if found.complete else ", incomplete")


def between(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.pattern_distance(network, x[: len(x) // 2], x[len(x) // 2 :])
    return f"mean {short(found.total.double().mean())}"


def slope_bracket(network: rl.Network, x: torch.Tensor) -> str:
    box = rl.Box(x[0] - 0.01, x[0] + 0.01)
    found = rl.lipschitz_bounds(network, box, budget=20)
    return f"{short(found.lower)} to {short(found.upper)}"


def radius(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.certified_radius(network, x, budget=20)
    return f"{short(found.lower[0])} to {short(found.upper[0])}"


def bounds(method: str) -> Ask:
    def ask(network: rl.Network, x: torch.Tensor) -> str:
        found = rl.output_bounds(network, x, 0.01, method=method)
        said = f"width {short((found.upper - found.lower).mean())}"
        return f"{said}, {found.undecided} undecided" if found.undecided else said

    return ask


def own_labels(network: rl.Network, x: torch.Tensor) -> torch.Tensor:
    return rl.evaluate(network, x).flatten(1).argmax(1)


def accuracy(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.certified_accuracy(network, x, own_labels(network, x), 0.01)
    return f"{float(found.certified[0]):.0%} to {float(found.upper[0]):.0%}"


def few_pixels(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.sparse_attack(
        network, x, labels=own_labels(network, x), domain=rl.Box(0, 1)
    )
    changed = found.changed[found.success].tolist()
    return f"k = {', '.join(map(str, changed)) or 'none found'}"


def program(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.linear_program_attack(
        network, x, labels=own_labels(network, x), k=10, radius=0.1, domain=rl.Box(0, 1)
    )
    return f"margin {short(found.reached[0])}, bound {short(found.bound[0])}"


def state(network: rl.Network, x: torch.Tensor) -> str:
    found = rl.equilibrium(rl.implicit_model(network), x.flatten(1))
    return f"error {short(found.error_bound.max())}, {found.method}"


def preimages(layer: int | str, scope: str | None) -> Ask:
    def ask(network: rl.Network, x: torch.Tensor) -> str:
        return verdicts(rl.preimage(network, x, layer=layer, scope=scope))

    return ask


def twins(network: rl.Network, x: torch.Tensor) -> str:
    (found,) = rl.twin(network, x, layer="output")
    return "none found" if found.x is None else f"at {short(found.distance)}"


# Analysis: number of inputs, and the call; a text it returns is what it found.
ANALYSES: dict[str, tuple[int, Ask]] = {
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
    "`.facets()` of one region": (
        1,
        lambda n, x: f"{len(rl.region_polytope(n, x)[0].facets()):,} facets",
    ),
    "`region_polytope(...)[0].A.to_dense()`": (
        1,
        lambda n, x: rl.region_polytope(n, x)[0].A.to_dense(),
    ),
    "`slice_partition`, a triangle of 5 % between inputs": (3, triangle),
    "`regions_on_segment` between inputs": (2, segment),
    "`regions_in_ball`, 2-norm, at most 100": (1, ball),
    "`linear_regions` of a box, at most 20": (1, many_regions),
    "`pattern_distance`": (16, between),
    "`max_affine` of the first layer": (0, lambda n, x: rl.max_affine(n, 0)),
    "`local_lipschitz`, 2-norm": (1, rl.local_lipschitz),
    "`lipschitz_bounds` on a box, 2-norm, 20 s": (1, slope_bracket),
    "`certified_radius`, 2-norm, 20 s": (1, radius),
    "`sensitivity`": (
        0,
        lambda n, x: f"largest gain {short(rl.sensitivity(n).gain.max())}",
    ),
    **{
        f"`output_bounds`, {method}": (1, bounds(method))
        for method in (
            "sensitivity",
            "interval",
            "local",
            "relaxation",
            "optimised",
            "triangle",
            "exact",
        )
    },
    "`certified_accuracy`": (4, accuracy),
    "`sparse_attack`, as few as found": (1, few_pixels),
    "`linear_program_attack`, 10 pixels by 0.1": (1, program),
    "`implicit_model`": (0, lambda n, x: f"n = {rl.implicit_model(n).n:,}"),
    "`wellposedness`": (
        0,
        lambda n, x: rl.wellposedness(rl.implicit_model(n)).verdict,
    ),
    "`equilibrium`": (4, state),
    "`preimage` of the first layer": (4, preimages(0, "layer")),
    "`preimage` of the output, region": (1, preimages("output", "region")),
    "`preimage` of the output, network": (1, preimages("output", "network")),
    "`twin` of the output": (1, twins),
    "`reversal` from the first layer": (16, lambda n, x: rl.reversal(n, x, layer=0)),
    "`random_likeness`": (0, lambda n, x: rl.random_likeness(n)),
}


def asked(subject: Subject, inputs: int, ask: Ask, answer: Connection) -> None:
    network, x = subject
    begun = time.process_time()
    try:
        said = ask(network, x[:inputs])
    except rl.errors.RelulensError as error:
        answer.send(f"refused: {type(error).__name__}")
        return
    spent = time.process_time() - begun
    cost = f"{spent:.0f} s" if spent >= 10 else f"{max(spent, 1e-3):.2g} s"
    cost = f"{cost} ({inputs})" if inputs else cost
    answer.send(f"{cost}: {said}" if isinstance(said, str) and said else cost)


def started(subject: Subject, name: str, seconds: int) -> Running:
    """Start a cell in a process of its own, with a limit that the system keeps."""
    inputs, ask = ANALYSES[name]
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        asked(subject, inputs, ask, theirs)

    child = multiprocessing.Process(target=limited)
    child.start()
    theirs.close()
    return child, ours


def ended(running: Running, name: str, seconds: int) -> str:
    """Return what a cell says that has ended."""
    child, answer = running
    with suppress(EOFError):
        return str(answer.recv())
    child.join()
    if child.exitcode in {-signal.SIGXCPU, -signal.SIGKILL}:
        inputs = ANALYSES[name][0]
        return f"over {seconds} s" + (f" ({inputs})" if inputs else "")
    return f"failed: exit code {child.exitcode}"


def measured(
    subjects: dict[str, Subject], known: dict[str, str], seconds: int, jobs: int
) -> Iterator[tuple[str, str]]:
    """Measure the cells that are not known, some at a time, as they end."""
    waiting = [
        (name, kind)
        for name in ANALYSES
        for kind in subjects
        if f"{name} on {kind}" not in known
    ]
    running: dict[tuple[str, str], Running] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            name, kind = waiting.pop(0)
            running[name, kind] = started(subjects[kind], name, seconds)
        wait([child.sentinel for child, _ in running.values()])
        for key in [key for key in running if not running[key][0].is_alive()]:
            said = ended(running.pop(key), key[0], seconds)
            yield f"{key[0]} on {key[1]}", said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="cells measured before, as JSON")
    options = parser.parse_args()
    if not (SHARED / "models").is_dir():
        print(f"no models in {SHARED}: set RELULENS_SHARED")
        return 1
    multiprocessing.set_start_method("fork")
    torch.set_num_threads(1)
    subjects = {kind: make() for kind, make in NETWORKS.items()}
    keep = options.keep
    cells = json.loads(keep.read_text()) if keep and keep.exists() else {}
    for key, said in measured(subjects, cells, options.seconds, options.jobs):
        cells[key] = said
        print(f"{key}: {said}", flush=True)
        if keep:
            keep.write_text(json.dumps(cells, indent=1))
    lines = ["| | " + " | ".join(NETWORKS) + " |", "|---" * (len(NETWORKS) + 1) + "|"]
    for name in ANALYSES:
        row = " | ".join(cells[f"{name} on {kind}"] for kind in NETWORKS)
        lines.append(f"| {name} | {row} |")
    sizes = [
        f"- {kind}: {network.input_size:,} numbers in, {network.state_size:,} of state"
        for kind, (network, _) in subjects.items()
    ]
    table = "\n".join([*lines, "", *sizes, ""])
    TARGET.write_text(f"{INTRODUCTION}\n{table}{REST}")
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
