"""``relulens bounds``: what holds for all inputs near each input, or in a property."""

import json
import math
from typing import TYPE_CHECKING

import click

from relulens.cli.arrays import Rows, check_out, write_rows
from relulens.cli.exits import FAILED_SAMPLES, GATE_FAILED, OK
from relulens.cli.options import (
    chosen_data,
    chosen_model,
    chosen_progress,
    data_options,
    model_options,
    progress_options,
)
from relulens.cli.progress import Mode, Report, announce, progress

if TYPE_CHECKING:
    from relulens.data.data_set import DataSet
    from relulens.graph.network import Network
    from relulens.robustness.certified_accuracy import CertifiedAccuracy
    from relulens.robustness.output_bounds import BoundsMethod

METHODS = (
    "sensitivity",
    "interval",
    "local",
    "relaxation",
    "optimised",
    "triangle",
    "exact",
)


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--property", "property_", metavar="FILE", help="A vnnlib file to check instead."
)
@click.option(
    "--radius",
    metavar="NUMBERS",
    default="0.01",
    show_default=True,
    help="Radii between commas, in units of the input.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="relaxation",
    show_default=True,
    help="How outputs are bounded, from loose and quick to tight and slow.",
)
@click.option(
    "--norm",
    type=click.Choice(["inf", "2", "1"]),
    default="inf",
    show_default=True,
    help="Norm of the radius.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Time for a property, or for one program.",
)
@click.option("--out", metavar="FILE", help="Verdicts: .npz or .parquet.")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@data_options
@model_options
@progress_options
@click.pass_context
def bounds(
    context: click.Context,
    model: str,
    property_: str | None,
    radius: str,
    method: "BoundsMethod",
    norm: str,
    seconds: float,
    out: str | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Say how many inputs keep their class, or check a property.

    With --data every input is certified, attacked or left undecided at each radius;
    without labels its class is the network's own. With --property a vnnlib file is
    answered: holds, violated (exit code 4) with a witness, or unknown (exit code 1).
    """
    mode = chosen_progress(context)
    if property_ is not None:
        return _property(context, model, property_, seconds, mode, as_json=as_json)
    options = chosen_data(context)
    if options.path is None:
        raise click.UsageError(
            f"cannot bound {model}: neither inputs nor a property are named. Pass"
            " --data PATH or --property FILE."
        )
    path = None if out is None else check_out(out, overwrite)
    announce(mode, f"reading {model}")
    network = chosen_model(context).load(model)
    data = options.read(network)
    with progress(mode, "bounds") as report:
        found = _found(network, data, _radii(radius), method, norm, seconds, report)
    if path is not None:
        write_rows(path, iter([_rows(data, found)]))
    _say(found, len(data), data.labels is not None, out, mode, as_json=as_json)
    return OK


def _radii(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a number or numbers between commas."
        ) from None


def _found(
    network: "Network",
    data: "DataSet",
    radii: list[float],
    method: "BoundsMethod",
    norm: str,
    seconds: float,
    report: Report,
) -> "CertifiedAccuracy":
    import numpy as np
    import torch

    from relulens.bounds.program_bounds import Limits
    from relulens.graph.evaluate import evaluate
    from relulens.robustness.certified_accuracy import certified_accuracy

    x = data.take(np.arange(len(data)))
    labels = data.labels
    if labels is None:
        y = evaluate(network, torch.as_tensor(x)).flatten(1)
        labels = y.argmax(1).numpy(force=True)
    return certified_accuracy(
        network,
        x,
        labels,
        radii,
        method=method,
        norm=math.inf if norm == "inf" else float(norm),
        limits=Limits(seconds=seconds),
        progress=report,
    )


def _rows(data: "DataSet", found: "CertifiedAccuracy") -> Rows:
    verdicts = {
        f"verdict/{float(radius):g}": row
        for radius, row in zip(found.radii, found.verdicts, strict=True)
    }
    return {"row": data.index, **verdicts}


def _say(
    found: "CertifiedAccuracy",
    count: int,
    labelled: bool,
    out: str | None,
    mode: Mode,
    *,
    as_json: bool,
) -> None:
    from relulens.robustness.certified_accuracy import VERDICTS

    table = [
        {
            "radius": float(radius),
            **{word: int((row == word).sum()) for word in VERDICTS},
        }
        for radius, row in zip(found.radii, found.verdicts, strict=True)
    ]
    what = "label" if labelled else "own class"
    if as_json:
        told = {"inputs": count, "class": what, "method": found.method, "out": out}
        click.echo(json.dumps({**told, "radii": table}))
    elif mode != "none":
        for line in table:
            parts = ", ".join(f"{line[word]} {word}" for word in VERDICTS)
            click.echo(f"radius {line['radius']:g}: of {count} inputs {parts} ({what})")


def _property(
    context: click.Context,
    model: str,
    path: str,
    seconds: float,
    mode: Mode,
    *,
    as_json: bool,
) -> int:
    from relulens.data.vnnlib import read_property
    from relulens.robustness.check_property import check_property

    announce(mode, f"reading {model}")
    network = chosen_model(context).load(model)
    found = check_property(network, read_property(path), seconds=seconds)
    witness = None if found.witness is None else found.witness.flatten().tolist()
    output = None if found.output is None else found.output.flatten().tolist()
    if as_json:
        told = {"verdict": found.verdict, "witness": witness, "output": output}
        click.echo(json.dumps({**told, "boxes": found.boxes, "reason": found.reason}))
    elif mode != "none":
        click.echo(f"{found.verdict}" + (f": {found.reason}" if found.reason else ""))
        if witness is not None:
            click.echo(f"input {witness} gives {output}")
    return {"holds": OK, "violated": GATE_FAILED}.get(found.verdict, FAILED_SAMPLES)
