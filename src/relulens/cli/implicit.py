"""``relulens implicit``: a network as one equation with four matrices."""

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

if TYPE_CHECKING:
    from relulens.implicit.model import ImplicitModel
    from relulens.implicit.wellposedness import WellPosedness


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the matrices to an .npz or .safetensors file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@model_options
@progress_options
@click.pass_context
def implicit(
    context: click.Context, model: str, out: str | None, as_json: bool
) -> None:
    """Print a network as x = phi(A x + B u + a), y = C x + D u + d.

    A row a block of the state, whether the model is well-posed and by which proof, and
    how many entries the matrices have.
    """
    if out is not None:
        from relulens.implicit.storage import model_file

        model_file(out)
    announce(chosen_progress(context), f"reading {model}")
    chosen = chosen_model(context)
    from relulens.implicit.conversion import implicit_model
    from relulens.implicit.storage import write_implicit_model
    from relulens.implicit.wellposedness import wellposedness

    made = implicit_model(chosen.load(model))
    proof = wellposedness(made)
    rows = _rows(made)
    if as_json:
        click.echo(json.dumps(_summary(made, proof, rows)))
    else:
        _print(made, proof, rows)
    if out is not None:
        write_implicit_model(made, out)
        click.echo(f"wrote {out}", err=as_json)


def _print(
    made: "ImplicitModel", proof: "WellPosedness", rows: list[dict[str, object]]
) -> None:
    click.echo(f"state n = {made.n:,}, input p = {made.p:,}, output q = {made.q:,}")
    if made.m != made.n:
        click.echo(f"arguments m = {made.m:,}")
    factor = "" if proof.contraction is None else f", factor {proof.contraction:.6g}"
    click.echo(f"{proof.verdict} by {proof.method}{factor}: {proof.reason}")
    _print_table(rows)


def _rows(model: "ImplicitModel") -> list[dict[str, object]]:
    """Return what is said of every block of the state."""
    rows: list[dict[str, object]] = []
    owners, A, B = model.phi.owners, model.A.blocks, model.B.blocks
    gains = _gains(model)
    for i, block in enumerate(model.phi.blocks):
        reads = {j for (row, j) in A if owners[row] == i}
        names = [model.phi.blocks[j].name for j in sorted(reads)]
        given = any(owners[row] == i for row, _ in B)
        rows.append({
            "block": block.name,
            "phi": block.kind,
            "size": block.size,
            "gain": gains[i],
            "reads": ["input"] * given + names,
        })
    return rows


def _gains(model: "ImplicitModel") -> list[float | None]:
    """Return the largest row sum of every block's gain, or nothing if not finite."""
    import torch

    found: list[float | None] = []
    for i, block in enumerate(model.phi.blocks):
        gain, _ = model.phi.gains(blocks=(i,))
        if gain is None:
            found.append(None)
            continue
        ones = torch.ones((1, model.m), dtype=torch.float64)
        carried = gain.apply(ones)[0, block.start : block.stop]
        found.append(float(carried.max()) if carried.numel() else 0.0)
    return found


def _summary(
    model: "ImplicitModel", proof: "WellPosedness", rows: list[dict[str, object]]
) -> dict[str, object]:
    return {
        "state_size": model.n,
        "argument_size": model.m,
        "input_size": model.p,
        "output_size": model.q,
        "verdict": proof.verdict,
        "method": proof.method,
        "contraction": proof.contraction,
        "bracket": proof.bracket,
        "reason": proof.reason,
        "blocks": rows,
    }


def _print_table(rows: list[dict[str, object]]) -> None:
    head = ("block", "phi", "size", "gain", "reads")
    lines = [head]
    for row in rows:
        gain, reads = row["gain"], row["reads"]
        named = ", ".join(map(str, reads)) if isinstance(reads, list) else ""
        lines.append((
            str(row["block"]),
            str(row["phi"]),
            str(row["size"]),
            "on a box" if gain is None else f"{gain:g}",
            named,
        ))
    widths = [max(len(line[k]) for line in lines) for k in range(4)]
    for line in lines:
        cells = [line[k].ljust(widths[k]) for k in range(4)]
        click.echo("  ".join([*cells, line[4]]).rstrip())
