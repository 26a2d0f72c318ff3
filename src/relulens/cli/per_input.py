"""What the commands share that write one answer an input to a file."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from relulens.cli.arrays import Rows, check_out, write_rows
from relulens.cli.exits import FAILED_SAMPLES, OK
from relulens.cli.options import (
    Command,
    chosen_data,
    chosen_model,
    chosen_progress,
    data_options,
    model_options,
    progress_options,
)
from relulens.cli.progress import Report, announce, progress

if TYPE_CHECKING:
    from torch import Tensor

    from relulens.data.data_set import DataSet
    from relulens.graph.network import Network

BATCH_BYTES = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PerInput:
    """A question that has one answer an input.

    Attributes:
        words: What the answers are, in words.
        row_bytes: About how many bytes one answer takes.
        answer: Returns the answers to a batch, arrays by name.
    """

    words: str
    row_bytes: Callable[["Network"], int]
    answer: Callable[["Network", "Tensor"], Rows]


def per_input_options(command: Command) -> Command:
    """Add the options of every command that writes one answer an input."""
    for option in reversed((
        click.argument("model", metavar="MODEL"),
        data_options,
        click.option(
            "--out",
            required=True,
            metavar="FILE",
            help="Where to: a name that ends in .npz or .parquet.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the file."),
        click.option("--json", "as_json", is_flag=True, help="Say it in JSON."),
        model_options,
        progress_options,
        click.pass_context,
    )):
        command = option(command)
    return command


def write_answers(
    context: click.Context,
    question: PerInput,
    model: str,
    *,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Read the model and the data, answer for every input, and write the answers.

    Returns:
        The exit code: 1 if an input has another ``status`` than ``"ok"``.

    Raises:
        UsageError: No data are named.
    """
    options, mode = chosen_data(context), chosen_progress(context)
    if options.path is None:
        raise click.UsageError(
            f"cannot answer about {model}: no inputs are named. Pass --data PATH."
        )
    path = check_out(out, overwrite)
    announce(mode, f"reading {model}")
    network = chosen_model(context).load(model)
    data = options.read(network)
    failed = 0

    def counted(rows: Iterator[Rows]) -> Iterator[Rows]:
        nonlocal failed
        for batch in rows:
            failed += int((batch["status"] != "ok").sum()) if "status" in batch else 0
            yield batch

    with progress(mode, question.words) as report:
        count = write_rows(path, counted(_answers(question, network, data, report)))
    said = {"what": question.words, "rows": count, "failed": failed, "out": str(path)}
    if as_json:
        click.echo(json.dumps(said))
    elif mode != "none":
        click.echo(f"{question.words} of {count} inputs ({failed} failed): {path}")
    return FAILED_SAMPLES if failed else OK


def _answers(
    question: PerInput, network: "Network", data: "DataSet", report: Report
) -> Iterator[Rows]:
    import numpy as np
    import torch

    size = max(1, BATCH_BYTES // max(1, question.row_bytes(network)))
    # One batch at least, so that no inputs give a file with no rows.
    for start in range(0, max(1, len(data)), size):
        chosen = np.arange(start, min(start + size, len(data)))
        rows = question.answer(network, torch.as_tensor(data.take(chosen)))
        yield {"row": data.index[chosen], **rows}
        report(int(start + len(chosen)), len(data))
