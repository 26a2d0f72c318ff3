"""``relulens report``: the page and the tables about a network on a data set."""

import json
from typing import TYPE_CHECKING, Any

import click

from relulens.cli.exits import FAILED_SAMPLES, GATE_FAILED, OK
from relulens.cli.findings import findings
from relulens.cli.gate import Gate, parse_gate, summary_numbers
from relulens.cli.options import (
    chosen_data,
    chosen_model,
    chosen_progress,
    data_options,
    model_options,
    progress_options,
)
from relulens.cli.progress import Mode, announce, progress
from relulens.errors import InvalidArgumentError

if TYPE_CHECKING:
    from relulens.report.report import Report


@click.command()
@click.argument("model", metavar="[MODEL]", required=False)
@data_options
@click.option(
    "--out",
    metavar="DIR",
    help="Folder to write; relulens-report by default. The same call continues it.",
)
@click.option("--sections", metavar="A,B", help="Sections to write; all by default.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Begin no further answer after this; 'inf' for no limit; 480 by default.",
)
@click.option("--sensitive", is_flag=True, help="Show no raw input anywhere.")
@click.option("--overwrite", is_flag=True, help="Begin a report in DIR again.")
@click.option(
    "--fail-on",
    "gates",
    multiple=True,
    metavar="EXPRESSION",
    help="Exit with 4 if it holds for summary.json, such as 'accuracy<0.9'.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@model_options
@progress_options
@click.pass_context
def report(
    context: click.Context,
    model: str | None,
    out: str | None,
    sections: str | None,
    budget: float | None,
    sensitive: bool,
    overwrite: bool,
    gates: tuple[str, ...],
    as_json: bool,
) -> int:
    """Write a page about MODEL on the data, and its tables.

    DIR gets index.html (one file, opens offline), samples.parquet (a row an input),
    layers.parquet and summary.json. Without MODEL: a small network that ships with
    relulens, on scikit-learn's digits.
    """
    judged = [parse_gate(text) for text in gates]
    mode = chosen_progress(context)
    settings: dict[str, Any] = {
        "out": out,
        "sections": None if sections is None else _names(sections),
        "sensitive": sensitive,
        "overwrite": overwrite,
        "command": context.obj,
    }
    if budget is not None:
        settings["budget"] = budget
    made = _report(context, model, mode, settings)
    if as_json:
        click.echo(json.dumps(made.summary))
    elif mode != "none":
        click.echo("\n".join(findings(made, model, chosen_data(context).path)))
    return _judged(made, judged)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _report(
    context: click.Context, model: str | None, mode: Mode, settings: dict[str, Any]
) -> "Report":
    chosen, inputs = chosen_model(context), chosen_data(context)
    if model is None and inputs.path is not None:
        raise click.UsageError(
            f"cannot write a report on {inputs.path} alone: no model is named. Pass"
            " MODEL, the network that the data are for; or neither, for the example."
        )
    announce(mode, "reading the example" if model is None else f"reading {model}")
    from relulens.report.report import report as write

    if model is None:
        if chosen.changed():
            raise InvalidArgumentError(
                f"cannot take {', '.join(chosen.changed())}: the example that ships is"
                " read as it is. Name a MODEL."
            )
        with progress(mode, "report") as tell:
            return write(
                samples=inputs.samples, seed=inputs.seed, progress=tell, **settings
            )
    network = chosen.load(model)
    data = None if inputs.path is None else inputs.read(network)
    recipe = chosen.recipe(model)
    with progress(mode, "report") as tell:
        return write(
            network, data, seed=inputs.seed, recipe=recipe, progress=tell, **settings
        )


def _judged(made: "Report", gates: list[Gate]) -> int:
    numbers = summary_numbers(made.summary)
    failures = [text for gate in gates if (text := gate.failure(numbers))]
    for text in failures:
        click.echo(f"gate failed: {text}", err=True)
    if failures:
        return GATE_FAILED
    failed = numbers.get("failed_samples") or 0
    if failed:
        click.echo(
            f"{failed:.0f} inputs have no answer to some question: samples.parquet says"
            " why in the columns that end in _status",
            err=True,
        )
    return FAILED_SAMPLES if failed else OK
