"""Measure and check exact slices of trained models through three of their inputs.

Run: python benchmarks/model_slices.py --case MODEL DATA SIZE [--case ...] [--threads N]

MODEL is an ONNX file, DATA what ``read_data`` takes (divided by --scale), and SIZE how
far the triangle of the images (--images, rows of the data) is shrunk about its centre:
a factor below 10, or the least number of cells, for which the factor is searched; it
is above 1 where the images' own triangle holds fewer.

For every case: the triangle cut completely, with processor and wall seconds and the
peak of memory; the patterns at points drawn uniformly in it beside those of the cells
that hold them; the cells' affine maps beside the outputs of the model by onnxruntime;
the whole triangle cut for --whole seconds; and the regions on the line from the first
image to the second. Each runs in a process of its own, so that its peak is its own.
A table and JSON at the end. Words such as ``--parts slice`` leave the others out.
"""

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import relulens as rl
from relulens.regions.location import locate

LARGEST = 10.0
"""A larger size is a number of cells, and no triangle is larger than so many."""

BATCH_BYTES = 64 << 20
"""Bytes of the codes that are compared together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One case, as every process gets it."""

    model: Path
    data: Path
    size: float
    images: tuple[int, int, int]
    scale: float
    threads: int
    samples: int
    seconds: float
    maps: int
    whole: float

    def network(self) -> rl.Network:
        """Return the network."""
        return rl.load(self.model)

    def points(self, network: rl.Network) -> torch.Tensor:
        """Return the three images [3, *input_shape]."""
        found = rl.read_data(self.data, network, scale=self.scale)
        return torch.from_numpy(found.take(self.images))


@dataclass(slots=True)
class Spent:
    """Processor and wall seconds since this was made."""

    cpu: float
    wall: float

    @classmethod
    def begun(cls) -> "Spent":
        """Return a clock that starts now."""
        return cls(time.process_time(), time.perf_counter())

    def row(self) -> dict[str, float]:
        """Return what was spent so far."""
        wall = time.perf_counter() - self.wall
        return {"cpu_seconds": time.process_time() - self.cpu, "wall_seconds": wall}


def peak() -> float:
    """Return the peak of this process's memory in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def triangle(factor: float) -> np.ndarray:
    """Return the images' triangle in plane coordinates, shrunk about its centre."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    centre = corners.mean(0)
    return centre + factor * (corners - centre)


def cut(
    question: Question,
    network: rl.Network,
    factor: float,
    budget: float | None = None,
) -> rl.Partition:
    """Return the slice of the shrunk triangle."""
    plane = rl.Plane.through(*question.points(network))
    return rl.slice_partition(
        network, plane, triangle(factor), budget=budget, threads=question.threads
    )


def search(question: Question) -> float:
    """Return a factor whose triangle holds at least as many cells as asked.

    Cells grow like a power of the factor, which the last two tries give; every try
    holds at most about 16 times the cells of the one before.
    """
    network = question.network()
    tries: list[tuple[float, int]] = []
    factor = 1e-3
    while True:
        count = cut(question, network, factor).count
        print(f"    factor {factor:.6g}: {count} cells", flush=True)
        if count >= question.size or factor >= LARGEST:
            return factor
        power = 2.0
        if tries and count > tries[-1][1]:
            before, fewer = tries[-1]
            power = np.log(count / fewer) / np.log(factor / before)
        tries.append((factor, count))
        wanted = 1.03 * question.size / count
        factor = min(LARGEST, factor * min(wanted, 16) ** (1 / max(power, 1.0)))


def prepared(question: Question, factor: float) -> int:
    """Compile what is not yet, apart from the processes that are measured."""
    return cut(question, question.network(), factor / 4).count


def whole_slice(question: Question, factor: float) -> dict[str, object]:
    """Return the figures of the shrunk triangle, cut completely, and its checks."""
    network = question.network()
    cut(question, network, factor / 50)
    before, spent = peak(), Spent.begun()
    partition = cut(question, network, factor)
    row: dict[str, object] = {"factor": factor, **spent.row()}
    row |= {"peak_gb": peak(), "peak_before_gb": before}
    row |= evidence(partition)
    print_row("    cut", row)
    generator = np.random.default_rng(0)
    weights = generator.dirichlet([1.0, 1.0, 1.0], question.samples)
    places = weights @ triangle(factor)
    for name, check in (("patterns", patterns), ("maps", maps)):
        row[name] = check(question, partition, places)
        print_row(f"    {name}", row[name])
    return row


def evidence(partition: rl.Partition) -> dict[str, object]:
    """Return a partition's sizes and certificate."""
    certificate = partition.certificate
    return {
        "cells": partition.count,
        "vertices": len(partition.vertices),
        "edges": len(partition.edges),
        "counts": partition.counts,
        "complete": partition.complete,
        "finished_area": partition.finished_area,
        "euler": certificate.euler,
        "area_difference": certificate.area_difference / certificate.area,
        "negative_areas": certificate.negative_areas,
        "unmatched_edges": certificate.unmatched_edges,
        "exact_signs": certificate.exact_signs,
        "undecided_signs": certificate.undecided_signs,
        "proved_signs": certificate.proved_signs,
        "largest_error": certificate.largest_error,
    }


def patterns(
    question: Question, partition: rl.Partition, places: np.ndarray
) -> dict[str, object]:
    """Compare the network's patterns at points with those of the cells holding them.

    A point with another pattern than its cell is ``beside`` if it has that of a cell
    around it, as points within rounding of an edge may, and ``missing`` if not.
    """
    spent = Spent.begun()
    held = locate(partition, places)
    row: dict[str, object] = {"locate_seconds": spent.row()["cpu_seconds"]}
    row |= {"outside": int((held.cell < 0).sum())}
    together = max(1, BATCH_BYTES // partition.network.state_size)
    inside = np.flatnonzero((held.cell >= 0).numpy())
    compared = differing = beside = 0
    farthest, start = 0.0, time.perf_counter()
    while compared < len(inside) and time.perf_counter() - start < question.seconds:
        some = inside[compared : compared + together]
        some = some[np.argsort(held.cell[some], kind="stable")]
        cells = held.cell[some].numpy()
        seen = rl.activation_pattern(
            partition.network, partition.plane.points(places[some])
        )
        equal = seen.equals(partition.codes.patterns(cells)).numpy()
        compared += len(some)
        for at in np.flatnonzero(~equal):
            differing += 1
            if around(partition, int(cells[at]), seen, int(at)):
                beside += 1
                farthest = max(farthest, float(held.depth[some[at]]))
    row |= {"points": compared, "differing": differing, "beside": beside}
    row |= {"missing": differing - beside, "farthest_beside": farthest}
    return row | spent.row()


def around(partition: rl.Partition, cell: int, seen: object, at: int) -> bool:
    """Tell whether a cell with a corner in common has the pattern of a point."""
    offsets, indices = partition.offsets, partition.indices
    corners = indices[offsets[cell] : offsets[cell + 1]]
    entries = torch.isin(indices, corners).nonzero()[:, 0]
    cells = torch.searchsorted(offsets, entries, right=True).unique() - 1
    stored = partition.codes.patterns(cells.numpy())
    same = torch.ones(len(cells), dtype=torch.bool)
    for name in stored:
        same &= (stored[name] == seen[name][at]).all(1)
    return bool(same.any())


def maps(
    question: Question, partition: rl.Partition, places: np.ndarray
) -> dict[str, object]:
    """Compare cells' affine maps at points with the model's outputs, and with ours."""
    import onnxruntime

    spent = Spent.begun()
    places = places[: question.maps]
    cells = locate(partition, places).cell
    x = partition.plane.points(places)
    ours = torch.cat([
        partition.map(int(cell))(place[None])
        for cell, place in zip(cells, places, strict=True)
    ]).numpy()
    session = onnxruntime.InferenceSession(str(question.model))
    taken, asked = session.get_inputs()[0], x.numpy().astype(np.float32)
    single = taken.shape[0] == 1
    batches = np.split(asked, len(asked)) if single else [asked]
    theirs = np.concatenate([session.run(None, {taken.name: b})[0] for b in batches])
    exact = rl.evaluate(partition.network, x).flatten(1).numpy()
    return {
        "points": len(places),
        "from_model": float(np.abs(ours - theirs.reshape(len(x), -1)).max()),
        "from_float64": float(np.abs(ours - exact).max()),
        "largest_output": float(np.abs(exact).max()),
        **spent.row(),
    }


def budgeted(question: Question, _: float) -> dict[str, object]:
    """Return what a budget finishes of the whole triangle."""
    network = question.network()
    spent = Spent.begun()
    partition = cut(question, network, 1.0, budget=question.whole)
    row = {"budget": question.whole, **spent.row(), "peak_gb": peak()}
    return row | evidence(partition)


def line(question: Question, _: float) -> dict[str, object]:
    """Return how many regions the line between the first two images meets."""
    network = question.network()
    first, second, _ = question.points(network)
    spent = Spent.begun()
    found = rl.regions_on_segment(network, first, second)
    row: dict[str, object] = {"regions": found.count, "complete": found.complete}
    row |= {"doubtful": found.doubtful, "length": found.length}
    return row | spent.row() | {"peak_gb": peak()}


PARTS: dict[str, Callable[[Question, float], dict[str, object]]] = {
    "slice": whole_slice,
    "whole": budgeted,
    "line": line,
}


def print_row(title: str, row: dict[str, object]) -> None:
    """Print named figures on one line."""
    told = (
        f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
        if not isinstance(value, dict)
    )
    print(f"{title}: {', '.join(told)}", flush=True)


def alone(run: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401
    """Return what a function returns in a process of its own, on one thread."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(limited, run, *given).result()


def limited(run: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return run(*given)


def measured(question: Question, parts: list[str]) -> dict[str, object]:
    """Return all figures of one case."""
    print(f"{question.model.name}, images {question.images}", flush=True)
    factor = question.size
    if "slice" in parts and question.size >= LARGEST:
        factor = alone(search, question)
    row: dict[str, object] = {"model": question.model.name}
    alone(prepared, question, factor)
    for name in parts:
        print(f"  {name}", flush=True)
        row[name] = alone(PARTS[name], question, factor)
        print_row(f"  {name}", row[name])
    return row


def main() -> None:
    """Measure, print a table and JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    case = ("MODEL", "DATA", "SIZE")
    parser.add_argument("--case", nargs=3, action="append", required=True, metavar=case)
    parser.add_argument("--images", type=int, nargs=3, default=[0, 1, 2])
    parser.add_argument("--scale", type=float, default=255.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="for the comparison of patterns"
    )
    parser.add_argument("--maps", type=int, default=200)
    parser.add_argument("--whole", type=float, default=60.0)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    shared = {
        name: getattr(options, name)
        for name in ("scale", "threads", "samples", "seconds", "maps", "whole")
    }
    rows = []
    for model, data, size in options.case:
        question = Question(
            model=Path(model),
            data=Path(data),
            size=float(size),
            images=tuple(options.images),
            **shared,
        )
        rows.append(measured(question, options.parts))
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
