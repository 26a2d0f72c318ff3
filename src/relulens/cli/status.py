"""``relulens status``: how far a survey or a report has come."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from relulens.cli.exits import FAILED_SAMPLES, OK


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
def status(folder: str, as_json: bool) -> int:
    """Say how far the survey or report in DIR has come.

    Nothing is computed and nothing is written; it may run beside the survey.
    """
    from relulens.survey.manifest import NAME
    from relulens.survey.status import survey_status

    path = Path(folder)
    inner = path / "survey"
    if not (path / NAME).is_file() and not (inner / NAME).is_file():
        raise click.UsageError(
            f"cannot tell the status of {folder}: there are 0 surveys in it. Pass the"
            " DIR of `relulens survey --out DIR` or `relulens report --out DIR`."
        )
    found = survey_status(path if (path / NAME).is_file() else inner)
    if as_json:
        click.echo(json.dumps([asdict(question) for question in found]))
    else:
        for question in found:
            click.echo(
                f"{question.name}: {question.rows:,} of {question.of_rows:,} rows,"
                f" {question.shards:,} of {question.of_shards:,} shards"
            )
    return OK if all(question.complete for question in found) else FAILED_SAMPLES
