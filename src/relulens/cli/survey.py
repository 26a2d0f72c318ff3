"""``relulens survey``: the tables behind a report, without its page."""

import json

import click

from relulens.cli.exits import FAILED_SAMPLES, OK
from relulens.cli.options import (
    chosen_data,
    chosen_model,
    chosen_progress,
    data_options,
    model_options,
    progress_options,
)
from relulens.cli.progress import announce, progress


@click.command()
@click.argument("model", metavar="MODEL")
@data_options
@click.option(
    "--out",
    metavar="DIR",
    required=True,
    help="Folder of the shards; the same call continues it.",
)
@click.option("--questions", metavar="A,B", help="Questions to ask; all by default.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Begin no further shard after this; no limit by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print how far it came as JSON.")
@model_options
@progress_options
@click.pass_context
def survey(
    context: click.Context,
    model: str,
    out: str,
    questions: str | None,
    budget: float | None,
    as_json: bool,
) -> int:
    """Ask questions of every input and keep the answers in shards.

    DIR gets a folder a question, with Parquet tables and safetensors arrays; `relulens
    status DIR` says how far it came. It may be killed at any time and continued.
    """
    mode = chosen_progress(context)
    announce(mode, f"reading {model}")
    from relulens.survey.survey import survey as ask

    inputs = chosen_data(context)
    if inputs.path is None:
        raise click.UsageError(
            f"cannot survey {model}: 0 data sets are named. Pass --data PATH."
        )
    network = chosen_model(context).load(model)
    data = inputs.read(network)
    with progress(mode, "survey") as tell:
        made = ask(
            network,
            data,
            out=out,
            questions=None if questions is None else _names(questions),
            budget=budget,
            seed=inputs.seed,
            progress=tell,
        )
    rows = {
        name: {"done": answers.done, "of": len(answers.table), "reason": answers.reason}
        for name, answers in made.answers.items()
    }
    if as_json:
        click.echo(json.dumps({"path": str(made.path), "questions": rows}))
    elif mode != "none":
        for name, row in rows.items():
            why = f" ({row['reason']})" if row["reason"] else ""
            click.echo(f"{name}: {row['done']:,} of {row['of']:,} rows{why}")
    whole = all(row["done"] == row["of"] for row in rows.values())
    return OK if whole else FAILED_SAMPLES


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
