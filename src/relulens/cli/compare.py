"""``relulens compare``: the numbers of two reports side by side."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import click

from relulens.cli.exits import GATE_FAILED, OK
from relulens.cli.gate import parse_gate, summary_numbers
from relulens.errors import InvalidArgumentError

Numbers: TypeAlias = dict[str, float | None]


@click.command()
@click.argument("old", metavar="OLD_DIR")
@click.argument("new", metavar="NEW_DIR")
@click.option(
    "--fail-on",
    "gates",
    multiple=True,
    metavar="EXPRESSION",
    help="Exit with 4 if it holds, such as 'change.accuracy<-0.01'.",
)
@click.option("--all", "every", is_flag=True, help="Show equal numbers too.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
def compare(
    old: str, new: str, gates: tuple[str, ...], every: bool, as_json: bool
) -> int:
    """Compare the numbers of two reports, old and new.

    Names in --fail-on begin with old, new or change. Reports on other data are compared
    all the same, and it is said.
    """
    judged = [parse_gate(text) for text in gates]
    before, after = _summary(old), _summary(new)
    rows = _rows(summary_numbers(before), summary_numbers(after))
    notes = _notes(before, after)
    if as_json:
        click.echo(json.dumps({"numbers": rows, "notes": notes}))
    else:
        for note in notes:
            click.echo(f"note: {note}")
        _print(rows, every=every)
    flat = {f"{part}.{name}": row[part] for name, row in rows.items() for part in row}
    failures = [text for gate in judged if (text := gate.failure(flat))]
    for text in failures:
        click.echo(f"gate failed: {text}", err=True)
    return GATE_FAILED if failures else OK


def _summary(folder: str) -> Mapping[str, object]:
    """Return the summary of a report.

    Raises:
        UsageError: There is none.
        InvalidArgumentError: It is damaged.
    """
    path = Path(folder) / "summary.json"
    if not path.is_file():
        raise click.UsageError(
            f"cannot compare {folder}: there are 0 reports in it. Pass the DIR of"
            " `relulens report --out DIR`."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidArgumentError(
            f"cannot read {path}: it is not whole ({error}). Write the report again."
        ) from error


def _rows(before: Numbers, after: Numbers) -> dict[str, dict[str, float | None]]:
    rows: dict[str, dict[str, float | None]] = {}
    for name in sorted(before | after):
        # times and options are no findings
        if name == "seconds" or name.startswith("provenance."):
            continue
        old, new = before.get(name), after.get(name)
        change = None if old is None or new is None else new - old
        rows[name] = {"old": old, "new": new, "change": change}
    return rows


def _notes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    parts = {"network": "networks", "data": "data"}
    notes = []
    for part, word in parts.items():
        hashes = [_hash(summary, part) for summary in (before, after)]
        same = hashes[0] is not None and hashes[0] == hashes[1]
        notes.append(f"the {word} are {'the same' if same else 'different'}")
    return notes


def _hash(summary: Mapping[str, object], part: str) -> object:
    origin = summary.get("provenance")
    inner = origin.get(part) if isinstance(origin, Mapping) else None
    return inner.get("sha256") if isinstance(inner, Mapping) else None


def _print(rows: Mapping[str, Mapping[str, float | None]], *, every: bool) -> None:
    kept = {k: row for k, row in rows.items() if every or row["old"] != row["new"]}
    if not kept:
        click.echo(f"all {len(rows):,} numbers are equal")
        return
    wide = max(map(len, kept))
    click.echo(f"{'':{wide}}  {'old':>12}  {'new':>12}  {'change':>12}")
    for name, row in kept.items():
        parts = (_text(row[part]) for part in ("old", "new", "change"))
        click.echo(f"{name:{wide}}  " + "  ".join(f"{text:>12}" for text in parts))


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
