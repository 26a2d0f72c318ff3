"""``relulens describe``: what a network is made of."""

import json
from typing import TYPE_CHECKING

import click

from relulens.cli.options import (
    chosen_model,
    chosen_progress,
    model_options,
    progress_options,
)
from relulens.cli.progress import announce
from relulens.errors import UnsupportedOperationError

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--json", "as_json", is_flag=True, help="Print rows as JSON.")
@model_options
@progress_options
@click.pass_context
def describe(context: click.Context, model: str, as_json: bool) -> None:
    """Print what a network is made of, a row per node.

    Rows have kind, shape, coefficients, and what is answered exactly.

    A model with operations that have no rule is described up to these, and the command
    exits with 3.
    """
    announce(chosen_progress(context), f"reading {model}")
    chosen = chosen_model(context)
    from relulens.graph.describe import describe as described

    try:
        table = described(chosen.load(model))
    except UnsupportedOperationError as error:
        _print(described(error), as_json)
        raise
    _print(table, as_json)


def _print(table: "pd.DataFrame", as_json: bool) -> None:
    if as_json:
        rows = table.to_dict(orient="records")
        click.echo(json.dumps({"about": table.attrs["lines"], "nodes": rows}))
        return
    for line in table.attrs["lines"]:
        click.echo(line)
    click.echo(table.drop(columns="parameters").to_string(index=False))
