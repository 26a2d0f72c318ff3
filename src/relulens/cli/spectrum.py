"""``relulens spectrum``: singular values of the slope at every input."""

from typing import TYPE_CHECKING

import click

from relulens.cli.arrays import Rows
from relulens.cli.layers import layer_of, layer_options, slope_bytes
from relulens.cli.per_input import PerInput, per_input_options, write_answers

if TYPE_CHECKING:
    from torch import Tensor

    from relulens.graph.network import Network


@click.command()
@layer_options
@click.option(
    "-k", type=click.IntRange(min=1), metavar="K", help="The K largest; all by default."
)
@per_input_options
def spectrum(
    context: click.Context,
    model: str,
    layer: str | None,
    at: str,
    k: int | None,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write singular values and rank of the slope at every input.

    The slope goes from the input to a layer. Values are sorted, largest first; the rank
    counts those above the tolerance.
    """
    question = PerInput(
        words="singular values",
        row_bytes=lambda network: slope_bytes(network, layer, at),
        answer=lambda network, x: _answer(network, x, layer, at, k),
    )
    return write_answers(
        context, question, model, out=out, overwrite=overwrite, as_json=as_json
    )


def _answer(
    network: "Network", x: "Tensor", layer: str | None, at: str, k: int | None
) -> Rows:
    import numpy as np

    from relulens.local.spectrum import singular_values

    found = singular_values(network, x, layer=layer_of(layer), at=at, k=k)
    return {
        "values": found.values.numpy(force=True),
        "rank": found.rank.numpy(force=True),
        "tolerance": found.tolerance.numpy(force=True),
        "complete": np.full(len(found), found.complete),
    }
