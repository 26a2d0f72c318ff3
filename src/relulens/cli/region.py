"""``relulens region``: the region around every input, as arrays."""

from typing import TYPE_CHECKING

import click

from relulens.cli.arrays import Rows
from relulens.cli.per_input import PerInput, per_input_options, write_answers

if TYPE_CHECKING:
    from torch import Tensor

    from relulens.graph.network import Network


@click.command()
@click.option(
    "--faces",
    type=click.Choice(["effective", "all"]),
    default="effective",
    show_default=True,
    help="Faces where the output's affine map changes, or those of all units.",
)
@click.option("--no-codes", is_flag=True, help="Leave the patterns out.")
@per_input_options
def region(
    context: click.Context,
    model: str,
    faces: str,
    no_codes: bool,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write the region of every input: its pattern and how far its border is.

    The pattern is one code a unit, layer by layer. The distance is the exact Euclidean
    distance to the nearest face, with the layer and the unit that switch there.
    """
    question = PerInput(
        words="regions",
        row_bytes=lambda network: 8 * (network.state_size + network.input_size),
        answer=lambda network, x: _answer(network, x, faces, not no_codes),
    )
    return write_answers(
        context, question, model, out=out, overwrite=overwrite, as_json=as_json
    )


def _answer(network: "Network", x: "Tensor", faces: str, codes: bool) -> Rows:
    import numpy as np

    from relulens.local.boundary import boundary_distance
    from relulens.local.pattern import activation_pattern

    found = boundary_distance(network, x, faces=faces)
    status = [reason or "ok" for reason in found.reasons]
    rows = {
        "distance": found.distance.numpy(force=True),
        "layer": np.array([name or "" for name in found.layer], dtype=np.str_),
        "unit": found.unit.numpy(force=True),
        "normal": found.normal.numpy(force=True),
        "status": np.array(status, dtype=np.str_),
    }
    if codes:
        pattern = activation_pattern(network, x)
        rows |= {f"code/{name}": pattern[name].numpy(force=True) for name in pattern}
    return rows
