"""``relulens reversal``: inputs generated from features by the transposed weights."""

from typing import TYPE_CHECKING

import click

from relulens.cli.arrays import Rows
from relulens.cli.layers import layer_of
from relulens.cli.per_input import PerInput, per_input_options, write_answers

if TYPE_CHECKING:
    from torch import Tensor

    from relulens.graph.network import Network


@click.command()
@click.option(
    "--layer",
    required=True,
    metavar="NAME",
    help="Name or number of the layer (see describe) whose features are sent back.",
)
@click.option(
    "--keep",
    type=float,
    default=1.0,
    show_default=True,
    help="Share of units kept at each layer, in (0, 1].",
)
@per_input_options
def reversal(
    context: click.Context,
    model: str,
    layer: str,
    keep: float,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write inputs made from a layer's features, with the errors.

    The features of every input are sent back by the transposed weights. Written are the
    generated input, the relative error of its own features, that error after the best
    common factor, and the errors of a least-squares inverse and of shuffled features.
    """
    question = PerInput(
        words="reversals",
        row_bytes=lambda network: 64 * (network.state_size + network.input_size),
        answer=lambda network, x: _answer(network, x, layer, keep),
    )
    return write_answers(
        context, question, model, out=out, overwrite=overwrite, as_json=as_json
    )


def _answer(network: "Network", x: "Tensor", layer: str, keep: float) -> Rows:
    from relulens.reversal.reverse import reversal as reversed_

    place = layer_of(layer)
    found = reversed_(network, x, layer=0 if place is None else place, keep=keep)
    return {
        "generated": found.generated.numpy(force=True),
        "error": found.error.numpy(force=True),
        "shape_error": found.shape_error.numpy(force=True),
        "empty": found.empty.numpy(force=True),
        **{
            f"error_{name.replace(' ', '_').replace('-', '_')}": value.numpy(force=True)
            for name, value in found.baselines.items()
        },
    }
