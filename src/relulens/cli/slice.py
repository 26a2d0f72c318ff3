"""``relulens slice``: the exact linear regions on a plane through inputs."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from relulens.cli.arrays import Rows, check_out, write_rows
from relulens.cli.exits import FAILED_SAMPLES, OK
from relulens.cli.options import (
    chosen_data,
    chosen_model,
    chosen_progress,
    data_options,
    model_options,
    progress_options,
)
from relulens.cli.progress import announce
from relulens.errors import InvalidArgumentError

if TYPE_CHECKING:
    import torch

    from relulens.data.data_set import DataSet
    from relulens.regions.cell_values import CellValues
    from relulens.regions.partition import Partition
    from relulens.regions.plane import Plane

PICTURES = (".svg", ".png", ".pdf", ".html")
Colour = Literal["class", "slope", "depth", "none"]

INSIDE = 1 - 2.0**-20
"""Part of the triangle that is cut: along the lines through inputs, units of their
common background are 0 but for rounding, which would take long to decide."""


@click.command("slice")
@click.argument("model", metavar="MODEL")
@data_options
@click.option(
    "--points",
    metavar="I,J,K",
    help="Inputs that the plane goes through, counted from 0; the first three.",
)
@click.option(
    "--principal", is_flag=True, help="The plane of the data's two main directions."
)
@click.option(
    "--zoom",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="F",
    help="Cut F times the triangle of the points, about its centre.",
)
@click.option(
    "--colour",
    type=click.Choice(["class", "slope", "depth", "none"]),
    default="class",
    show_default=True,
    help="What the colours tell.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Stop after S seconds with what is finished.",
)
@click.option(
    "--cells",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop at about N cells with what is finished.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Cut parts of the slice in N threads; the result is the same.",
)
@click.option("--out", metavar="FILE", help="Picture: .svg, .png, .pdf or .html.")
@click.option("--table", metavar="FILE", help="A row a cell: .parquet or .npz.")
@click.option("--overwrite", is_flag=True, help="Replace the files.")
@click.option("--json", "as_json", is_flag=True, help="Say it in JSON.")
@model_options
@progress_options
@click.pass_context
def slice_(
    context: click.Context,
    model: str,
    points: str | None,
    principal: bool,
    zoom: float,
    colour: Colour,
    seconds: float | None,
    cells: int | None,
    threads: int,
    out: str | None,
    table: str | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Cut a plane through inputs into its exact linear regions.

    Lengths are those of the input. A picture of more than 5,000 cells is filled with
    pixels; .html is a page to move in. Exits with 1 if a limit stopped it.
    """
    picture = None if out is None else _picture(out, overwrite)
    rows = None if table is None else check_out(table, overwrite)
    options, mode = chosen_data(context), chosen_progress(context)
    if options.path is None:
        raise click.UsageError(
            f"cannot slice {model}: 0 inputs are named. Pass --data PATH."
        )
    announce(mode, f"reading {model}")
    from relulens.regions.cell_values import cell_values
    from relulens.regions.slice import slice_partition

    network = chosen_model(context).load(model)
    data = options.read(network)
    plane, corners, names = _plane(data, points, principal=principal)
    announce(mode, "cutting")
    found = slice_partition(
        network,
        plane,
        zoom * INSIDE * corners,
        budget=seconds,
        cells=cells,
        threads=threads,
    )
    values = cell_values(found)
    marks = [
        (float(x), float(y), name)
        for (x, y), name in zip(corners.tolist(), names, strict=False)
        if zoom >= 1
    ]
    if picture is not None:
        _draw(found, values, picture, colour, marks)
    if rows is not None:
        write_rows(rows, iter([_columns(found, values)]))
    return _tell(found, as_json=as_json, quiet=mode == "none", files=[out, table])


def _picture(out: str, overwrite: bool) -> Path:
    """Return a picture's path, if it may be written.

    Raises:
        InvalidArgumentError: Its ending is another one, or it exists.
    """
    path = Path(out)
    if path.suffix.lower() not in PICTURES:
        raise InvalidArgumentError(
            f"cannot draw {out}: it ends in {path.suffix!r} and {len(PICTURES)} formats"
            f" are known ({', '.join(PICTURES)}). Choose one of these endings."
        )
    if path.exists() and not overwrite:
        raise InvalidArgumentError(
            f"cannot write {out}: it exists with {path.stat().st_size:,} bytes. Choose"
            " another name, or pass --overwrite."
        )
    return path


def _plane(
    data: "DataSet", points: str | None, *, principal: bool
) -> "tuple[Plane, torch.Tensor, list[str]]":
    """Return the plane, the polygon's corners about the origin and their names.

    Raises:
        InvalidArgumentError: The points are not three inputs, or both ways are asked.
    """
    import torch

    from relulens.regions.plane import Plane

    if principal and points is not None:
        raise InvalidArgumentError(
            "cannot choose a plane: --points and --principal are 2 ways to do it. Pass"
            " one of them."
        )
    if principal:
        x = torch.as_tensor(data.take(range(len(data)))).double()
        plane = Plane.principal(x)
        reach = plane.coordinates(x).abs().amax(0)
        signs = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        return plane, signs.double() * reach, []
    chosen = _rows(points or "0,1,2", len(data))
    inputs = torch.as_tensor(data.take(chosen)).double()
    plane = Plane.orthonormal(*inputs)
    corners = plane.coordinates(inputs)
    return plane, corners, [f"#{row}" for row in chosen]


def _rows(text: str, count: int) -> list[int]:
    """Return the places of three inputs.

    Raises:
        InvalidArgumentError: They are not three different ones that there are.
    """
    parts = [part.strip() for part in text.split(",")]
    rows = [int(part) for part in parts if part.isdecimal()]
    if len(parts) != 3 or len(set(rows)) != 3 or max(rows) >= count:
        raise InvalidArgumentError(
            f"cannot lay a plane through --points {text!r}: three different inputs are"
            f" needed and the data have {count}. Name them as 0,1,2."
        )
    return rows


def _draw(
    found: "Partition",
    values: "CellValues",
    path: Path,
    colour: Colour,
    marks: list[tuple[float, float, str]],
) -> None:
    if path.suffix.lower() == ".html":
        from relulens.report.slice_page import slice_page

        path.write_text(slice_page(found, values, marks), encoding="utf-8")
        return
    from relulens.plot.partition import partition
    from relulens.plot.picture_file import write_picture

    draw = partial(partition, found, colour=colour, values=values, marks=marks)
    write_picture(draw, path)


def _columns(found: "Partition", values: "CellValues") -> Rows:
    import numpy as np

    from relulens.plot.partition import edge_depth

    centres = found.centres.numpy()
    return {
        "cell": np.arange(found.count),
        "area": found.areas.numpy(),
        "corners": found.offsets.diff().numpy(),
        "centre_s": centres[:, 0],
        "centre_t": centres[:, 1],
        "prediction": values.prediction.numpy(force=True),
        "slope_norm": values.slope_norm.numpy(force=True),
        "deepest_layer": edge_depth(found),
        "output": values.output.numpy(force=True),
    }


def _tell(
    found: "Partition", *, as_json: bool, quiet: bool, files: list[str | None]
) -> int:
    said = {
        "cells": found.count,
        "vertices": len(found.vertices),
        "edges": len(found.edges),
        "area": float(found.areas.sum()),
        "complete": found.complete,
        "finished_area": found.finished_area,
        "files": [name for name in files if name is not None],
    }
    if as_json:
        click.echo(json.dumps(said))
    elif not quiet:
        share = "" if found.complete else f" on {found.finished_area:.1%} of the area"
        regions = "linear region" if found.count == 1 else "linear regions"
        click.echo(
            f"{found.count:,} {regions}, {len(found.vertices):,} vertices,"
            f" {len(found.edges):,} edges{share}"
        )
        for name in said["files"] if isinstance(said["files"], list) else []:
            click.echo(f"  {name}")
    return OK if found.complete else FAILED_SAMPLES
