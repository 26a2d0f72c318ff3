"""``relulens attack``: inputs changed in few entries so that their class changes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from relulens.cli.arrays import Rows, check_out, write_rows
from relulens.cli.exits import OK
from relulens.cli.options import (
    chosen_data,
    chosen_model,
    chosen_progress,
    data_options,
    model_options,
    progress_options,
)
from relulens.cli.progress import Report, announce, progress

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from relulens.data.data_set import DataSet
    from relulens.graph.network import Network
    from relulens.robustness.attacks.attack import Attack

Method: TypeAlias = Literal["region", "sensitivity", "linear-program"]
BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What kind of attack is asked for.

    Attributes:
        method: How to search.
        k: Most entries that may change.
        radius: Largest change of one, for linear programs.
        target: Class to reach, or nothing.
        pixels: Whether a pixel's channels count as one.
        seed: Seed of all chance.
    """

    method: Method
    k: int | None
    radius: float | None
    target: int | None
    pixels: bool
    seed: int

    def check(self) -> None:
        """Refuse options that do not go together.

        Raises:
            UsageError: A method lacks what it needs, or has what it cannot use.
        """
        programs = self.method == "linear-program"
        if programs and (self.k is None or self.radius is None):
            raise click.UsageError(
                "cannot attack by linear programs: -k and --radius are both needed."
                " Pass -k 100 --radius 0.1, for example."
            )
        if programs and self.pixels:
            raise click.UsageError(
                "cannot attack by linear programs with --pixels: entries are counted"
                " one by one. Leave --pixels out."
            )
        if not programs and self.radius is not None:
            raise click.UsageError(
                f"cannot attack by {self.method} within --radius {self.radius:g}:"
                " changes may go to the ends of the domain. Use --method"
                " linear-program."
            )


@click.command()
@click.argument("model", metavar="MODEL")
@data_options
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    help="Where to: a name that ends in .npz or .parquet.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@click.option(
    "--method",
    type=click.Choice(["region", "sensitivity", "linear-program"]),
    default="region",
    show_default=True,
    help="The strong search, or one of the source's two.",
)
@click.option(
    "-k", type=int, metavar="K", help="Most entries to change; few by default."
)
@click.option("--radius", type=float, help="Largest change, for linear programs.")
@click.option("--target", type=int, metavar="CLASS", help="Class to reach.")
@click.option("--pixels", is_flag=True, help="Count a pixel's channels as one change.")
@model_options
@progress_options
@click.pass_context
def attack(
    context: click.Context,
    model: str,
    out: str,
    overwrite: bool,
    as_json: bool,
    method: Method,
    k: int | None,
    radius: float | None,
    target: int | None,
    pixels: bool,
) -> int:
    """Write inputs that differ in few entries and are misclassified.

    Every input is checked in float64 and float32. Labels are those of the data, else
    the network's own predictions. With --target, inputs of that class are left out.
    --domain LOW HIGH says what values are allowed.
    """
    options, mode = chosen_data(context), chosen_progress(context)
    wish = Wish(
        method=method,
        k=k,
        radius=radius,
        target=target,
        pixels=pixels,
        seed=options.seed,
    )
    wish.check()
    if options.path is None:
        raise click.UsageError(
            f"cannot attack {model}: no inputs are named. Pass --data PATH."
        )
    path = check_out(out, overwrite)
    announce(mode, f"reading {model}")
    network = chosen_model(context).load(model)
    data = options.read(network)
    counts = {"misclassified": 0, "found": 0, "undecided": 0}
    changes: list[int] = []
    with progress(mode, "attacks") as report:
        batches = _answers(network, data, wish, report)
        rows = write_rows(path, _counted(batches, counts, changes))
    _say(rows, counts, changes, str(path), as_json=as_json, quiet=mode == "none")
    return OK


def _say(
    rows: int,
    counts: dict[str, int],
    changes: list[int],
    path: str,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from statistics import median

    middle = median(changes) if changes else None
    said = {"rows": rows, **counts, "median_changed": middle, "out": path}
    if as_json:
        click.echo(json.dumps(said))
    elif not quiet:
        share = "" if middle is None else f" (median {middle:g} changed)"
        click.echo(
            f"{counts['found']} of {rows - counts['misclassified']} inputs attacked"
            f"{share}, {counts['misclassified']} misclassified before: {path}"
        )


def _counted(
    batches: Iterator[Rows], counts: dict[str, int], changes: list[int]
) -> Iterator[Rows]:
    for batch in batches:
        words = batch["verdict"]
        for word in counts:
            counts[word] += int((words == word).sum())
        changes += batch["changed"][words == "found"].tolist()
        yield batch


def _answers(
    network: "Network", data: "DataSet", wish: Wish, report: Report
) -> Iterator[Rows]:
    import numpy as np
    import torch

    places = np.arange(len(data))
    labels = data.labels
    if wish.target is not None and labels is not None:
        places = places[labels != wish.target]
    for start in range(0, max(1, len(places)), BATCH):
        chosen = places[start : start + BATCH]
        x = torch.as_tensor(data.take(chosen))
        known = None if labels is None else labels[chosen]
        done = partial(_shifted, report, start, len(places))
        yield {"row": data.index[chosen], **_rows(network, x, known, wish, start, done)}


def _shifted(report: Report, start: int, total: int, done: int, _: int) -> None:
    report(start + done, total)


def _rows(
    network: "Network",
    x: "Tensor",
    labels: "np.ndarray | None",
    wish: Wish,
    start: int,
    done: Callable[[int, int], None],
) -> Rows:
    import numpy as np

    found, extra = _found(network, x, labels, wish, start, done)
    return {
        "inputs": found.inputs.numpy(force=True),
        "success": found.success.numpy(force=True),
        "changed": found.changed.numpy(force=True),
        "verdict": np.array(found.verdict, dtype="U13"),
        "margin": found.margin.numpy(force=True),
        "label": found.labels.numpy(force=True),
        "prediction": found.prediction.numpy(force=True),
        **extra,
    }


def _found(
    network: "Network",
    x: "Tensor",
    labels: "np.ndarray | None",
    wish: Wish,
    start: int,
    done: Callable[[int, int], None],
) -> "tuple[Attack, Rows]":
    from relulens.robustness.attacks.linear_program import linear_program_attack
    from relulens.robustness.attacks.sparse import sparse_attack

    if wish.method == "linear-program":
        solved = linear_program_attack(
            network,
            x,
            labels=labels,
            k=wish.k or 0,
            radius=wish.radius,
            targets=wish.target,
            progress=done,
        )
        bound, reached = (v.numpy(force=True) for v in (solved.bound, solved.reached))
        return solved.attack, {"bound": bound, "reached": reached}
    attack = sparse_attack(
        network,
        x,
        labels=labels,
        k=wish.k,
        method=wish.method,
        targets=wish.target,
        pixels=wish.pixels,
        seed=wish.seed + start,
        progress=done,
    )
    return attack, {"excluded": attack.excluded.numpy(force=True)}
