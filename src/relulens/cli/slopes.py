"""``relulens slopes``: the affine map at every input, as arrays."""

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
@per_input_options
def slopes(
    context: click.Context,
    model: str,
    layer: str | None,
    at: str,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write the affine map at every input: slope, offset, margin.

    The network is slope @ x + offset on the region of x; margin says how far the
    nearest unit is from switching, in units of its argument.
    """
    question = PerInput(
        words="slopes",
        row_bytes=lambda network: slope_bytes(network, layer, at),
        answer=lambda network, x: _answer(network, x, layer, at),
    )
    return write_answers(
        context, question, model, out=out, overwrite=overwrite, as_json=as_json
    )


def _answer(network: "Network", x: "Tensor", layer: str | None, at: str) -> Rows:
    from relulens.local.affine_map import local_affine_map

    found = local_affine_map(network, x, layer=layer_of(layer), at=at)
    return {
        "slope": found.slope.numpy(force=True),
        "offset": found.offset.numpy(force=True),
        "margin": found.margin.numpy(force=True),
    }
