"""``relulens describe``: what a network is made of."""

import click

from relulens.cli.options import (
    chosen_model,
    chosen_progress,
    model_options,
    progress_options,
)
from relulens.cli.progress import announce


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--json", "as_json", is_flag=True, help="Print rows as JSON.")
@model_options
@progress_options
@click.pass_context
def describe(context: click.Context, model: str, as_json: bool) -> None:
    """Print a row per node: kind, shape, parameters, and what is exact.

    A model with operations that have no rule is described up to these, and the command
    exits with 3.
    """
    announce(chosen_progress(context), f"reading {model}")
    from relulens.graph.describe import describe as described

    table = described(chosen_model(context).load(model))
    click.echo(table.to_json(orient="records") if as_json else str(table))
