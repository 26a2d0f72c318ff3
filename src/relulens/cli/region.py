"""``relulens region``: the region around every input, as arrays."""

from typing import TYPE_CHECKING

import click

from relulens.cli.arrays import Rows
from relulens.cli.per_input import PerInput, per_input_options, write_answers

if TYPE_CHECKING:
    from torch import Tensor

    from relulens.graph.network import Network


@click.command()
@click.option("--codes/--no-codes", default=True, help="Write the pattern, per layer.")
@per_input_options
def region(
    context: click.Context,
    model: str,
    codes: bool,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the region of every input: its pattern and how far its border is.

    The pattern is one code a unit, layer by layer. The distance is the exact Euclidean
    distance to the nearest face where the affine map of the output changes, with the
    layer and the unit that switch there.
    """
    question = PerInput(
        words="regions",
        row_bytes=lambda network: 8 * network.state_size,
        answer=lambda network, x: _answer(network, x, codes),
    )
    write_answers(
        context, question, model, out=out, overwrite=overwrite, as_json=as_json
    )
